"""A part of a data set, or all of it under other ids."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from instancefcn.core.errors import UserError
from instancefcn.data.splits import shipped_split
from instancefcn.data.subsets import Every, Listed, Only, Recategorised, few
from instancefcn.formats.coco import CocoDataset
from shapes import write_shapes


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> CocoDataset:
    annotations = write_shapes(tmp_path_factory.mktemp("shapes"), images=7)
    return CocoDataset(annotations, annotations.parent)


@pytest.mark.parametrize(
    ("step", "kept"), [(1, range(7)), (2, [0, 2, 4, 6]), (6, [0, 6]), (9, [0])]
)
def test_images_are_those_of_the_whole(dataset: CocoDataset, step: int, kept: list[int]) -> None:
    part = Every(dataset, step)
    assert [image.path for image in map(part.__getitem__, range(len(part)))] == [
        dataset[i].path for i in kept
    ]
    assert part.categories == dataset.categories
    assert part.name == f"1 in {step} of {dataset.name}"
    with pytest.raises(IndexError):
        part[len(part)]


def test_problems_are_those_of_its_images(tmp_path: Path) -> None:
    annotations = write_shapes(tmp_path, images=3)
    broken = CocoDataset(annotations, tmp_path)
    broken[1].path.write_bytes(b"no image")
    assert not [p for p in Every(broken, 2).problems() if p.severity == "error"]
    assert [p for p in Every(broken, 1).problems() if p.severity == "error"]


def test_a_step_below_one_is_refused(dataset: CocoDataset) -> None:
    with pytest.raises(ValueError, match="step: 0; give 1 or more"):
        Every(dataset, 0)


def test_a_list_chooses_by_the_names_of_files(tmp_path: Path) -> None:
    """Two of three images have names of the list, in its order or not."""
    annotations = write_shapes(tmp_path, images=3)
    first, second, *_ = shipped_split("pennfudan_dev")
    content = json.loads(annotations.read_text())
    for image, name in zip(content["images"], (second, "other", first), strict=True):
        image["file_name"] = f"{name}.png"
    annotations.write_text(json.dumps(content))
    part = Listed(CocoDataset(annotations, tmp_path), "pennfudan_dev")
    assert [part[i].path.stem for i in range(len(part))] == [second, first]
    with pytest.raises(IndexError):
        part[2]
    with pytest.raises(ValueError, match=r"none\.txt: no such split; .*pennfudan_dev"):
        len(Listed(part, "none"))


def test_some_categories_alone(tmp_path: Path) -> None:
    """Images that show none of them are gone, and so are objects of others; ids stay."""
    annotations = write_shapes(tmp_path, images=3)
    content = json.loads(annotations.read_text())
    content["categories"] = [{"id": 4, "name": "disc"}, {"id": 9, "name": "bar"}]
    of_image = {image["id"]: place for place, image in enumerate(content["images"])}
    firsts: dict[int, int] = {}
    for annotation in content["annotations"]:
        place = of_image[annotation["image_id"]]
        first = firsts.setdefault(place, annotation["id"]) == annotation["id"]
        annotation["category_id"] = 9 if first and place != 1 else 4
    annotations.write_text(json.dumps(content))
    whole = CocoDataset(annotations, tmp_path)
    part = Only(whole, ["bar"])
    assert part.categories == {9: "bar"}
    assert [part[i].path for i in range(len(part))] == [whole[0].path, whole[2].path]
    assert [[i.category for i in part[place].instances] for place in (0, 1)] == [[9], [9]]
    assert part[0].instances[0] == whole[0].instances[0]
    with pytest.raises(IndexError):
        part[2]
    assert len(Only(whole, ["disc", "bar"])) == 3
    with pytest.raises(UserError, match=r"has no category 'bat'.*bar"):
        len(Only(whole, ["bat"]))


def test_a_part_has_the_images_of_its_places_and_none_beside(dataset: CocoDataset) -> None:
    """Not even from the end: what walks over a data set stops at an IndexError."""
    for part in (Every(dataset, 2), Only(dataset, ["frame"]), Every(Only(dataset, ["frame"]), 3)):
        assert part[len(part) - 1].path in {
            image.path for image in map(dataset.__getitem__, range(7))
        }
        for outside in (-1, len(part)):
            with pytest.raises(IndexError):
                part[outside]


# --- other ids


def test_categories_are_found_by_their_names(dataset: CocoDataset) -> None:
    """The data set has rectangles as 1 and frames as 2; a network may have 7 and 3."""
    other = Recategorised(dataset, {3: "frame", 7: "rectangle"})
    assert (other.name, len(other)) == (dataset.name, len(dataset))
    assert other.categories == {3: "frame", 7: "rectangle"}
    assert list(other.problems()) == list(dataset.problems())
    ids = {1: 7, 2: 3}
    for index in range(len(dataset)):
        one, same = other[index], dataset[index]
        assert [i.category for i in one.instances] == [ids[i.category] for i in same.instances]
        assert [i.mask for i in one.instances] == [i.mask for i in same.instances]
        assert (one.path, one.void) == (same.path, same.void)
    with pytest.raises(IndexError):
        other[len(other)]


def test_the_same_ids_change_nothing(dataset: CocoDataset) -> None:
    same = Recategorised(dataset, dataset.categories)
    assert [same[i] for i in range(len(same))] == [dataset[i] for i in range(len(dataset))]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["rectangle"], "has also frame;"),
        (["rectangle", "frame", "disc"], "lacks disc;"),
        (["disc", "frame"], "lacks disc and has also rectangle;"),
        (["a", "b", "c", "d", "e"], "lacks a, b, c and 2 more and has also frame, rectangle;"),
    ],
)
def test_other_names_are_told_in_one_line(
    dataset: CocoDataset, names: list[str], words: str
) -> None:
    """By the check, which reads no image, and by each image."""
    other = Recategorised(dataset, dict(enumerate(names)))
    for read in (other.require_same_names, lambda: other[0]):
        with pytest.raises(UserError) as error:
            read()
        assert str(error.value).startswith(f"{dataset.name}: its categories are not the network's")
        assert words in str(error.value)
        assert "\n" not in str(error.value)


def test_a_few_names_are_told_and_the_others_counted() -> None:
    assert few(["a"]) == "a"
    assert few(["a", "b", "c"]) == "a, b, c"
    assert few(["a", "b", "c", "d"]) == "a, b, c and 1 more"
