from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from PIL import Image

from instancefcn.core.errors import UserError
from instancefcn.data.dataset import Problem
from instancefcn.formats.coco import CocoDataset, checks
from shapes import write_shapes

Write = Callable[[Any], CocoDataset]
Change = Callable[[dict[str, Any]], object]

SHARED = Path(__file__).parents[3] / "shared" / "data"
COCO_FILES = {
    "coco/annotations/instances_train2017.json": "coco/train2017",
    "coco/annotations/instances_val2017.json": "coco/val2017",
    "nuclei/instances_dev.json": "nuclei/dev",
    "pennfudan/instances_dev.json": "pennfudan/dev",
}


def odd(dataset: CocoDataset, decode: bool = False) -> list[Problem]:
    """All problems but the one that ``sound`` has: that an annotation of it is a crowd."""
    return [problem for problem in dataset.problems(decode) if problem.kind != "crowds"]


def only(dataset: CocoDataset, decode: bool = False) -> Problem:
    (problem,) = odd(dataset, decode)
    return problem


def test_a_sound_data_set_has_no_problems(coco: Write, sound: dict[str, Any]) -> None:
    assert odd(coco(sound)) == []
    assert odd(coco(sound), decode=True) == []


def test_an_empty_data_set_has_no_objects(coco: Write) -> None:
    problem = only(coco({"images": [], "annotations": [], "categories": []}))
    assert (problem.severity, problem.kind) == ("error", "no objects")


def test_a_file_that_is_not_coco_is_one_error(coco: Write, tmp_path: Path) -> None:
    assert only(coco([])).kind == "not COCO"
    problem = only(CocoDataset(tmp_path / "missing.json", tmp_path))
    assert (problem.severity, problem.kind) == ("error", "not COCO")
    assert "missing.json" in str(problem)


def first(table: str, **changes: Any) -> Change:
    return lambda content: content[table][0].update(changes)


def repeat(table: str) -> Change:
    return lambda content: content[table].append(copy.deepcopy(content[table][0]))


@pytest.mark.parametrize(
    ("what", "where", "change"),
    [
        ("error: bad entry", "images[2]", lambda c: c["images"].append(5)),
        ("error: bad entry", "annotations[0]", first("annotations", category_id="cat")),
        ("error: bad entry", "annotations[3]", lambda c: c["annotations"].append({})),
        ("error: bad entry", "categories[2]", lambda c: c["categories"].append(None)),
        ("warning: duplicate annotation id", "", repeat("annotations")),
        ("warning: duplicate category id", "", repeat("categories")),
        ("warning: unknown image", "annotation 1", first("annotations", image_id=99)),
        ("warning: unknown category", "image 3 ('a.png')", first("annotations", category_id=2)),
        ("warning: no mask", "annotation 1 of image 3", first("annotations", segmentation=[])),
        ("warning: no mask", "annotation 1", first("annotations", segmentation=[[1, 1, 5, 4]])),
        ("error: bad mask", "annotation 1", first("annotations", segmentation=[[1] * 7])),
        ("error: bad mask", "annotation 1", first("annotations", segmentation=[[1e9] * 6])),
        (
            "error: bad mask",
            "annotation 1",
            first("annotations", segmentation=[[1, 1, 5, 1, float("nan"), 4]]),
        ),
        (
            "error: bad mask",
            "annotation 1",
            first("annotations", segmentation={"size": [8, 6], "counts": [1, 47]}),
        ),
        (
            "warning: empty mask",
            "annotation 1",
            first("annotations", segmentation=[[1.1, 1.1, 1.2, 1.1, 1.2, 1.2]]),
        ),
        (
            "warning: empty mask",
            "annotation 1",
            first("annotations", segmentation=[[9, 1, 12, 1, 12, 4]]),
        ),
        (
            "warning: polygon outside",
            "annotation 1",
            first("annotations", segmentation=[[1, 1, 11, 1, 11, 4, 1, 4]], bbox=None),
        ),
        (
            "warning: polygon outside",
            "annotation 1",
            first("annotations", segmentation=[[-3, 1, 4, 1, 4, 4, -3, 4]], bbox=None),
        ),
        ("warning: bad box", "annotation 1", first("annotations", bbox=[1, 1, 4])),
        ("warning: bad box", "annotation 1", first("annotations", bbox=[1, 1, 4, "3"])),
        ("warning: bad box", "annotation 1", first("annotations", bbox=[1, 1, -4, 3])),
        ("warning: bad box", "annotation 1", first("annotations", bbox=[1, 1, 4, 10**400])),
        ("warning: box outside", "annotation 1", first("annotations", bbox=[1, 1, 10, 3])),
        ("warning: box unlike mask", "annotation 1", first("annotations", bbox=[5, 1, 2, 3])),
        ("error: missing image", "image 7", first("images", file_name="missing.png")),
        ("error: missing image", "image 7", first("images", file_name="x" * 5000)),
    ],
)
def test_each_problem_is_found_where_it_is(
    coco: Write, sound: dict[str, Any], what: str, where: str, change: Change
) -> None:
    change(sound)
    problem = only(coco(sound))
    assert f"{problem.severity}: {problem.kind}" == what
    assert "instances.json" in problem.where
    assert where in problem.where
    assert "\n" not in str(problem)


