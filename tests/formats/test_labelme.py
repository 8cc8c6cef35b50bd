from __future__ import annotations

import base64
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from instancefcn.core.errors import UserError
from instancefcn.core.rle import decode
from instancefcn.formats import labelme
from instancefcn.formats.labelme import LabelmeDataset
from instancefcn.formats.labelme import dataset as reading
from instancefcn.formats.labelme.shapes import to_mask
from instancefcn.formats.labelme.writing import masks, polygons, write_masks, write_polygons
from instancefcn.formats.opening import open_dataset
from instancefcn.formats.outlines import outlines
from instancefcn.formats.png import to_png
from instancefcn.formats.prediction import Prediction, Source
from predictions import NOTHING, Mask, disc, of_masks, predicted, random_proposals

HEIGHT, WIDTH = 6, 8
SQUARE = {"label": "cat", "points": [[1, 1], [5, 1], [5, 4], [1, 4]], "shape_type": "polygon"}


def rectangle(x0: int, y0: int, x1: int, y1: int) -> Mask:
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[y0:y1, x0:x1] = True
    return mask


def png(mask: Mask) -> str:
    return base64.b64encode(to_png(mask.astype(np.uint8))).decode()


def write(folder: Path, *shapes: Any, name: str = "x", **more: Any) -> LabelmeDataset:
    """A JSON file and its image, as labelme saves them."""
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (WIDTH, HEIGHT)).save(folder / f"{name}.png")
    content = {
        "version": "5.4.1",
        "flags": {},
        "shapes": list(shapes),
        "imagePath": f"{name}.png",
        "imageData": None,
        "imageHeight": HEIGHT,
        "imageWidth": WIDTH,
        **more,
    }
    (folder / f"{name}.json").write_text(json.dumps(content))
    return LabelmeDataset(folder)


def drawn(dataset: LabelmeDataset, index: int = 0) -> list[Mask]:
    return [decode(instance.mask) for instance in dataset[index].instances]


# Written.


def as_labelme_reads(record: dict[str, Any], height: int, width: int) -> Mask:
    """The mask, pasted as labelme 5.4 does it (labelme/utils/shape.py, shapes_to_label): from the
    first point to the second, both in it.
    """
    array = np.array(Image.open(io.BytesIO(base64.b64decode(record["mask"])))).astype(bool)
    (x1, y1), (x2, y2) = np.asarray(record["points"]).astype(int)
    mask = np.zeros((height, width), dtype=bool)
    mask[y1 : y2 + 1, x1 : x2 + 1] = array
    return mask


def test_labelme_reads_the_masks_that_were_proposed() -> None:
    prediction = predicted(random_proposals(60))
    for i, mask in enumerate(prediction.masks):
        (record,), lost = masks(prediction.proposals, i)
        assert (record["shape_type"], lost) == ("mask", 0)
        np.testing.assert_array_equal(as_labelme_reads(record, 50, 70), decode(mask))


def test_masks_keep_holes_and_pieces() -> None:
    mask = disc(31, 9, 9, 8) & ~disc(31, 9, 9, 4) | disc(31, 26, 26, 3)
    (record,), _ = masks(of_masks([mask], [0.5]), 0)
    np.testing.assert_array_equal(as_labelme_reads(record, 31, 31), mask)
    assert record["points"] == [[1, 1], [29, 29]]


def test_polygons_of_one_mask_are_a_group_and_holes_are_counted() -> None:
    mask = disc(31, 9, 9, 8) & ~disc(31, 9, 9, 4) | disc(31, 26, 26, 3)
    made, lost = polygons(of_masks([disc(31, 9, 9, 8), mask], [0.9, 0.5]), 1)
    assert [shape["group_id"] for shape in made] == [2, 2]
    assert lost == 1
    (one,), lost = polygons(of_masks([disc(31, 9, 9, 8)], [0.9]), 0)
    assert (one["group_id"], one["shape_type"], lost) == (None, "polygon", 0)


