"""The published data sets: fetched, checked, and unpacked into the layouts that the loaders read.

pooch does the transfer and the checksum. This module adds what it lacks: a download that was cut
goes on, and an unpacked folder gets its name only when it is complete.
"""

from __future__ import annotations

import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any, BinaryIO

from instancefcn.core.errors import UserError
from instancefcn.core.extras import extra
from instancefcn.core.files import whole_file, writing
from instancefcn.data.archives import SBD, VOC, Archive, file_size, missing, space_needed
from instancefcn.data.splits import read_split, shipped_split

with extra("train"):
    from pooch import HTTPDownloader
    from pooch.hashes import hash_matches

Report = Callable[[str, int, int], None]
"""Called with what is being done, the bytes done, and all bytes."""

CHUNK = 1 << 16
"""Bytes read at once. A chunk that a cut leaves incomplete is lost."""

TIMEOUT = 60.0
"""Seconds without a byte after which a connection counts as broken."""


def get(archives: Sequence[Archive], folder: Path, report: Report) -> None:
    """Bring the data of these archives into the folder; what is there already stays as it is.

    After an exception or a kill at any moment each target is complete or not there, and the next
    call goes on from the bytes that have arrived. An archive that lies in the folder under its own
    name is used, if its checksum is right, and stays; a downloaded one is removed once unpacked.

    Raises UserError if the disk is too small or cannot be written, if a server does not deliver, or
    if a checksum is wrong.
    """
    awaited = missing(archives, folder)
    with writing(folder):
        require_space(space_needed(awaited, folder), folder)
        for archive in archives:
            if archive in awaited:
                unpack(archive, fetch(archive, folder, report), folder, report)
            archive.part(folder).unlink(missing_ok=True)


def require_space(needed: int, folder: Path) -> None:
    """Raises UserError if the folder's disk has fewer free bytes; the folder need not exist."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        raise UserError(
            f"{folder}: {needed / 1e9:.1f} GB needed while unpacking, {free / 1e9:.1f} GB free; "
            "make room, or give a folder on another disk"
        )


def fetch(archive: Archive, folder: Path, report: Report) -> Path:
    """A file with the archive's checksum: the one in the folder, or downloaded."""
    own = folder / archive.name
    part = archive.part(folder)
    if not own.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        _transfer(archive, part, report)
    path = own if own.is_file() else part
    report(f"checking {archive.name}", 0, archive.size)
    if hash_matches(str(path), archive.checksum):
        report(f"checking {archive.name}", archive.size, archive.size)
        return path
    if path == own:
        raise UserError(
            f"{own}: the checksum is not {archive.checksum}; delete it, or put {archive.url} there"
        )
    part.unlink()
    raise UserError(
        f"{archive.url}: the checksum of what arrived is not {archive.checksum}, and it was "
        f"removed; run the command again, or get {archive.name} elsewhere and put it into {folder}"
    )


