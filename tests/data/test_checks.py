from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from instancefcn.core.types import AnnotatedImage, Instance, Rle
from instancefcn.data.checks import check_items, require_sound, summary
from instancefcn.data.dataset import Dataset, Problem
from instancefcn.formats.coco import CocoDataset
from instancefcn.formats.labelme import LabelmeDataset

Write = Callable[[Any], CocoDataset]


class Listed:
    """A data set as a user would write one: a list, and the common checks."""

    def __init__(self, items: Sequence[AnnotatedImage]) -> None:
        self.items = items
        self.name = "listed"
        self.categories: Mapping[int, str] = {1: "cat"}

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> AnnotatedImage:
        return self.items[index]

    def problems(self, decode: bool = False) -> Iterator[Problem]:
        return check_items(self, decode)


def item(path: Path, image_id: int = 1, category: int = 1) -> AnnotatedImage:
    return AnnotatedImage(image_id, path, 4, 4, (Instance(Rle(4, 4, b"08"), category),))


@pytest.fixture
def image(tmp_path: Path) -> Path:
    Image.new("RGB", (4, 4)).save(tmp_path / "x.png")
    return tmp_path / "x.png"


def kinds(problems: Iterator[Problem]) -> list[tuple[str, str]]:
    return [(problem.severity, problem.kind) for problem in problems]


def test_an_empty_data_set_is_an_error() -> None:
    assert kinds(Listed([]).problems()) == [("error", "no objects")]


def test_a_sound_data_set_has_no_problems(image: Path) -> None:
    dataset: Dataset = Listed([item(image, 1), item(image, 2)])
    assert list(dataset.problems()) == []
    assert require_sound(dataset) == []


def test_images_without_objects_are_no_problem_among_others(image: Path) -> None:
    bare = AnnotatedImage(2, image, 4, 4, ())
    assert list(Listed([bare, item(image)]).problems()) == []
    crowd = AnnotatedImage(3, image, 4, 4, (Instance(Rle(4, 4, b"08"), 1, crowd=True),))
    assert kinds(Listed([bare, crowd]).problems()) == [("error", "no objects")]
    assert kinds(Listed([item(image), crowd]).problems()) == [("warning", "crowds")]


def test_where_no_item_can_be_read_nothing_is_said_of_objects(tmp_path: Path) -> None:
    """What those hold is not known; the errors named are the cause."""
    (tmp_path / "x.json").write_text('{"shapes": [], "imagePath": "x.png"}')
    assert kinds(LabelmeDataset(tmp_path).problems()) == [("error", "bad annotation")]


def test_two_images_of_one_id_are_named(image: Path, tmp_path: Path) -> None:
    other = tmp_path / "y.png"
    Image.new("RGB", (4, 4)).save(other)
    problems = list(Listed([item(image), item(other), item(other)]).problems())
    assert kinds(iter(problems)) == [("warning", "duplicate image id")] * 2
    assert "x.png and" in problems[0].message


def test_what_the_items_show_is_found(image: Path, tmp_path: Path) -> None:
    assert kinds(Listed([item(image, category=9)]).problems()) == [("warning", "unknown category")]
    assert kinds(Listed([item(tmp_path / "y.png")]).problems()) == [("error", "missing image")]
    Image.new("RGB", (5, 4)).save(image)
    assert kinds(Listed([item(image)]).problems()) == [("error", "wrong image size")]
    image.write_text("no image")
    assert kinds(Listed([item(image)]).problems()) == [("error", "unreadable image")]


def test_training_is_refused_by_errors_alone(coco: Write, sound: dict[str, Any]) -> None:
    sound["annotations"][0]["bbox"] = [0, 0, 100, 100]
    for annotation in sound["annotations"][1:]:
        annotation["segmentation"] = None
    odd, bare = require_sound(coco(sound))
    assert "instances: box outside (1), the first: " in odd
    assert "instances: no mask (2), the first: " in bare
    assert "left out" in bare
    for annotation in sound["annotations"][:2]:
        annotation["segmentation"] = "none"
    with pytest.raises(
        ValueError, match=r"instances: errors in the data \(2\), the first: "
    ) as info:
        require_sound(coco(sound))
    assert "annotation 1 of image 3" in str(info.value)
    assert "\n" not in str(info.value)


def test_the_summary_of_nothing() -> None:
    assert summary([]) == "errors: 0, warnings: 0"


def test_the_summary_counts_each_kind_and_shows_its_first() -> None:
    problems = [
        *(Problem("warning", "bad box", f"b{i}", "recalculate it") for i in range(3)),
        *(Problem("error", "missing image", f"m{i}", "check the path") for i in range(2)),
    ]
    assert summary(iter(problems), examples=2).splitlines() == [
        "error: missing image (2)",
        "  m0: check the path",
        "  m1: check the path",
        "warning: bad box (3)",
        "  b0: recalculate it",
        "  b1: recalculate it",
        "  and 1 more",
        "errors: 2, warnings: 3",
    ]