@pytest.mark.parametrize("write_file", [write_polygons, write_masks])
def test_a_file_points_at_its_image(tmp_path: Path, write_file: Any) -> None:
    image = tmp_path / "photos" / "a" / "x.jpg"
    proposals = of_masks([disc(9, 4, 4, 3)], [0.8765432])
    where = Source(image, 1, "a/x.jpg", "a/x")
    (tmp_path / "disk2" / "deep").mkdir(parents=True)
    os.symlink(tmp_path / "disk2" / "deep", tmp_path / "out")  # ".." then leads to disk2
    folder = tmp_path / "out" / "labelme"
    write_file(folder, Prediction.of(where, np.zeros((9, 9, 3), np.uint8), proposals))
    content = json.loads((folder / "a" / "x.json").read_bytes())
    assert os.path.realpath(folder / "a" / content["imagePath"]) == str(image)
    assert (content["imageHeight"], content["imageWidth"]) == (9, 9)
    assert content["imageData"] is None
    (record,) = content["shapes"]
    assert (record["label"], record["score"]) == ("object", 0.876543)
    assert record["description"] == "score 0.877"


# Read back.


@pytest.mark.parametrize("writer", [labelme.POLYGONS, labelme.MASKS], ids=lambda w: w.name)
def test_what_is_written_is_read_back(tmp_path: Path, writer: Any) -> None:
    predictions = [predicted(random_proposals(60)), predicted(NOTHING, "y.jpg", 2)]
    for prediction in predictions:
        writer.write(tmp_path / "out", prediction)
        image = tmp_path / prediction.source.path
        image.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(prediction.pixels).save(image)
    assert writer.path(tmp_path / "out", predictions[0].source).is_file()
    dataset = open_dataset(tmp_path / "out", images=tmp_path / "photos")
    assert list(dataset.problems(decode=True)) == []
    assert len(dataset) == 2
    read = dataset[0].instances
    assert [dataset.categories[i.category] for i in read] == ["object"] * len(predictions[0].masks)
    for instance, mask in zip(read, predictions[0].masks, strict=True):
        if writer is labelme.MASKS:
            assert instance.mask == mask
        else:  # Within the tolerance of outlines, which has its own tests; holes filled.
            changed = decode(instance.mask) ^ decode(mask)
            assert outlines(decode(mask)).holes or changed.mean() < 0.02
    assert dataset[1].instances == ()


def test_lost_holes_are_counted(tmp_path: Path) -> None:
    ring = disc(31, 15, 15, 12) & ~disc(31, 15, 15, 6)
    prediction = predicted(of_masks([ring, ring], [0.9, 0.5]))
    assert labelme.POLYGONS.write(tmp_path, prediction) == {"holes": 2}
    assert labelme.MASKS.write(tmp_path, prediction) == {}


# Hand-made files.


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (SQUARE, rectangle(1, 1, 5, 4)),
        ({**SQUARE, "shape_type": None}, rectangle(1, 1, 5, 4)),
        ({**SQUARE, "shape_type": "oriented_rectangle"}, rectangle(1, 1, 5, 4)),
        ({**SQUARE, "shape_type": "rectangle"}, rectangle(1, 1, 5, 4)),
        (
            {"label": "cat", "points": [[5.2, 4.1], [0.9, 1]], "shape_type": "rectangle"},
            rectangle(1, 1, 5, 4),
        ),
        (
            {"label": "cat", "points": [[4, 3], [4, 5]], "shape_type": "circle"},
            np.hypot(*np.mgrid[-2.5:3.5, -3.5:4.5]) <= 2,
        ),
        (
            {
                "label": "cat",
                "points": [[1.0, 1.0], [4.0, 3.0]],
                "shape_type": "mask",
                "mask": png(np.ones((3, 4), np.bool_)),
            },
            rectangle(1, 1, 5, 4),
        ),
    ],
    ids=lambda v: str(v.get("shape_type")) if isinstance(v, dict) else "",
)
def test_shapes_become_masks(tmp_path: Path, shape: Any, expected: Mask) -> None:
    dataset = write(tmp_path, shape)
    (mask,) = drawn(dataset)
    np.testing.assert_array_equal(mask, expected)
    assert dict(dataset.categories) == {1: "cat"}
    assert list(dataset.problems()) == []


