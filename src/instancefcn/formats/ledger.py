"""What ``propose`` has done and written in an output folder, noted there as the work goes on.

So a run that was killed can go on, a file that a person changed is never replaced, and pictures
that the command wrote are not taken for photos.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from instancefcn.core.errors import UserError
from instancefcn.core.journal import Journal, needed
from instancefcn.core.words import counted
from instancefcn.formats.prediction import ImageMasks, Source

BLOCK = 1 << 20

LEDGER = "propose.jsonl"

Settings = Mapping[str, Any]
Writers = Mapping[str, Callable[[], object]]


@dataclass(frozen=True)
class Done:
    """A finished image: the place of its record, the version of its file, the names of what was
    written, the number of its masks, its size.
    """

    place: int
    version: Sequence[int]
    files: frozenset[str]
    number: int
    height: int
    width: int


@dataclass
class Notes:
    """What a ledger says. known: each name that runs wrote or meant to write, and the digests of
    what they wrote, or were told to replace, under it. settings: of the run that ``done`` is of.
    """

    settings: Settings | None = None
    known: dict[str, set[str]] = field(default_factory=dict)
    done: dict[str, Done] = field(default_factory=dict)
    ended: bool = True

    def take(self, place: int, record: Mapping[str, Any]) -> None:
        if "settings" in record:
            self.settings = {**record["settings"]}
        self.ended = record.get("ended", False)
        for name, digests in record.get("files", {}).items():
            self.known.setdefault(name, set()).update(digests)
        if "image" in record:
            files, masks = frozenset(record["files"]), record["masks"]
            size = record["height"], record["width"]
            self.done[record["image"]] = Done(place, record["version"], files, len(masks), *size)


class Ledger:
    """The notes in an output folder, and how they grow.

    Its records: a run begins (settings, the files it will write); an image is done (its masks, the
    digests of its files); files were written; the run has ended.
    """

    def __init__(self, folder: Path) -> None:
        """Raises UserError, naming the file, if the notes there are damaged."""
        self.folder = folder
        self.journal = Journal(folder / LEDGER)
        self.notes = _read(self.journal)
        self._begin: Callable[[], object] | None = None

    def start(self, settings: Settings, names: Sequence[str]) -> None:
        """A run that makes all anew, and will write these files.

        Raises UserError if a run before did not end, and if a file is there that no run wrote, or
        that was changed since.
        """
        if not self.notes.ended:
            raise UserError(
                f"{self.folder}: holds {counted(len(self.notes.done), 'finished image')} of a run "
                "that did not end; give --resume to go on, or --overwrite to start again"
            )
        self.require_own(names, "--resume to keep it, " if self.notes.settings else "")
        self._plan(settings, {**self._known(), **{name: [] for name in names}}, anew=True)

    def overwrite(self, settings: Settings, names: Sequence[str]) -> None:
        """As ``start``, but whatever is there may be replaced."""
        there = {name: self._digests(name) for name in names}
        self._plan(settings, {**self._known(), **there}, anew=True)

    def resume(self, settings: Settings, names: Sequence[str]) -> None:
        """A run that keeps what is there. Raises UserError if what is there has other settings."""
        before = self.notes.settings
        if before is None:
            self.start(settings, names)
            return
        changed = [key for key in settings if _plain(settings)[key] != before.get(key)]
        if changed:
            raise UserError(
                f"{self.folder}: its masks were made with another {' and '.join(changed)}; give "
                "the same as before, another --output, or --overwrite"
            )
        self._plan(settings, {name: [] for name in names}, anew=False)

    def require_own(self, names: Sequence[str], ways: str = "") -> None:
        """Raises UserError if one of these files is there, and not as a run left it."""
        foreign = [name for name in names if self._is_foreign(name)]
        if foreign:
            others = f", and {len(foreign) - 1} more" if len(foreign) > 1 else ""
            raise UserError(
                f"{self.folder / foreign[0]}{others}: not written by this command, or changed "
                f"since; give {ways}--overwrite to replace it, or another --output"
            )

    def require_named(self, sources: Sequence[Source]) -> None:
        """Raises UserError if an image was done here that is none of these: the file of all images
        would lose its masks.
        """
        named = {_key(source) for source in sources}
        others = [image for image in self.notes.done if image not in named]
        if others:
            raise UserError(
                f"{self.folder}: holds the masks of {counted(len(others), 'other image')}, "
                f"{others[0]} the first, which the file of all images would lose; name them too, "
                "or give another --output, or --overwrite"
            )

    def done(self, source: Source) -> Done | None:
        """What was done of an image, unless its file has changed since."""
        done = self.notes.done.get(_key(source))
        return done if done and list(done.version) == _version(source) else None

    def missing(self, source: Source, names: Sequence[str]) -> list[str]:
        """Which of an image's files are to be written."""
        done = self.done(source)
        files = done.files if done else frozenset[str]()
        return [name for name in names if not self._is_kept(name, files)]

    def masks(self, done: Done) -> ImageMasks:
        return ImageMasks.of_json(self.journal.at(done.place))

    def add(self, source: Source, masks: ImageMasks, writers: Writers) -> Done:
        """Write those of an image's files that are missing, and note that it is done.

        Raises UserError for a file that cannot be written.
        """
        self._open()
        files: dict[str, list[str]] = {name: [] for name in writers}
        try:
            for name in self.missing(source, list(writers)):
                writers[name]()
                files[name] = self._digests(name)
        except Exception:
            self._note({"files": files})
            raise
        image = {"image": _key(source), "version": _version(source), **masks.to_json()}
        self._note({**image, "files": files})
        return self.notes.done[_key(source)]

    def add_file(self, name: str, content: Path) -> None:
        """Note that a file is to appear with this content."""
        self._open()
        self._note({"files": {name: [digest_of(content)]}})

    def end(self) -> None:
        self._note({"ended": True})

    def _plan(self, settings: Settings, files: Mapping[str, Sequence[str]], anew: bool) -> None:
        record = {"settings": _plain(settings), "files": files}
        if anew:
            self.notes = Notes()
        self.notes.take(0, record)
        self._begin = partial(self.journal.start_again if anew else self.journal.append, record)

    def _open(self) -> None:
        """Begin to write, if the run has not yet: one that does no image leaves no trace."""
        if self._begin is not None:
            with needed(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
            self._begin()
            self._begin = None

    def _note(self, record: Mapping[str, Any]) -> None:
        self.notes.take(self.journal.append(record), record)

    def _known(self) -> dict[str, list[str]]:
        return {name: sorted(digests) for name, digests in self.notes.known.items()}

    def _digests(self, name: str) -> list[str]:
        """Of what is under a name now: one, or none."""
        path = self.folder / name
        return [digest_of(path)] if os.path.isfile(path) else []  # a Path raises for a long name

    def _is_foreign(self, name: str) -> bool:
        return not self.notes.known.get(name, set()).issuperset(self._digests(name))

    def _is_kept(self, name: str, files: frozenset[str]) -> bool:
        """Is a file there that this run wrote, whole as they all are, or another hand?"""
        return self._is_foreign(name) or (name in files and os.path.exists(self.folder / name))


def written_names(folder: Path) -> frozenset[str]:
    """What ``propose`` wrote in an output folder, or meant to: relative paths. Empty for others."""
    return frozenset(_read(Journal(folder / LEDGER)).known)


def _read(journal: Journal) -> Notes:
    notes = Notes()
    try:
        for place, record in journal:
            notes.take(place, record)
    except (AttributeError, KeyError, TypeError) as error:
        raise UserError(
            f"{journal.path}: damaged ({error!r}); delete it, and give --overwrite"
        ) from error
    except OSError as error:
        raise UserError(
            f"{journal.path}: cannot be read ({error.strerror}); give another --output"
        ) from error
    return notes


def _plain(settings: Settings) -> dict[str, Any]:
    """As they come back from JSON."""
    plain: dict[str, Any] = json.loads(json.dumps(settings))
    return plain


def _key(source: Source) -> str:
    return os.path.abspath(source.path)


def _version(source: Source) -> list[int]:
    """Changes with the image's file, and is told without reading it."""
    try:
        status = os.stat(source.path)
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]


def digest_of(path: Path) -> str:
    """Of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
