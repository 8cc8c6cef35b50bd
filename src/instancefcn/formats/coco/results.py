"""Results: ranked masks of images, of any method, in COCO's result format.

https://cocodataset.org/#format-results. Categories and boxes are ignored: what is measured is
where objects are, and pycocotools would take the size of an object from its box if one is there.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as short
from typing import Any, NamedTuple, TypeAlias

from instancefcn.core.errors import UserError
from instancefcn.core.files import whole_file
from instancefcn.core.rle import rle_to_coco
from instancefcn.core.types import AnnotatedImage, Rle
from instancefcn.formats.coco.records import to_rle


class ScoredMask(NamedTuple):
    """A proposal: a mask of the whole image, and a score that ranks it among the image's."""

    mask: Rle
    score: float


Results: TypeAlias = Mapping[int, Sequence[ScoredMask]]
"""Proposals by image id. An image that is not there has none."""


def ranked(proposals: Iterable[ScoredMask]) -> list[ScoredMask]:
    """Best first. Equal scores keep their order, as everywhere in COCO's evaluation."""
    return sorted(proposals, key=lambda proposal: -proposal.score)


def read_results(path: Path | str, images: Iterable[AnnotatedImage]) -> Results:
    """Results for these images: a COCO results list, or a COCO data set whose annotations have
    scores; masks as RLE or polygons; each image's best first.

    A results list has the image ids of ``images``. A data set has ids of its own, so its images
    are found by their file's name.

    Raises ValueError, naming the file and the result, for whatever cannot be used: pycocotools
    would leave out results of unknown images, or count them as misses, without a word.
    """
    path, known = Path(path), _Images.of(images)
    content = _read_json(path)
    try:
        records, names = _records(content)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
    results: dict[int, list[ScoredMask]] = defaultdict(list)
    for index, record in enumerate(records):
        try:
            image = known.find(record, names)
            results[image.image_id].append(_to_scored_mask(record, image))
        except ValueError as error:
            raise UserError(f"{path}: result {index}: {error}") from error
    return {image_id: ranked(proposals) for image_id, proposals in results.items()}


def write_results(path: Path | str, results: Results, category: int = 1) -> None:
    """Write a COCO results list, a result a line, image by image, each image's best first.

    ``category`` must be one of the ground truth's for COCO's own tools, even where they ignore
    categories: else they count every result as a miss.
    """
    with whole_file(Path(path)) as file:
        separator = b"[\n"
        for image_id, proposals in results.items():
            for mask, score in ranked(proposals):
                record = {
                    "image_id": image_id,
                    "category_id": category,
                    "segmentation": rle_to_coco(mask),
                    "score": float(score),
                }
                file.write(separator + json.dumps(record).encode())
                separator = b",\n"
        file.write(b"\n]\n" if separator == b",\n" else b"[]\n")


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON ({error}); write the results again") from error


def _records(content: Any) -> tuple[list[Any], Mapping[int, str] | None]:
    """The results, and, of a data set, the file names of its image ids."""
    if isinstance(content, list):
        return content, None
    if isinstance(content, dict):
        images, annotations = content.get("images"), content.get("annotations")
        if isinstance(images, list) and isinstance(annotations, list):
            return annotations, dict(map(_to_name, images))
    found = sorted(map(str, content)) if isinstance(content, dict) else type(content).__name__
    raise UserError(
        f"neither a COCO results list nor a COCO data set, got {short(found)}; "
        'write a list of {"image_id", "segmentation", "score"}'
    )


def _to_name(record: Any) -> tuple[int, str]:
    if isinstance(record, dict):
        image_id, name = record.get("id"), record.get("file_name")
        if type(image_id) is int and isinstance(name, str):
            return image_id, _last_part(name)
    raise UserError(f'an image has an integer "id" and a text "file_name", got {short(record)}')


def _last_part(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[2]


class _Image(NamedTuple):
    image_id: int
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
            entry = _Image(image.image_id, image.height, image.width)
            by_id[image.image_id] = entry
            by_name[image.path.name].append(entry)
        return cls(by_id, by_name)

    def find(self, record: Any, names: Mapping[int, str] | None) -> _Image:
        """The image of a result; ``names`` are the file names of a data set's own ids."""
        if not isinstance(record, dict):
            raise UserError(f"a result is a JSON object, got {short(record)}")
        image_id = record.get("image_id")
        if type(image_id) is not int:
            raise UserError(f'"image_id" is an integer, got {short(image_id)}')
        if names is None:
            if image_id in self.by_id:
                return self.by_id[image_id]
            raise UserError(
                f"image id {image_id} is none of the {len(self.by_id)} evaluated images'; "
                "give the annotations that the results were made for"
            )
        found = self.by_name.get(names.get(image_id, ""), ())
        if len(found) == 1:
            return found[0]
        raise UserError(
            f"{len(found)} of the evaluated images are called {names.get(image_id)!r}; give the "
            "annotations that the results were made for, or a results list with their image ids"
        )


def _to_scored_mask(record: dict[str, Any], image: _Image) -> ScoredMask:
    score: Any = record.get("score")
    if not (type(score) in (int, float) and abs(score) <= sys.float_info.max):
        raise UserError(f'"score" is a number, got {short(score)}')
    if "segmentation" not in record:
        raise UserError("no segmentation; masks are evaluated, not boxes")
    return ScoredMask(to_rle(record["segmentation"], image.height, image.width), float(score))