def test_shapes_of_one_label_and_group_are_one_object(tmp_path: Path) -> None:
    left, right = (
        {"points": [[x, 1], [x + 2, 3]], "shape_type": "rectangle", "group_id": 4} for x in (0, 5)
    )
    dataset = write(
        tmp_path, {**left, "label": "cat"}, {**left, "label": "dog"}, {**right, "label": "cat"}
    )
    cat, dog = drawn(dataset)
    np.testing.assert_array_equal(cat, rectangle(0, 1, 2, 3) | rectangle(5, 1, 7, 3))
    np.testing.assert_array_equal(dog, rectangle(0, 1, 2, 3))
    assert [dataset.categories[i.category] for i in dataset[0].instances] == ["cat", "dog"]


def test_what_is_no_area_is_left_out_and_counted(tmp_path: Path) -> None:
    line = {"label": "edge", "points": [[0, 0], [3, 3]], "shape_type": "line"}
    dataset = write(tmp_path, SQUARE, line, line, {**line, "shape_type": "point"})
    (tmp_path / "settings.json").write_text('{"theme": "dark"}')
    (tmp_path / ".hidden.json").write_text("{")
    assert len(dataset[0].instances) == 1
    assert dict(dataset.categories) == {1: "cat"}
    assert [(p.severity, p.kind, p.message[:9]) for p in dataset.problems()] == [
        ("warning", "left out: JSON files without shapes", "1 of them"),
        ("warning", "left out: shapes of type 'line'", "2 of them"),
        ("warning", "left out: shapes of type 'point'", "1 of them"),
    ]


def test_an_image_without_a_shape_has_no_objects_and_nothing_but_such_is_a_problem(
    tmp_path: Path,
) -> None:
    dataset = write(tmp_path)
    assert dataset[0].instances == ()
    assert [p.kind for p in dataset.problems()] == ["no objects"]
    (tmp_path / "empty").mkdir()
    assert [p.kind for p in LabelmeDataset(tmp_path / "empty").problems()] == ["no objects"]


# Images.


@pytest.mark.parametrize(
    "name",
    ["x.png", "a\\x.png", "..\\images\\x.png", "C:\\Users\\me\\x.png", "/home/me/x.png", "./x.png"],
)
def test_an_image_is_found_beside_its_file_whatever_path_it_had(tmp_path: Path, name: str) -> None:
    assert write(tmp_path, SQUARE, imagePath=name)[0].path == tmp_path / "x.png"


def test_an_image_outside_is_taken_only_from_the_folder_that_is_given(tmp_path: Path) -> None:
    write(tmp_path / "labels", SQUARE, imagePath="../photos/a/x.png")
    (tmp_path / "photos" / "a").mkdir(parents=True)
    image = (tmp_path / "labels" / "x.png").rename(tmp_path / "photos" / "a" / "x.png")
    (problem,) = (
        p for p in open_dataset(tmp_path / "labels").problems() if p.kind == "bad annotation"
    )
    expected = "its image '../photos/a/x.png' is not beside it; put it there, or give --images"
    assert problem.message.endswith(f"x.json: {expected} (in a recipe: images)")
    for folder in (tmp_path / "photos", tmp_path / "photos" / "a"):
        assert open_dataset(tmp_path / "labels", images=folder)[0].path == image


def test_a_size_that_is_not_given_is_the_image_s(tmp_path: Path) -> None:
    dataset = write(tmp_path, SQUARE, imageHeight=None)
    assert (dataset[0].height, dataset[0].width) == (HEIGHT, WIDTH)
    dataset = write(tmp_path, SQUARE, imageHeight=HEIGHT + 1)
    assert [p.kind for p in dataset.problems()] == ["wrong image size"]


def test_splits_are_folders(tmp_path: Path) -> None:
    for split, name in (("train", "x"), ("train", "y"), ("val", "z")):
        write(tmp_path / split, SQUARE, name=name)
    assert len(open_dataset(tmp_path, "train")) == 2
    assert open_dataset(tmp_path, "val").name == f"{tmp_path.name}/val"
    with pytest.raises(UserError, match="no folder train in it; lay each split's images and JSON"):
        open_dataset(tmp_path / "train", "train")
    with pytest.raises(UserError, match="no split dev; give --split; found there: train, val"):
        open_dataset(tmp_path, "dev")


# Refusals.