def test_crowds_are_counted(coco: Write, sound: dict[str, Any]) -> None:
    (problem,) = coco(sound).problems()
    assert (problem.severity, problem.kind) == ("warning", "crowds")
    assert "crowds: 1 of 3 annotations; they are neither learnt nor counted" in problem.message


def test_crowds_alone_are_no_objects(coco: Write, sound: dict[str, Any]) -> None:
    for annotation in sound["annotations"]:
        annotation["iscrowd"] = 1
    problem = only(coco(sound))
    assert (problem.severity, problem.kind) == ("error", "no objects")
    assert 'no annotation but crowds ("iscrowd": 1; 3 of them), which' in problem.message


def test_boxes_alone_are_no_objects(coco: Write, sound: dict[str, Any]) -> None:
    for annotation in sound["annotations"]:
        annotation["segmentation"] = []
    *boxes, problem = coco(sound).problems()
    assert [box.kind for box in boxes] == ["no mask"] * 3
    assert (problem.severity, problem.kind) == ("error", "no objects")
    assert "none of the 3 annotations has an outline, only boxes" in problem.message


def test_what_follows_from_an_error_is_not_told_as_well(coco: Write, sound: dict[str, Any]) -> None:
    for image in sound["images"]:
        image["id"] = "no number"
    assert [p.kind for p in coco(sound).problems()] == ["bad entry"] * 2


def test_all_problems_are_found_not_the_first_alone(coco: Write, sound: dict[str, Any]) -> None:
    sound["images"][0]["file_name"] = "missing.png"
    for annotation in sound["annotations"]:
        annotation["segmentation"] = "none"
    kinds = [problem.kind for problem in coco(sound).problems()]
    assert kinds == ["missing image", *["bad mask"] * 3]


def test_an_image_listed_twice_is_named_once(coco: Write, sound: dict[str, Any]) -> None:
    sound["images"] += [sound["images"][0]] * 2
    by_id, by_file = odd(coco(sound))
    assert (by_id.severity, by_id.kind) == ("error", "duplicate image id")
    assert "3 entries share the image id 7" in by_id.message
    assert (by_file.severity, by_file.kind) == ("warning", "duplicate file name")


def test_files_of_another_size_are_errors(
    coco: Write, sound: dict[str, Any], tmp_path: Path
) -> None:
    dataset = coco(sound)
    Image.new("RGB", (9, 6)).save(tmp_path / "a.png")
    problem = only(dataset)
    assert (problem.severity, problem.kind) == ("error", "wrong image size")
    assert "9 x 6 pixels, annotated at 8 x 6" in problem.message


def test_files_that_exif_turns_are_errors(
    coco: Write, sound: dict[str, Any], tmp_path: Path
) -> None:
    dataset = coco(sound)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (8, 6)).save(tmp_path / "a.png", exif=exif)
    problem = only(dataset)
    assert (problem.severity, problem.kind) == ("error", "wrong image size")
    assert "6 x 8 pixels (turned by its EXIF orientation?), annotated at 8 x 6" in problem.message


def test_truncated_files_are_found_by_decoding(
    coco: Write, sound: dict[str, Any], tmp_path: Path
) -> None:
    sound["images"][1] |= {"height": 200, "width": 200}
    dataset = coco(sound)
    path = tmp_path / "a.png"
    Image.effect_noise((200, 200), 100).save(path)
    assert [p.kind for p in odd(dataset)] == []
    path.write_bytes(path.read_bytes()[:5000])
    assert [p.kind for p in odd(dataset)] == []
    problem = only(dataset, decode=True)
    assert (problem.severity, problem.kind) == ("error", "unreadable image")
    assert "a.png" in problem.message


def test_rounding_is_no_problem(coco: Write, sound: dict[str, Any]) -> None:
    sound["annotations"][0] |= {
        "segmentation": [[-0.5, -0.5, 8.5, -0.5, 8.5, 6.5, -0.5, 6.5]],
        "bbox": [-0.5, -0.5, 9, 7],
    }
    assert odd(coco(sound)) == []


