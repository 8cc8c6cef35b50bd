from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from instancefcn.core.rle import decode, rle_from_coco, rle_to_coco
from instancefcn.data.dataset import Dataset
from instancefcn.formats.coco import CocoDataset
from instancefcn.formats.coco.records import to_rle

Write = Callable[[Any], CocoDataset]

SHARED = Path(__file__).parents[3] / "shared" / "data"


def test_an_empty_data_set_has_no_images(coco: Write) -> None:
    dataset = coco({"images": [], "annotations": [], "categories": []})
    assert len(dataset) == 0
    assert dataset.categories == {}
    with pytest.raises(IndexError):
        dataset[0]


def test_images_come_in_the_order_of_their_ids(
    coco: Write, sound: dict[str, Any], tmp_path: Path
) -> None:
    dataset: Dataset = coco(sound)
    first, second = dataset[0], dataset[1]
    assert len(dataset) == 2
    assert (first.image_id, first.path) == (3, tmp_path / "a.png")
    assert (second.image_id, second.path) == (7, tmp_path / "b.png")
    assert (first.height, first.width, first.void) == (6, 8, None)


def test_polygons_and_both_kinds_of_rle_become_the_masks_they_describe(
    coco: Write, sound: dict[str, Any]
) -> None:
    dataset = coco(sound)
    polygon, (runs, compressed) = dataset[0].instances[0], dataset[1].instances
    expected = np.zeros((3, 6, 8), np.bool_)
    expected[0, 1:4, 1:5] = True
    expected[1, 1:5, 2] = True
    expected[2, 2:5, 4:8] = True
    for instance, mask in zip((polygon, runs, compressed), expected, strict=True):
        np.testing.assert_array_equal(decode(instance.mask), mask)


def test_categories_and_crowds_are_the_files(coco: Write, sound: dict[str, Any]) -> None:
    dataset = coco(sound)
    assert dataset.categories == {1: "cat", 18: "dog"}
    assert [(i.category, i.crowd) for i in dataset[1].instances] == [(18, True), (1, False)]
    assert [(i.category, i.crowd) for i in dataset[0].instances] == [(1, False)]


def test_an_object_of_several_polygons_is_their_union() -> None:
    left, right = [0, 0, 2, 0, 2, 2, 0, 2], [5, 3, 7, 3, 7, 5, 5, 5]
    both = decode(to_rle([left, right], 6, 8))
    np.testing.assert_array_equal(
        both, decode(to_rle([left], 6, 8)) | decode(to_rle([right], 6, 8))
    )


def test_an_annotation_that_covers_no_pixel_is_left_out(coco: Write, sound: dict[str, Any]) -> None:
    sound["annotations"][0]["segmentation"] = [[1.1, 1.1, 1.2, 1.1, 1.2, 1.2]]
    assert coco(sound)[0].instances == ()


def test_annotations_of_images_that_are_not_listed_are_dropped(
    coco: Write, sound: dict[str, Any]
) -> None:
    sound["annotations"][0]["image_id"] = 99
    dataset = coco(sound)
    assert [len(dataset[i].instances) for i in range(2)] == [0, 2]


def test_the_constructor_reads_nothing() -> None:
    dataset = CocoDataset("no/such/instances_train.json", "no/such/folder")
    assert dataset.name == "such/instances_train"


def test_a_data_set_goes_to_worker_processes(coco: Write, sound: dict[str, Any]) -> None:
    dataset = coco(sound)
    assert pickle.loads(pickle.dumps(dataset))[1] == dataset[1]


@pytest.mark.parametrize("content", [[], 5, None, "x", {}, {"images": []}])
def test_json_that_is_not_coco_is_refused(coco: Write, content: Any) -> None:
    with pytest.raises(ValueError, match=r"instances\.json: a COCO data set has the lists"):
        len(coco(content))


def test_a_list_of_results_says_what_it_is(coco: Write) -> None:
    with pytest.raises(ValueError, match="got 'list'; export the annotations as COCO instances"):
        len(coco([{"image_id": 1, "score": 0.5}]))


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"[" * 100_000])
def test_a_file_that_is_not_json_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.json: not JSON") as info:
        len(CocoDataset(path, tmp_path))
    assert "\n" not in str(info.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"x\.json: cannot be read .*; check the path"):
        len(CocoDataset(tmp_path / "x.json", tmp_path))


