"""docs/results.md: each section is written by the command it names, and says what it rests on."""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from functools import cache
from importlib.metadata import version
from pathlib import Path

import torch

from instancefcn.core.errors import UserError
from instancefcn.core.files import whole_file
from instancefcn.network.finding import SUFFIX, WEIGHTS, shipped

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
PAGE = ROOT / "docs" / "results.md"
HEAD = """# Results

Written by `make bench`, `make accuracy` and `make reproduce`, each between its markers.
"""
PACKAGES = ("torch", "torchvision", "numpy")


GENERATED = (PAGE, ROOT / "README.md", ROOT / "docs" / "weights.md", ROOT / "docs" / "images")
"""What these commands write into: a change of it is none of the code that measured."""


def run_script(main: Callable[[], None]) -> None:
    """Run a command of this folder; a user's mistake, or a training that failed and said why, ends
    it in one line and exit code 2.
    """
    try:
        main()
    except (UserError, OSError, subprocess.CalledProcessError) as error:
        print(f"{Path(sys.argv[0]).name}: error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the commands that write a section have in common."""
    parser.add_argument("--model", default="general", metavar="NAME|FILE", help="%(default)s")
    parser.add_argument(
        "--side", type=int, default=384, help="shorter side of the one-pass setting (%(default)s)"
    )
    parser.add_argument("--page", type=Path, default=PAGE, help="where the section goes")


def write_section(page: Path, name: str, text: str) -> None:
    """Replace what stands between the page's markers of this name, or add it at the end.

    The rest of the page stays as it is, byte for byte; a page that is not there is begun. Raises
    UserError if only one of the markers is there.
    """
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    old = page.read_bytes().decode() if page.exists() else HEAD
    before, opened, rest = old.partition(begin)
    _, closed, after = rest.partition(end)
    if (opened and not closed) or end in before:
        raise UserError(
            f"{page}: one of the markers {begin} and {end} is missing; put it back, or remove both"
        )
    before, after = (before, after) if opened else (old.rstrip("\n") + "\n\n", "\n")
    with whole_file(page) as file:
        file.write(f"{before}{begin}\n{text.strip()}\n{end}{after}".encode())


def conditions() -> str:
    """When, on what machine, with what versions and of what commit, as a line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{date.today()}, commit {commit()}. {processor()}, {os.cpu_count()} cores, "
        f"{memory:.0f} GiB; {torch.get_num_threads()} torch threads. "
        f"Python {platform.python_version()}, {versions}."
    )


def processor() -> str:
    """The processor's name by Linux, or what the platform knows of it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


@cache
def commit() -> str:
    """The commit that is checked out when this is first asked, which is that of the code that runs,
    and whether files that are not ``GENERATED`` differ from it.
    """
    but = [f":!{path.relative_to(ROOT)}" for path in GENERATED]
    changes = _git("status", "--porcelain", "--untracked-files=no", "--", ".", *but)
    name = _git("rev-parse", "--short", "HEAD") or "unknown"
    return f"{name} with changes" if changes else name


def _git(*arguments: str) -> str:
    """What git says; nothing outside a repository."""
    done = subprocess.run(
        ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def fingerprint(model: str) -> str:
    """The model's name and the beginning of its file's SHA-256."""
    path = WEIGHTS / f"{model}{SUFFIX}" if model in shipped() else Path(model)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"`{path.stem}` (SHA-256 {digest[:12]})"
