"""Results: ranked masks of images, of any method, in COCO's result format.

https://cocodataset.org/#format-results. Boxes are ignored: pycocotools would take the size of an
object from its box if one is there.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as short
from typing import Any, NamedTuple, TypeAlias

from instancefcn.core.errors import UserError
from instancefcn.core.types import AnnotatedImage, ScoredMask
from instancefcn.formats.coco.categories import ids_by_name, read_categories
from instancefcn.formats.coco.reading import Entry, is_list, read_list, read_tables
from instancefcn.formats.coco.records import to_rle, whole

NO_CATEGORY = -1
"""Of masks that count for recall only: their category is none of the data set's."""


Results: TypeAlias = Mapping[int, Sequence[ScoredMask]]
"""Proposals by image id. An image that is not there has none."""


def ranked(proposals: Iterable[ScoredMask]) -> list[ScoredMask]:
    """Best first. Equal scores keep their order, as everywhere in COCO's evaluation."""
    return sorted(proposals, key=lambda proposal: -proposal.score)


def read_results(
    path: Path | str,
    images: Iterable[AnnotatedImage],
    categories: Mapping[int, str] | None = None,
) -> Results:
    """Results for these images: a COCO results list, or a COCO data set whose annotations have
    scores; masks as RLE or polygons; each image's best first. Equal scores are ranked as by
    pycocotools: category by category, within one as they come.

    A results list has the image ids of ``images``; where a result has a "file_name" as well, the
    two must agree. A data set has ids of its own, so its images are found by their file's name.

    categories: of the data set that ``images`` are of. With them each result has one of these, or
    ``NO_CATEGORY``: a results list has their ids, a data set their names. Without them a category
    is whatever number the file has, 0 where it has none. They change no ranking.

    Raises UserError, naming the file and the result, for whatever cannot be used: pycocotools
    would leave out results of unknown images, or count them as misses, without a word.
    """
    path, known = Path(path), _Images.of(images)
    names, entries = _opened(path)
    ids = None if categories is None else _evaluated_ids(path, categories)
    results: dict[int, list[tuple[int, ScoredMask]]] = defaultdict(list)
    for entry in entries:
        try:
            _require_result(entry.value)
            image = known.find(entry.value, names)
            own = whole(entry.value.get("category_id"))
            mask = _to_scored_mask(entry.value, image, _category(own, ids))
            results[image.image_id].append((own or 0, mask))
        except UserError as error:
            raise UserError(f"{path}: result {entry.place}: {error}") from error
    return {image_id: _ranked_by_category(found) for image_id, found in results.items()}


def _ranked_by_category(found: list[tuple[int, ScoredMask]]) -> list[ScoredMask]:
    """By the file's own numbers of the categories, so that names change no ranking."""
    return [mask for _, mask in sorted(found, key=lambda each: (-each[1].score, each[0]))]


def _opened(path: Path) -> tuple[Mapping[int, str] | None, Iterator[Entry]]:
    """The file names of a data set's image ids, none for a results list; and the results."""
    if is_list(path):
        return None, read_list(path)
    lists = ("images", "annotations")
    try:
        names = dict(_to_name(path, entry) for entry in read_tables(path, lists, ("images",)))
    except UserError as error:
        raise UserError(
            f'{error}; or write a results list, [{{"image_id", "segmentation", "score"}}]'
        ) from error
    return names, read_tables(path, lists, ("annotations",))


def _to_name(path: Path, entry: Entry) -> tuple[int, str]:
    if isinstance(entry.value, dict):
        image_id, name = whole(entry.value.get("id")), entry.value.get("file_name")
        if image_id is not None and isinstance(name, str):
            return image_id, _last_part(name)
    raise UserError(
        f'{path}: images[{entry.place}]: an image has an integer "id" and a text "file_name", '
        f"got {short(entry.value)}; give both"
    )


def _last_part(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[2]


def _require_result(record: Any) -> None:
    if not isinstance(record, dict):
        raise UserError(f"a result is a JSON object, got {short(record)}; {_FORM}")


_FORM = 'give each an "image_id", a "segmentation" and a "score"'


class _Image(NamedTuple):
    image_id: int
    name: str
    height: int
    width: int


@dataclass(frozen=True)
class _Images:
    """The evaluated images, by id and by the name of their file."""

    by_id: Mapping[int, _Image]
    by_name: Mapping[str, Sequence[_Image]]

    @classmethod
    def of(cls, images: Iterable[AnnotatedImage]) -> _Images:
        by_id: dict[int, _Image] = {}
        by_name: dict[str, list[_Image]] = defaultdict(list)
        for image in images:
            entry = _Image(image.image_id, image.path.name, image.height, image.width)
            by_id[image.image_id] = entry
            by_name[image.path.name].append(entry)
        return cls(by_id, by_name)

    def find(self, record: dict[str, Any], names: Mapping[int, str] | None) -> _Image:
        """The image of a result; ``names`` are the file names of a data set's own ids."""
        given, beside = record.get("image_id"), record.get("file_name")
        # A text may be a number or the name of a file: "0003" is not the image 3.
        image_id = None if names is None and isinstance(given, str) else whole(given)
        if names is None and isinstance(beside, str) and image_id not in self.by_id:
            return self._named(_last_part(beside))
        if image_id is None:
            raise UserError(
                f'"image_id" is an integer, got {short(given)}; write the ids of the '
                "annotations' images"
            )
        if names is not None:
            return self._named(names.get(image_id))
        if image_id not in self.by_id:
            raise UserError(
                f"image id {image_id} is none of the {len(self.by_id)} evaluated images'; "
                "give the annotations that the results were made for"
            )
        image = self.by_id[image_id]
        if isinstance(beside, str) and _last_part(beside) != image.name:
            raise UserError(
                f"it is of {short(beside)}, but the image id {image_id} is {short(image.name)} in "
                "the annotations; write their ids into the results"
            )
        return image

    def _named(self, name: str | None) -> _Image:
        found = self.by_name.get(name or "", ())
        if len(found) == 1:
            return found[0]
        raise UserError(
            f"{len(found)} of the evaluated images are called {name!r}; give the "
            "annotations that the results were made for, or a results list with their image ids"
        )


def named_categories(path: Path) -> Mapping[int, str] | None:
    """The names by which a file of results calls its categories; None for a results list, which
    has ids only. Raises UserError, naming the file.
    """
    return None if is_list(path) else read_categories(path, ("images", "annotations"))


def _category(own: int | None, ids: Mapping[int, int] | None) -> int:
    """Of a result: the file's own, or what that is called by ``ids``."""
    if ids is None:
        return own or 0
    return NO_CATEGORY if own is None else ids.get(own, NO_CATEGORY)


def _evaluated_ids(path: Path, evaluated: Mapping[int, str]) -> Mapping[int, int]:
    """Which of the evaluated categories each of a file's own is, if it is one."""
    named = named_categories(path)
    if named is None:
        return {category: category for category in evaluated}
    return ids_by_name(named, evaluated)


def _to_scored_mask(record: dict[str, Any], image: _Image, category: int) -> ScoredMask:
    score: Any = record.get("score")
    if not (type(score) in (int, float) and abs(score) <= sys.float_info.max):
        raise UserError(f'"score" is a number, got {short(score)}; rank the masks by one')
    if "segmentation" not in record:
        raise UserError("no segmentation; masks are evaluated, not boxes: write masks")
    mask = to_rle(record["segmentation"], image.height, image.width)
    return ScoredMask(mask, float(score), category)