MASK = {"label": "cat", "points": [[1, 1], [4, 3]], "shape_type": "mask"}


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (7, "a shape is a JSON object, got 7"),
        ({**SQUARE, "label": 3}, '"label" is a text of one line, got 3'),
        ({**SQUARE, "label": "a\nb"}, '"label" is a text of one line'),
        ({**SQUARE, "shape_type": 3}, '"shape_type" is a text, got 3'),
        ({**SQUARE, "group_id": "1"}, '"group_id" is an integer or null'),
        ({**SQUARE, "points": None}, '"points" is a list'),
        ({**SQUARE, "points": [[1, 2, 3]] * 4}, r"a point is \[x, y\] in pixels"),
        ({**SQUARE, "points": [[1, True]] * 4}, r"a point is \[x, y\] in pixels"),
        (
            {**SQUARE, "points": [[1, float("nan")]] * 4},
            "a point is .*; draw it at the image's own size",
        ),
        ({**SQUARE, "points": [[1, 1e9]] * 4}, "a point is .* on an image of 8 x 6"),
        ({**SQUARE, "points": [[1, 1], [2, 2]]}, "a polygon of 2 points encloses nothing"),
        ({**SQUARE, "shape_type": "circle"}, "a circle has 2 points"),
        ({**SQUARE, "shape_type": "rectangle", "points": [[1, 1]]}, "a rectangle has 2 opposite"),
        ({**MASK, "points": []}, "a mask has 2 points"),
        ({**MASK, "points": [[4, 3], [1, 1]]}, "a mask's box is 4, 3 to 1, 1"),
        ({**MASK, "points": [[1, 1], [8, 3]]}, "a mask's box is 1, 1 to 8, 3 on an image of 8"),
        (MASK, '"mask" is a PNG in base64, got None'),
        ({**MASK, "mask": "é"}, '"mask" is a PNG in base64'),
        ({**MASK, "mask": "AAAA"}, "no PNG"),
        ({**MASK, "mask": png(np.ones((3, 5), np.bool_))}, "a PNG of 5 x 3 pixels where 4 x 3"),
        ({**MASK, "mask": png(np.ones((3, 4), np.bool_))[:64]}, "a PNG that cannot be read"),
    ],
)
def test_a_bad_shape_is_named(tmp_path: Path, shape: Any, message: str) -> None:
    dataset = write(tmp_path, SQUARE, shape)
    with pytest.raises(UserError, match=rf"x\.json: shape 2 of 2: {message}") as caught:
        dataset[0]
    assert "\n" not in str(caught.value)
    assert "bad annotation" in {p.kind for p in dataset.problems()}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "a labelme file is a JSON object"),
        ('{"shapes": 3, "imagePath": "x.png"}', '"shapes" is a list, got 3'),
        ('{"shapes": [], "imagePath": 3}', '"imagePath" is the name of the image, got 3'),
        ('{"shapes": [], "imagePath": "x\\u0000.png"}', r"its image 'x\\x00\.png' is not beside"),
        (f'{{"shapes": [], "imagePath": "{"x" * 300}"}}', "is not beside it"),
        (
            '{"shapes": [], "imagePath": "x.png", "imageHeight": 0, "imageWidth": 3}',
            '"imageHeight" and "imageWidth" are pixels, got 0, 3',
        ),
        (
            '{"shapes": [], "imagePath": "x.png", "imageHeight": 1000000, "imageWidth": 1000000}',
            "1000000 x 1000000 pixels are more than",
        ),
    ],
    ids=range(9),
)
def test_a_bad_file_is_named(tmp_path: Path, content: str, message: str) -> None:
    dataset = write(tmp_path, SQUARE)
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(UserError, match=rf"x\.json: .*{message}"):
        dataset[0]
    assert "bad annotation" in {p.kind for p in dataset.problems()}


def test_a_file_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = write(tmp_path, SQUARE)
    monkeypatch.setattr(reading, "MAX_BYTES", 10)
    with pytest.raises(UserError, match=r"x\.json: .* save it without imageData"):
        dataset[0]


def test_a_mask_is_measured_before_it_is_decoded() -> None:
    """A PNG whose header says 60,000 x 60,000 is refused by its header."""
    content = bytearray(to_png(np.ones((3, 4), np.uint8)))
    content[16:24] = (60_000).to_bytes(4, "big") * 2
    record = {**MASK, "mask": base64.b64encode(content).decode()}
    with pytest.raises(UserError, match="a PNG of 60000 x 60000 pixels where 4 x 3 belong"):
        to_mask(record, HEIGHT, WIDTH)
