from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from PIL import Image

from instancefcn.core.errors import UserError
from instancefcn.core.proposals import CLASS_AGNOSTIC
from instancefcn.core.rle import decode
from instancefcn.data.dataset import Dataset
from instancefcn.formats.opening import open_dataset
from instancefcn.formats.outlines import outlines
from instancefcn.formats.yolo import WRITER, YoloDataset
from instancefcn.formats.yolo import lines as reading
from instancefcn.formats.yolo.yamls import read_yaml
from predictions import NOTHING, Mask, disc, labelled, of_masks, predicted, random_proposals

HEIGHT, WIDTH = 6, 8
SQUARE = "0 0.125 0.1666667 0.625 0.1666667 0.625 0.6666667 0.125 0.6666667"


def write(folder: Path, text: str | None, name: str = "x", images: str = "images") -> None:
    """An image and, unless it is None, the text file that goes with it."""
    image = folder / images / f"{name}.png"
    image.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (WIDTH, HEIGHT)).save(image)
    if text is not None:
        path = folder / images.replace("images", "labels") / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def write_yaml(folder: Path, **content: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data.yaml").write_text(yaml.safe_dump(content))


def drawn(dataset: Dataset, index: int = 0) -> list[Mask]:
    return [decode(instance.mask) for instance in dataset[index].instances]


# Written.


def as_yolo_reads(text: str, height: int, width: int) -> list[Mask]:
    """The masks, each polygon filled by OpenCV as YOLO's trainers do, but at twice the size, so
    that the border, which OpenCV fills too, is half a pixel wide.
    """
    masks = []
    for line in text.splitlines():
        number, *words = line.split()
        assert number == "0"
        points = np.array(words, np.float64).reshape(-1, 2) * (2 * width, 2 * height)
        canvas = np.zeros((2 * height + 1, 2 * width + 1), np.uint8)
        cv2.fillPoly(canvas, [np.rint(points).astype(np.int32)], 1)
        masks.append(canvas[1::2, 1::2].astype(bool))
    return masks


def test_yolo_reads_the_masks_that_were_proposed(tmp_path: Path) -> None:
    prediction = predicted(random_proposals(60))
    WRITER.write(tmp_path, prediction)
    text = (tmp_path / "labels" / "a" / "x.txt").read_text()
    read = as_yolo_reads(text, 50, 70)
    assert len(read) == len(prediction.masks)
    for mask, rle in zip(read, prediction.masks, strict=True):
        expected = decode(rle)
        if not outlines(expected).holes and len(outlines(expected).parts) == 1:
            assert (mask ^ expected).sum() <= max(2, 0.05 * expected.sum())


def test_lost_holes_are_counted_and_parts_are_joined(tmp_path: Path) -> None:
    ring = disc(31, 9, 9, 8) & ~disc(31, 9, 9, 4)
    both = ring | disc(31, 26, 26, 3)
    assert WRITER.write(tmp_path, predicted(of_masks([ring, both], [0.9, 0.5]))) == {"holes": 2}
    assert len((tmp_path / "labels" / "a" / "x.txt").read_text().splitlines()) == 2


# Read back.


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    predictions = [predicted(random_proposals(60)), predicted(NOTHING, "y.jpg", 2)]
    for prediction in predictions:
        WRITER.write(tmp_path / "out", prediction)
        image = tmp_path / prediction.source.path
        image.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(prediction.pixels).save(image)
    assert WRITER.path(tmp_path / "out", predictions[0].source).is_file()
    dataset = open_dataset(tmp_path / "out", images=tmp_path / "photos")
    assert list(dataset.problems(decode=True)) == []
    assert (len(dataset), dict(dataset.categories)) == (2, {0: "object"})
    for mask, rle in zip(drawn(dataset), predictions[0].masks, strict=True):
        expected = decode(rle)
        if not outlines(expected).holes:
            assert (mask ^ expected).sum() <= 0.05 * expected.sum()
    assert dataset[1].instances == ()
    (tmp_path / "photos").rename(tmp_path / "out" / "images")
    assert len(drawn(open_dataset(tmp_path / "out"))) == len(predictions[0].masks)


def test_data_yaml_is_written_once(tmp_path: Path) -> None:
    write_yaml(tmp_path, names=["mine"])
    before = (tmp_path / "data.yaml").read_bytes()
    WRITER.write(tmp_path, predicted(NOTHING))
    assert (tmp_path / "data.yaml").read_bytes() == before


def test_classes_are_counted_from_0_in_the_order_of_their_ids(tmp_path: Path) -> None:
    WRITER.write(tmp_path, predicted(labelled()))
    lines = (tmp_path / "labels" / "a" / "x.txt").read_text().splitlines()
    assert [int(line.split()[0]) for line in lines] == [8, 7, 6, 5, 4, 3, 2, 1, 0, 8]


def test_a_data_yaml_of_other_classes_is_neither_replaced_nor_belied(tmp_path: Path) -> None:
    write_yaml(tmp_path, names=["cup", "box"])
    for proposals in (labelled(), of_masks([disc(9, 4, 4, 3)], [0.9])):
        with pytest.raises(UserError, match=r"data\.yaml: its names are not those of the propos"):
            WRITER.write(tmp_path, predicted(proposals))
    assert [path.name for path in tmp_path.iterdir()] == ["data.yaml"]


def test_a_data_yaml_of_ours_makes_room_on_request_only(tmp_path: Path) -> None:
    """With the files that count by it: they are to be written anew."""
    before, after = predicted(labelled()), predicted(of_masks([disc(9, 4, 4, 3)], [0.9]))
    (ours,) = after.proposals.categories.values()
    WRITER.write(tmp_path, before)
    text, file = (tmp_path / "data.yaml").read_text(), WRITER.path(tmp_path, after.source)
    with pytest.raises(UserError, match=r"data\.yaml: its names .*, or --overwrite to replace it"):
        WRITER.before(tmp_path, after.proposals.categories, None)
    other = tmp_path / "labels" / "b.txt"
    other.write_text("0 0 0 1 0 1 1\n")
    with pytest.raises(UserError, match=r"b\.txt: counts classes by .*data\.yaml, which is to be"):
        WRITER.before(tmp_path, after.proposals.categories, {file})
    assert (tmp_path / "data.yaml").read_text() == text
    WRITER.before(tmp_path, after.proposals.categories, {file, other})
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    WRITER.write(tmp_path, after)
    assert read_yaml(tmp_path / "data.yaml")["names"] == {0: ours}


def test_nothing_makes_room_where_names_fit_or_are_anothers(tmp_path: Path) -> None:
    WRITER.before(tmp_path / "new", CLASS_AGNOSTIC, set())
    WRITER.write(tmp_path, predicted(NOTHING))
    ours = (tmp_path / "data.yaml").read_text()
    for text in (ours, ours.replace("object", "cup"), f"names: [cup] # {ours}"):
        (tmp_path / "data.yaml").write_text(text)
        WRITER.before(tmp_path, CLASS_AGNOSTIC, set())
        assert (tmp_path / "data.yaml").read_text() == text
    with pytest.raises(UserError, match=r"its names are not those .*, or move it away"):
        WRITER.before(tmp_path, {1: "cup", 2: "box"}, set(tmp_path.rglob("*")))
    assert (tmp_path / "data.yaml").read_text() == text


# Hand-made files.


def test_polygons_become_masks(tmp_path: Path) -> None:
    write(tmp_path, f"{SQUARE}\n\n7 0 0 1 0 1 1 0 1.000001\r\n")
    write_yaml(tmp_path, train="images", val="images", names={0: "cat", 7: "dog"})
    dataset = open_dataset(tmp_path)
    square, whole = drawn(dataset)
    expected = np.zeros((HEIGHT, WIDTH), np.bool_)
    expected[1:4, 1:5] = True
    np.testing.assert_array_equal(square, expected)
    assert whole.all()
    assert [dataset.categories[i.category] for i in dataset[0].instances] == ["cat", "dog"]
    assert list(dataset.problems()) == []


@pytest.mark.parametrize(
    ("named", "images"),
    [
        ({"path": ".", "train": "images/train", "val": "images/val"}, "images/{}"),
        ({"path": "../datasets/mine", "train": "images/train", "val": "images/val"}, "images/{}"),
        ({"train": "../train/images", "val": "../valid/images"}, "{}/images"),
        ({"train": "C:\\me\\mine\\train\\images", "val": "D:\\valid\\images"}, "{}/images"),
        ({"train": "/home/me/images/train/", "val": "./images/val"}, "images/{}"),
    ],
)
def test_folders_that_data_yaml_names_are_found_beside_it(
    tmp_path: Path, named: dict[str, str], images: str
) -> None:
    for split, name in (("train", "x"), ("train", "y"), ("val", "z")):
        folder = "valid" if split == "val" and images.startswith("{") else split
        write(tmp_path, SQUARE, name, images.format(folder))
    write_yaml(tmp_path, names=["cat"], nc=1, **named)
    assert [len(open_dataset(tmp_path, split)) for split in ("train", "val")] == [2, 1]
    assert len(drawn(open_dataset(tmp_path / "data.yaml", "val"))) == 1
    with pytest.raises(UserError, match=r"which split of it\? .*found there: train, val"):
        open_dataset(tmp_path)


def test_lists_and_several_folders(tmp_path: Path) -> None:
    for split, name in (("train", "x"), ("train", "y"), ("more", "z")):
        write(tmp_path, SQUARE, name, f"images/{split}")
    write_yaml(tmp_path, names=["cat"], train="train.txt", val=["images/train", "images/more"])
    (tmp_path / "train.txt").write_text("data/images/train/x.png\n\nC:\\images\\more\\z.png\n")
    listed, several = open_dataset(tmp_path, "train"), open_dataset(tmp_path, "val")
    assert [listed[i].path.name for i in range(len(listed))] == ["x.png", "z.png"]
    assert [len(drawn(several, i)) for i in range(len(several))] == [1, 1, 1]
    assert [*listed.problems(), *several.problems()] == []
    (tmp_path / "train.txt").write_text("images/train/x.png\n../../etc/none.png\n")
    (problem,) = open_dataset(tmp_path, "train").problems()
    assert "train.txt: line 2: its image '../../etc/none.png' is not beside it" in problem.message


def test_folders_without_data_yaml(tmp_path: Path) -> None:
    write(tmp_path, SQUARE.replace("0", "3", 1), "x", "images/train")
    write(tmp_path, SQUARE, "z", "images/val")
    assert dict(open_dataset(tmp_path, "train").categories) == {3: "class 3"}
    assert len(open_dataset(tmp_path)) == 2
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    assert dict(open_dataset(tmp_path, "val").categories) == {0: "cat", 1: "dog"}


def test_an_image_without_a_text_file_has_no_objects_and_is_counted(tmp_path: Path) -> None:
    write(tmp_path, SQUARE, "x")
    write(tmp_path, None, "y")
    write(tmp_path, "", "z")
    write(tmp_path, SQUARE, "gone")
    (tmp_path / "images" / "gone.png").unlink()
    dataset = YoloDataset(tmp_path)
    assert [len(drawn(dataset, i)) for i in range(3)] == [1, 0, 0]
    assert [(p.severity, p.kind) for p in dataset.problems()] == [
        ("warning", "image without labels"),
        ("warning", "labels without image"),
    ]


# Refusals.


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.5 0.5 0.2 0.2", "a box, not an outline; export the data set for segmentation"),
        ("cat 0 0 1 0 1 1", "a line begins with the number of a class, got 'cat'"),
        ("-1 0 0 1 0 1 1", "a line begins with the number of a class"),
        ("9999999999 0 0 1 0 1 1", "a line begins with the number of a class"),
        ("0 0 0 1 0 1 1 0.9", "7 numbers after the class; an outline has at least 3 points"),
        ("0 0 0", "2 numbers after the class"),
        ("0 0 0 1 0 1 one", "could not convert string to float: 'one'"),
        ("0 0 0 320 0 320 240", "a coordinate is 320; give shares of the image's width"),
        ("0 0 0 1 0 1 nan", "a coordinate is nan"),
        ("0 0 0 1 0 1 1e999", "a coordinate is inf"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    write(tmp_path, f"{SQUARE}\n{line}\n")
    with pytest.raises(UserError, match=rf"x\.txt: line 2: {message}"):
        YoloDataset(tmp_path)[0]
    assert "bad annotation" in {p.kind for p in YoloDataset(tmp_path).problems()}


def test_a_text_file_too_large_or_not_text_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, SQUARE)
    (tmp_path / "labels" / "x.txt").write_bytes(b"\xff\xfe0 0")
    with pytest.raises(UserError, match=r"x\.txt: not a text in UTF-8"):
        YoloDataset(tmp_path)[0]
    monkeypatch.setattr(reading, "MAX_BYTES", 3)
    with pytest.raises(UserError, match=r"x\.txt: 0 MiB are more than"):
        YoloDataset(tmp_path)[0]


BOMB = "a: &a [1, 1]\nb: &b [*a, *a]\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("names: [cat", "not YAML"),
        ("cat", "data.yaml has names and the folders"),
        (BOMB, "data.yaml has names and the folders"),
        ("[" * 100_000, "not YAML"),
        ("train: images\nnames: 3", "names is a list of classes, each a text of one line, got 3"),
        ('names: ["a\\nb"]', "names is a list of classes, each a text of one line"),
        (
            "train: elsewhere\nnames: [cat]",
            "its images, 'elsewhere', are not beside it; put them there",
        ),
        ("train: [images, more]\nnames: [cat]", "its images, 'more', are not beside it"),
        ("train: {a: 1}\nnames: [cat]", "its images, {'a': 1}, are not beside it"),
    ],
)
def test_a_bad_data_yaml_is_named(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, SQUARE)
    (tmp_path / "data.yaml").write_text(text)
    dataset = YoloDataset(tmp_path)
    with pytest.raises(UserError, match=rf"data\.yaml: .*{message}"):
        (len(dataset), dataset.categories)
    assert "error" in {p.severity for p in dataset.problems()}
