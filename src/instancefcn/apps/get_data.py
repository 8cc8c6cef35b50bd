"""``instancefcn get-data SET``: a published data set, downloaded, checked and unpacked."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from instancefcn.core.words import counted
from instancefcn.data.archives import SETS, Archive, bytes_to_fetch, missing, space_needed
from instancefcn.data.download import Report, get, write_splits


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "set",
        choices=SETS,
        help="the data set; voc2012 and sbd get the recipes' lists of images too",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("data"),
        metavar="DIR",
        help="where VOCdevkit/VOC2012, benchmark_RELEASE/dataset or coco goes (data); a download "
        "that was cut goes on; an archive that lies there is used",
    )


def run(arguments: argparse.Namespace, sets: Mapping[str, Sequence[Archive]] = SETS) -> int:
    archives = sets[arguments.set]
    folder: Path = arguments.output
    awaited = missing(archives, folder)
    if awaited:
        print(
            f"{arguments.set}: {decimal(sum(bytes_to_fetch(a, folder) for a in awaited))} to "
            f"download, {decimal(space_needed(awaited, folder))} of disk while it is unpacked, "
            f"{decimal(sum(a.unpacked for a in awaited))} in the end",
            flush=True,
        )
    with _bars() as report:
        get(archives, folder, report)
    for archive in archives:
        print(f"{archive.target(folder)}: {'done' if archive in awaited else 'already there'}")
    for path, number in write_splits(folder).items():
        print(f"{path}: a list of {counted(number, 'image')}, for recipes")
    return 0


@contextmanager
def _bars() -> Iterator[Report]:
    """A progress bar on stderr for each download, check and unpacking."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bars:

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:  # starts at what was there: the time left is then right
                tasks[what] = bars.add_task(what, total=total, completed=done)
            bars.update(tasks[what], completed=done)

        yield report
