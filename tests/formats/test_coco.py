from __future__ import annotations

import json
import os
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


@pytest.mark.parametrize("segmentation", [None, [], [[]], [[1, 1]], [[1, 1, 5, 4], []]])
def test_an_annotation_without_an_outline_is_left_out(
    coco: Write, sound: dict[str, Any], segmentation: Any
) -> None:
    sound["annotations"][0]["segmentation"] = segmentation
    dataset = coco(sound)
    assert [len(dataset[i].instances) for i in range(2)] == [0, 2]


def test_lone_points_beside_an_outline_change_nothing(coco: Write, sound: dict[str, Any]) -> None:
    expected = coco(sound)[0]
    sound["annotations"][0]["segmentation"] += [[7, 5], [], [0, 0, 7, 5]]
    assert coco(sound)[0] == expected


def test_ids_and_sizes_of_other_tools_count_as_the_integers_they_are(
    coco: Write, sound: dict[str, Any]
) -> None:
    expected = [coco(sound)[i] for i in range(2)]
    for image in sound["images"]:
        image |= {"id": str(image["id"]), "height": float(image["height"])}
    for annotation in sound["annotations"]:
        annotation["image_id"] = float(annotation["image_id"])
        annotation["category_id"] = str(annotation["category_id"])
    sound["annotations"][1]["segmentation"]["size"] = [6.0, 8.0]
    dataset = coco(sound)
    assert [dataset[i] for i in range(2)] == expected
    sound["images"][0]["id"] = 3.0
    with pytest.raises(ValueError, match="two images have the id 3"):
        len(coco(sound))


@pytest.mark.parametrize("name", ["..\\label\\a.png", "C:\\me\\a.png", "sub\\..\\a.png", "./a.png"])
def test_names_of_windows_find_their_files(coco: Write, sound: dict[str, Any], name: str) -> None:
    sound["images"][1]["file_name"] = name
    assert coco(sound)[0].path.resolve().name == "a.png"
    assert coco(sound)[0].path.is_file()


def test_windows_folders_are_folders(coco: Write, sound: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.png").touch()
    sound["images"][1]["file_name"] = "sub\\a.png"
    assert coco(sound)[0].path == tmp_path / "sub" / "a.png"


@pytest.mark.parametrize("name", ["../secret.png", "x/../../secret.png", "/secret.png"])
def test_files_outside_the_folder_are_read_on_request_only(
    coco: Write, sound: dict[str, Any], tmp_path: Path, name: str
) -> None:
    sound["images"][1]["file_name"] = name
    dataset = coco(sound)
    with pytest.raises(ValueError, match=r"image 3: the file_name '.*' leaves the image folder"):
        dataset[0]
    assert "image outside" in [problem.kind for problem in dataset.problems()]
    outside = CocoDataset(dataset.annotations, tmp_path, outside=True)
    assert outside[0].path == tmp_path / name
    assert "image outside" not in [problem.kind for problem in outside.problems()]


def test_absolute_names_within_the_folder_are_within_it(
    coco: Write, sound: dict[str, Any], tmp_path: Path
) -> None:
    sound["images"][1]["file_name"] = str(tmp_path / "a.png")
    assert coco(sound)[0].path == tmp_path / "a.png"


def test_names_of_any_bytes_are_read(coco: Write, sound: dict[str, Any], tmp_path: Path) -> None:
    names = ["two\nlines.png", os.fsdecode(b"caf\xe9.png")]
    for image, name in zip(sound["images"], names, strict=True):
        image["file_name"] = name
        (tmp_path / "a.png").with_name(name).write_bytes(b"")
    dataset = coco(sound)
    assert [dataset[i].path.name for i in (1, 0)] == names
    problems = [str(problem) for problem in dataset.problems()]
    assert len(problems) == 3  # two empty files, and the crowds
    assert all(problem.isprintable() for problem in problems)


def test_a_file_that_changes_under_its_reader_is_not_misread(
    coco: Write, sound: dict[str, Any]
) -> None:
    dataset = coco(sound)
    assert len(dataset) == 2
    sound["images"].reverse()
    sound["info"] = "longer"
    coco(sound)
    with pytest.raises(ValueError, match=r"instances\.json: changed since it was opened"):
        dataset[0]


def test_annotations_are_found_wherever_they_stand(coco: Write, sound: dict[str, Any]) -> None:
    expected = [coco(sound)[i] for i in range(2)]
    sound["annotations"] = [sound["annotations"][i] for i in (1, 0, 2)]
    dataset = coco(dict(reversed(sound.items())))
    assert [dataset[i] for i in range(2)] == expected
    assert dataset[-1] == expected[1]


def test_annotations_are_an_object_by_id_in_livecell(coco: Write, sound: dict[str, Any]) -> None:
    sound["annotations"] = {"1": sound["annotations"][0]}
    with pytest.raises(ValueError, match=r'json: "annotations" is an object, not a list; make'):
        len(coco(sound))


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
        ("images", "id", "007"),
        ("images", "id", True),
        ("images", "id", 2**63),
        ("images", "file_name", None),
        ("images", "file_name", ""),
        ("images", "file_name", "a\0.png"),
        ("images", "height", 0),
        ("images", "width", 6.5),
        ("images", "width", 10**9),
        ("annotations", "id", None),
        ("annotations", "image_id", 3.5),
        ("annotations", "category_id", None),
        ("annotations", "iscrowd", 2),
        ("annotations", "iscrowd", []),
        ("categories", "id", "cat"),
        ("categories", "name", "two\nlines"),
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
        ("x", "no mask"),
        ([1, 1, 5, 1, 5, 4], "one flat list of numbers"),
        ([[1, 1, 5, 1, "5", 4]], "a list of polygons"),
        ([[1, 1, 5, 1, True, 4]], "a list of polygons"),
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