def test_two_images_of_one_id_are_refused(coco: Write, sound: dict[str, Any]) -> None:
    sound["images"][1]["id"] = 7
    with pytest.raises(ValueError, match=r"instances\.json: two images have the id 7"):
        len(coco(sound))


@pytest.mark.parametrize(
    ("table", "key", "value"),
    [
        ("images", "id", "7"),
        ("images", "id", True),
        ("images", "id", 2**63),
        ("images", "file_name", None),
        ("images", "file_name", ""),
        ("images", "file_name", "two\nlines.png"),
        ("images", "file_name", "\ud800.png"),
        ("images", "height", 0),
        ("images", "width", 6.5),
        ("images", "width", 10**9),
        ("annotations", "id", None),
        ("annotations", "image_id", "3"),
        ("annotations", "category_id", None),
        ("annotations", "iscrowd", 2),
        ("annotations", "iscrowd", []),
        ("categories", "id", 1.0),
        ("categories", "name", 5),
    ],
)
def test_an_entry_of_no_use_is_refused_in_one_line(
    coco: Write, sound: dict[str, Any], table: str, key: str, value: Any
) -> None:
    sound[table][0][key] = value
    with pytest.raises(ValueError, match=r"instances\.json: ") as info:
        len(coco(sound))
    assert "\n" not in str(info.value)


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        (None, "no mask"),
        ([], "no mask"),
        ("x", "no mask"),
        ([1, 1, 5, 1, 5, 4], "a list of polygons"),
        ([[1, 1, 5, 1, "5", 4]], "a list of polygons"),
        ([[1, 1, 5, 1, True, 4]], "a list of polygons"),
        ([[]], "at least three points"),
        ([[1, 1, 5, 4]], "at least three points"),
        ([[1, 1, 5, 1, 5, 4, 1]], "at least three points"),
        ([[1, 1, 5, 1, float("nan"), 4]], "at least three points"),
        ([[1, 1, 5, 1, float("inf"), 4]], "coordinate is inf on an image of 8 x 6"),
        ([[1, 1, 5, 1, 1e12, 4]], "coordinate is 1000000000000.0 on an image of 8 x 6"),
        ([[1, 1, 5, 1, 10**400, 4]], "on an image of 8 x 6"),
        ({}, "RLE's size"),
        ({"size": [8, 6], "counts": [48]}, r"RLE's size .* is \[8, 6\], the image's \[6, 8\]"),
        ({"size": [6, 8], "counts": [47]}, "add up"),
        ({"size": [6, 8], "counts": [50, -2]}, "RLE"),
        ({"size": [6, 8], "counts": "zzz"}, "add up"),
        ({"size": [6, 8], "counts": [10**30]}, "RLE"),
        ({"size": [6, 8]}, "RLE"),
    ],
)
def test_a_mask_of_no_use_is_refused_and_its_annotation_named(
    coco: Write, sound: dict[str, Any], segmentation: Any, message: str
) -> None:
    sound["annotations"][0]["segmentation"] = segmentation
    with pytest.raises(ValueError, match=message) as info:
        coco(sound)[0]
    assert "instances.json: annotation 1 of image 3 (a.png): " in str(info.value)
    assert "\n" not in str(info.value)


@pytest.mark.skipif(not (SHARED / "coco").is_dir(), reason="the COCO sample is not at hand")
def test_masks_are_those_of_pycocotools() -> None:
    path = SHARED / "coco" / "annotations" / "instances_val2017.json"
    dataset = CocoDataset(path, SHARED / "coco" / "val2017")
    content = json.loads(path.read_text())
    records = [a for a in content["annotations"] if a["image_id"] == dataset[5].image_id]
    assert len(records) == len(dataset[5].instances) > 0
    size = dataset[5].height, dataset[5].width
    for record, instance in zip(records, dataset[5].instances, strict=True):
        parts = record["segmentation"]
        if isinstance(parts, list) or isinstance(parts["counts"], list):
            parts = coco_mask.frPyObjects(parts, *size)
        whole = coco_mask.merge(parts) if isinstance(parts, list) else parts
        assert rle_to_coco(instance.mask) == rle_to_coco(rle_from_coco(whole))
