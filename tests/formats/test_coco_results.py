"""Results files: what is written is read again; what cannot be used is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from instancefcn.core.errors import UserError
from instancefcn.core.rle import decode, encode, rle_to_coco
from instancefcn.core.types import AnnotatedImage, Instance, Rle, ScoredMask
from instancefcn.evaluation.recall import evaluate_recall
from instancefcn.formats.coco.results import NO_CATEGORY, named_categories, ranked, read_results
from instancefcn.formats.coco.writing import write_results

HEIGHT, WIDTH = 6, 8


def box(x0: int, y0: int, x1: int, y1: int) -> Rle:
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[y0:y1, x0:x1] = True
    return encode(mask)


def annotated(image_id: int, name: str) -> AnnotatedImage:
    objects = (Instance(box(0, 0, 4, 4), 1),)
    return AnnotatedImage(image_id, Path("photos", name), HEIGHT, WIDTH, objects)


IMAGES = [annotated(7, "a.jpg"), annotated(9, "b.jpg")]
MASK = box(1, 2, 4, 5)


def result(**changes: object) -> dict[str, Any]:
    plain = {"image_id": 7, "category_id": 1, "segmentation": rle_to_coco(MASK), "score": 0.5}
    return {**plain, **changes}


def write(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_equal_scores_keep_their_order() -> None:
    masks = [box(x, 0, x + 1, 1) for x in range(5)]
    proposals = [ScoredMask(m, s) for m, s in zip(masks, [0.1, 0.7, 0.1, 0.7, 0.9], strict=True)]
    assert ranked(proposals) == [proposals[i] for i in (4, 1, 3, 0, 2)]
    assert ranked([]) == []


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    results = {
        9: [ScoredMask(box(0, 0, 2, 2), 0.1), ScoredMask(box(0, 0, 3, 3), 0.9)],
        7: [ScoredMask(box(0, 0, 1, 1), 0.3), ScoredMask(box(1, 0, 2, 1), 0.3)],
    }
    path = tmp_path / "new" / "results.json"
    write_results(path, results)
    assert read_results(path, IMAGES) == {i: ranked(p) for i, p in results.items()}
    assert [p.name for p in path.parent.iterdir()] == ["results.json"]


def test_what_is_written_is_what_pycocotools_wants(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_results(path, {7: [ScoredMask(MASK, 0.25), ScoredMask(MASK, 0.75, 3)]})
    records = json.loads(path.read_text())
    assert [record["score"] for record in records] == [0.75, 0.25]
    # A "bbox" would set the size by which pycocotools tells small, medium and large apart.
    assert all(r.keys() == {"image_id", "category_id", "segmentation", "score"} for r in records)
    assert records[0]["segmentation"] == {"size": [6, 8], "counts": MASK.counts.decode()}
    assert [record["category_id"] for record in records] == [3, 1]
    write_results(path, {7: [ScoredMask(MASK, 0.25)]}, {1: 90})
    assert json.loads(path.read_text())[0]["category_id"] == 90


def test_writing_is_deterministic(tmp_path: Path) -> None:
    results = {7: [ScoredMask(box(x, 0, x + 1, 1), 0.5) for x in range(5)]}
    write_results(tmp_path / "a.json", results)
    write_results(tmp_path / "b.json", results)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_results(path, {})
    broken = {7: [ScoredMask(MASK, 0.5)], 9: [ScoredMask(Rle(6, 8, b"\xff"), 0.5)]}
    with pytest.raises(UnicodeDecodeError):
        write_results(path, broken)
    assert [p.name for p in tmp_path.iterdir()] == ["results.json"]
    assert json.loads(path.read_text()) == []


def test_no_results_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_results(path, {})
    assert read_results(path, IMAGES) == {}
    assert evaluate_recall(IMAGES, read_results(path, IMAGES)).average(10) == 0


@pytest.mark.parametrize(
    "segmentation",
    [
        rle_to_coco(MASK),
        {"size": [6, 8], "counts": [8, 3, 3, 3, 3, 3, 25]},
        [[1, 2, 4, 2, 4, 5, 1, 5]],
        [[1, 2, 3, 2, 3, 5, 1, 5], [3.0, 2.0, 4.0, 2.0, 4.0, 5.0, 3.0, 5.0]],
    ],
    ids=["compressed", "uncompressed", "polygon", "polygons"],
)
def test_each_form_of_a_mask_is_read(tmp_path: Path, segmentation: object) -> None:
    path = write(tmp_path / "results.json", [result(segmentation=segmentation)])
    ((mask, score, _),) = read_results(path, IMAGES)[7]
    np.testing.assert_array_equal(decode(mask), decode(MASK))
    assert score == 0.5


def test_boxes_are_ignored(tmp_path: Path) -> None:
    plain = write(tmp_path / "plain.json", [result()])
    other = write(tmp_path / "other.json", [result(bbox=[0, 0, 8, 6], id=0)])
    assert read_results(plain, IMAGES) == read_results(other, IMAGES)


def test_a_category_is_kept_and_may_be_missing(tmp_path: Path) -> None:
    record = result(category_id=5)
    path = write(tmp_path / "results.json", [record])
    assert read_results(path, IMAGES)[7][0].category == 5
    del record["category_id"]
    assert read_results(write(path, [record]), IMAGES)[7][0].category == 0


def test_results_are_ranked_image_by_image(tmp_path: Path) -> None:
    scores = [(7, 0.1), (9, 0.2), (7, 0.9), (9, 1), (7, 0.1)]
    records = [result(image_id=i, score=s) for i, s in scores]
    results = read_results(write(tmp_path / "results.json", records), IMAGES)
    assert {i: [p.score for p in ps] for i, ps in results.items()} == {
        7: [0.9, 0.1, 0.1],
        9: [1.0, 0.2],
    }


def test_a_name_beside_an_id_that_is_none_finds_the_image(tmp_path: Path) -> None:
    # As Ultralytics writes them: the id is the file's stem.
    records = [result(image_id="b", file_name="b.jpg"), result(image_id=7.0, file_name="a.jpg")]
    assert set(read_results(write(tmp_path / "r.json", records), IMAGES)) == {7, 9}


# --- A data set with scores


def data_set(*images: dict[str, Any], annotations: list[Any]) -> dict[str, Any]:
    return {"images": list(images), "annotations": annotations, "categories": []}


def test_a_data_sets_images_are_found_by_name(tmp_path: Path) -> None:
    # Its ids are its own: here 9 is a.jpg, which the evaluated images call 7.
    images = {"id": 9, "file_name": "elsewhere/a.jpg"}, {"id": 1, "file_name": "b.jpg"}
    annotations = [result(image_id=9, score=0.1), result(image_id=1, score=0.2)]
    path = write(tmp_path / "proposals.json", data_set(*images, annotations=annotations))
    results = read_results(path, IMAGES)
    assert {i: [p.score for p in ps] for i, ps in results.items()} == {7: [0.1], 9: [0.2]}


@pytest.mark.parametrize(
    ("name", "evaluated", "count"), [("c.jpg", ["a.jpg"], 0), ("a.jpg", ["a.jpg", "x/a.jpg"], 2)]
)
def test_names_that_say_no_one_image_are_refused(
    tmp_path: Path, name: str, evaluated: list[str], count: int
) -> None:
    content = data_set({"id": 1, "file_name": name}, annotations=[result(image_id=1)])
    path = write(tmp_path / "proposals.json", content)
    images = [annotated(i, path) for i, path in enumerate(evaluated)]
    with pytest.raises(ValueError, match=f"result 0: {count} of the evaluated images are called"):
        read_results(path, images)


def test_a_data_set_that_lists_no_images_is_refused_not_guessed_at(tmp_path: Path) -> None:
    path = write(tmp_path / "proposals.json", data_set(annotations=[result()]))
    with pytest.raises(ValueError, match="0 of the evaluated images are called None"):
        read_results(path, IMAGES)


# --- Labels

VOC = {1: "aeroplane", 15: "person", 20: "tvmonitor"}


def labelled(tmp_path: Path, *names: str, **changes: object) -> Path:
    """A data set with scores and these categories, from 5 on; a result of each in turn."""
    categories = [{"id": i, "name": name} for i, name in enumerate(names, 5)]
    annotations = [
        result(image_id=1, category_id=category["id"], **changes) for category in categories
    ]
    content = data_set({"id": 1, "file_name": "a.jpg"}, annotations=annotations)
    return write(tmp_path / "proposals.json", {**content, "categories": categories})


def test_a_data_sets_categories_are_found_by_name(tmp_path: Path) -> None:
    path = labelled(tmp_path, "tvmonitor", "aeroplane", "person")
    found = read_results(path, IMAGES, VOC)[7]
    assert [mask.category for mask in found] == [20, 1, 15]
    # Names change no ranking: equal scores are ranked by the file's own numbers.
    assert [mask[:2] for mask in found] == [mask[:2] for mask in read_results(path, IMAGES)[7]]
    assert [mask.category for mask in read_results(path, IMAGES)[7]] == [5, 6, 7]


def test_masks_that_nobody_labelled_are_results_all_the_same(tmp_path: Path) -> None:
    path = labelled(tmp_path, "object")
    assert [mask.category for mask in read_results(path, IMAGES, VOC)[7]] == [NO_CATEGORY]
    assert [m.category for m in read_results(path, IMAGES, {3: "object"})[7]] == [3]
    record = result()
    del record["category_id"]
    path = write(tmp_path / "results.json", [record, result(category_id=15.0)])
    assert [m.category for m in read_results(path, IMAGES, VOC)[7]] == [NO_CATEGORY, 15]


def test_a_name_or_an_id_that_the_data_set_has_not_is_no_category_of_it(tmp_path: Path) -> None:
    path = labelled(tmp_path, "person", "kite")
    assert [mask.category for mask in read_results(path, IMAGES, VOC)[7]] == [15, NO_CATEGORY]
    assert named_categories(path) == {5: "person", 6: "kite"}
    path = write(tmp_path / "r.json", [result(category_id=given) for given in (15, 2, "cat", 3.5)])
    found = read_results(path, IMAGES, VOC)[7]
    assert sorted(mask.category for mask in found) == [NO_CATEGORY] * 3 + [15]
    assert named_categories(path) is None


def test_a_name_that_two_of_the_data_sets_categories_have_is_neither(tmp_path: Path) -> None:
    path = labelled(tmp_path, "person")
    found = read_results(path, IMAGES, {1: "person", 2: "person"})[7]
    assert [mask.category for mask in found] == [NO_CATEGORY]


def test_a_data_set_without_categories_has_results_all_the_same(tmp_path: Path) -> None:
    path = labelled(tmp_path, "person")
    content = json.loads(path.read_text())
    del content["categories"]
    assert [m.category for m in read_results(write(path, content), IMAGES, VOC)[7]] == [NO_CATEGORY]
    write(path, {**content, "categories": [{"id": 1}]})
    with pytest.raises(UserError, match=r"proposals\.json: categories\[0\]: .name. is a text of"):
        read_results(path, IMAGES, VOC)
    assert len(read_results(path, IMAGES)[7]) == 1


# --- What cannot be used

NOT_RESULTS: dict[str, str] = {
    "empty": "",
    "cut short": '[{"image_id": 7',
    "a text": '"results"',
    "a number": "3",
    "another object": '{"shapes": []}',
    "a data set whose images are none": '{"images": [3], "annotations": []}',
    "too deep": "[" * 100_000,
}


@pytest.mark.parametrize("content", NOT_RESULTS.values(), ids=NOT_RESULTS.keys())
def test_files_that_are_no_results_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(content)
    check_refusal(path, r"(not JSON|a COCO data set has|images.0.: an image has) .*")


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    check_refusal(tmp_path / "nothing.json", "cannot be read .*; check the path")
    check_refusal(tmp_path, "cannot be read .*; check the path")
    (tmp_path / "binary.json").write_bytes(b"\x89PNG\xff\xfe")
    check_refusal(tmp_path / "binary.json", "not JSON .*")


BAD_RESULTS: dict[str, tuple[Any, str]] = {
    "no object": (3, "a result is a JSON object, got 3"),
    "no image": (result(image_id=None), '"image_id" is an integer, got None'),
    "an unknown image": (result(image_id=8), "image id 8 is none of the 2 evaluated images'.*"),
    "a text for an image": (result(image_id="7"), "\"image_id\" is an integer, got '7'"),
    "no score": (result(score=None), '"score" is a number, got None'),
    "a score of nan": (result(score=float("nan")), '"score" is a number, got nan'),
    "an endless score": (result(score=float("inf")), '"score" is a number, got inf'),
    "a score past all floats": (result(score=10**400), '"score" is a number, got 10+.*'),
    "a box": ({"image_id": 7, "bbox": [0, 0, 3, 3], "score": 1}, "no segmentation; masks are .*"),
    "another size": (result(segmentation={"size": [8, 6], "counts": [48]}), "the RLE's size .*"),
    "runs too short": (result(segmentation={"size": [6, 8], "counts": "3"}), "an RLE's runs .*"),
    "a line": (result(segmentation=[[0, 0, 4, 4]]), "no mask, got .*"),
    "half a point": (result(segmentation=[[0, 0, 4, 0, 4, 4, 0]]), "a polygon is .*"),
    "the text of bytes": (
        result(segmentation={"size": [6, 8], "counts": "b'`0'"}),
        "an RLE's counts are the text of Python's bytes, .*; write counts.decode.*",
    ),
    "an id that another file has": (
        result(file_name="x/b.jpg"),
        "it is of 'x/b.jpg', but the image id 7 is 'a.jpg' in the annotations; .*",
    ),
    "no mask": (result(segmentation=None), "no mask, got None.*"),
}


@pytest.mark.parametrize(("record", "message"), BAD_RESULTS.values(), ids=BAD_RESULTS.keys())
def test_bad_results_are_refused(tmp_path: Path, record: object, message: str) -> None:
    path = write(tmp_path / "results.json", [result(), record])
    check_refusal(path, f"result 1: {message}")


def check_refusal(path: Path, message: str) -> None:
    with pytest.raises(ValueError, match=message) as refusal:
        read_results(path, IMAGES)
    text = str(refusal.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    assert len(text) < 400