# Whatever a file holds, checking names its errors, and without errors it can be read.

_DEEP: list[Any] = []
for _ in range(100):
    _DEEP = [_DEEP]

JUNK: list[Any] = [
    *(None, True, False, 0, 1, -1, 2**31, 2**63, 10**30, -5, 1.5, 1e30, 200_000_000),
    *(float("nan"), float("inf"), -float("inf")),
    *("", "x", "1", "\x00", "a\nb", "\ud800", "é", "../x", "a" * 5000),
    *([], {}, [None], [[]], [[[]]], [1, 2, 3], [[1, 2]], [[1] * 5], [[1] * 6], [[1, 2, 3, 4]]),
    *({"counts": 1}, {"size": [6, 8]}, {"size": [6, 8], "counts": [10**30]}),
    *({"size": [6, 8], "counts": [2**62] * 4}, {"size": [6, 8], "counts": "\ud800"}),
    *(_DEEP, [_DEEP], {"size": [6, 8], "counts": _DEEP}),
]


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) within a JSON value."""
    keys = range(len(value)) if isinstance(value, list) else value
    if isinstance(value, list | dict):
        for key in keys:
            yield value, key
            yield from places(value[key])


def spoil(content: dict[str, Any], random: Random) -> None:
    for _ in range(random.randint(1, 3)):
        container, key = random.choice(list(places(content)) or [(content, "images")])
        action = random.random()
        if action < 0.15:
            container.pop(key, None) if isinstance(container, dict) else container.pop(key)
        elif action < 0.3 and isinstance(container, list):
            container.append(copy.deepcopy(container[key]))
        else:
            container[key] = copy.deepcopy(random.choice(JUNK))


@pytest.mark.parametrize("seed", range(300))
def test_spoilt_files_are_reported_and_never_crash(
    coco: Write, sound: dict[str, Any], seed: int
) -> None:
    spoil(sound, Random(seed))
    dataset = coco(sound)
    problems = list(dataset.problems())
    assert not any("\n" in str(problem) for problem in problems)
    json.dumps([str(problem) for problem in problems]).encode()
    if any(problem.severity == "error" for problem in problems):
        return
    assert sum(len(dataset[i].instances) for i in range(len(dataset))) > 0


@pytest.mark.parametrize("seed", range(30))
def test_a_closer_look_at_everything_tells_the_same(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Oracle: each outline drawn. Only its time is saved at a glance."""
    path = write_shapes(tmp_path)
    content = json.loads(path.read_text())
    spoil(content, Random(seed))
    path.write_text(json.dumps(content))
    told = list(CocoDataset(path, tmp_path).problems())
    monkeypatch.setattr(checks, "sound_at_a_glance", lambda found, _: [False] * len(found))
    assert list(CocoDataset(path, tmp_path).problems()) == told


def test_what_was_found_before_the_file_ends_too_early_is_told(
    coco: Write, sound: dict[str, Any]
) -> None:
    sound["annotations"][1]["segmentation"] = "none"
    dataset = coco(sound)
    text = dataset.annotations.read_text()
    dataset.annotations.write_text(text[:-2])
    assert [problem.kind for problem in odd(dataset)] == ["bad mask", "not COCO"]


def test_a_file_that_was_checked_is_open(tmp_path: Path) -> None:
    """Its index is the one that reading it would give; of one with errors there is none."""
    path = write_shapes(tmp_path, images=3)
    content = json.loads(path.read_text())
    content["images"].reverse()
    content["annotations"].append({**content["annotations"][0], "id": 99, "image_id": 77})
    path.write_text(json.dumps(content))
    checked, opened = CocoDataset(path, tmp_path), CocoDataset(path, tmp_path)
    assert [problem.kind for problem in checked.problems()] == ["unknown image"]
    assert [checked[i] for i in range(len(checked))] == [opened[i] for i in range(3)]
    assert checked.categories == opened.categories
    content["images"].append(content["images"][0])
    path.write_text(json.dumps(content))
    twice = CocoDataset(path, tmp_path)
    assert [p.kind for p in twice.problems() if p.severity == "error"] == ["duplicate image id"]
    with pytest.raises(UserError, match="two images have the id"):
        len(twice)


@pytest.mark.parametrize(("annotations", "images"), COCO_FILES.items())
def test_the_data_sets_at_hand_are_sound(annotations: str, images: str) -> None:
    if not (SHARED / annotations).is_file():
        pytest.skip(f"{annotations} is not at hand")
    assert odd(CocoDataset(SHARED / annotations, SHARED / images)) == []