def unpack(archive: Archive, path: Path, folder: Path, report: Report) -> None:
    """The folder ``member`` of the archive's file at ``path``, to the archive's target.

    Regular files' bytes are all that is written: no links, no owners, no modes. Raises UserError
    for a name that leads out of the folder, a broken file, and one without the folder.
    """
    rough = folder / f".{archive.name}.unpacking"
    shutil.rmtree(rough, ignore_errors=True)  # of a run that was killed
    try:
        _write_files(archive, path, rough, report)
        if not (rough / archive.member).is_dir():
            raise UserError(f"{path}: has no folder {archive.member}; delete it and download anew")
        target = archive.target(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(rough / archive.member, target)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise UserError(
            f"{path}: cannot be unpacked ({type(error).__name__}); delete it and download it anew"
        ) from error
    finally:
        shutil.rmtree(rough, ignore_errors=True)


def write_splits(folder: Path) -> dict[Path, int]:
    """The lists that recipes read and the archives have not, and how many images each has.

    "fit" and "dev" of VOC's segmentation are the lists inside the package: what models that ship
    and comparisons learn from and are measured on. They are no part of VOC's own split: "fit" has
    images of VOC's val. "voc2012_train" and "voc2012_val" of SBD are the images of VOC's
    ImageSets/Main/train.txt and val.txt that SBD has, in VOC's order: 5,623 and 5,732 of the
    published data, which the paper trains and tests on (Dai et al. 2016, section 4.1; Hariharan et
    al. 2014). Those of a missing set are left out, and so are "fit" and "dev" where the folder has
    its own: a model may have learnt from these.
    """
    voc, objects = VOC.target(folder) / "ImageSets", SBD.target(folder) / "inst"
    written = {}
    for name in ("fit", "dev"):
        mine = voc / "Segmentation" / f"{name}.txt"
        if mine.parent.is_dir() and not mine.exists():
            names = shipped_split(f"voc2012_{name}")
            written[_write_split(mine, names)] = len(names)
    for name in ("train", "val"):
        listed = voc / "Main" / f"{name}.txt"
        if listed.is_file() and objects.is_dir():
            names = tuple(n for n in read_split(listed) if (objects / f"{n}.mat").is_file())
            written[_write_split(objects.with_name(f"voc2012_{name}.txt"), names)] = len(names)
    return written


def _write_split(path: Path, names: Sequence[str]) -> Path:
    with whole_file(path) as file:
        file.write("".join(f"{name}\n" for name in names).encode())
    return path


class _Body:
    """The file that a download goes on in, as pooch's downloader writes to it."""

    def __init__(self, file: BinaryIO, report: Callable[[int], None]) -> None:
        self.file = file
        self.report = report
        self.status = 0
        self.answer = ""

    def begin(self, response: Any, **_: Any) -> None:
        """Called by requests when a server answers, before the body is read."""
        self.status = response.status_code
        self.answer = f"{response.status_code} {response.reason}"
        # Some servers call a .tgz a tar file in gzip encoding; decoded, it fails its checksum.
        response.raw.headers.pop("Content-Encoding", None)
        response.raw.enforce_content_length = True  # urllib3 before 2 takes a cut for the end
        if self.status == 200:  # the server knows no ranges, and sends all of it
            self.file.seek(0)
            self.file.truncate()

    def write(self, data: bytes) -> None:
        self.file.write(data)
        self.report(self.file.tell())

    def flush(self) -> None:
        self.file.flush()


def _transfer(archive: Archive, part: Path, report: Report) -> None:
    """Goes on, connection after connection, as long as each one brings the file further."""
    while (have := file_size(part)) < archive.size:
        problem = _go_on(archive, part, have, report)
        if problem is None:
            return
        now = file_size(part)
        if now <= have:
            if not now:
                part.unlink()
            raise UserError(
                f"{archive.url}: {problem}; run the command again to go on from "
                f"{now / 1e6:.1f} MB, or get {archive.name} elsewhere and put it into {part.parent}"
            )


def _go_on(archive: Archive, part: Path, have: int, report: Report) -> str | None:
    """One connection from byte ``have`` on: why it ended early, or None."""
    with part.open("ab") as file:
        body = _Body(file, lambda done: report(f"downloading {archive.name}", done, archive.size))
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        download = HTTPDownloader(
            chunk_size=CHUNK, timeout=TIMEOUT, headers=headers, hooks={"response": body.begin}
        )
        try:
            download(archive.url, body, None)
        except OSError as error:  # the network's, which requests derives from it, and the disk's
            if body.status == 416:  # nothing follows: all of it is here, and the checksum judges
                return None
            answer = f"the server answers {body.answer}" if body.status >= 400 else None
            return answer or error.strerror or f"the connection broke ({type(error).__name__})"
    # Without a length a server's cut looks like the end.
    return "the connection ended early" if file_size(part) < archive.size else None


def _write_files(archive: Archive, path: Path, rough: Path, report: Report) -> None:
    done = 0
    for name, content in _zipped(path) if archive.name.endswith(".zip") else _tarred(path):
        parts = PureWindowsPath(name)  # which knows the separators and roots of every system
        if parts.anchor or ".." in parts.parts:
            raise UserError(f"{path}: {name} leads out of the folder; delete it and download anew")
        if PurePosixPath(name).is_relative_to(archive.member):
            place = rough / name
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("wb") as file:
                shutil.copyfileobj(content, file, CHUNK)
                done += file.tell()
            report(f"unpacking {archive.name}", done, archive.unpacked)


def _zipped(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if not info.is_dir():
                with archive.open(info) as content:
                    yield info.filename, content


def _tarred(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(path) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isfile() else None
            if content is not None:
                yield member.name, content
