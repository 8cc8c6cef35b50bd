from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from instancefcn.core.drawing import paste
from instancefcn.core.errors import UserError
from instancefcn.core.files import whole_file
from instancefcn.core.rle import decode, rle_from_coco
from instancefcn.formats.coco import CocoDataset
from instancefcn.formats.coco.writing import (
    ListedImages,
    data_set,
    records,
    results_list,
)
from instancefcn.formats.overlay import (
    FINER,
    Outline,
    draw,
    label,
    label_box,
    outline,
    resized,
    worth_drawing,
    write_overlay,
)
from instancefcn.formats.png import to_png
from instancefcn.formats.prediction import ImageMasks, Source, crop, short_score
from predictions import (
    NAMES,
    NOTHING,
    Mask,
    disc,
    labelled,
    masks_of,
    of_masks,
    predicted,
    random_proposals,
)

# Predictions.


def test_an_image_without_proposals_has_a_prediction_without_masks() -> None:
    prediction = predicted(NOTHING)
    assert len(prediction.proposals) == 0
    assert list(prediction.masks) == []


def test_proposals_that_cover_no_pixel_are_left_out() -> None:
    proposals = random_proposals(200)
    full = [decode(rle) for rle in proposals.masks()]
    covering = [i for i, mask in enumerate(full) if mask.any()]
    assert 0 < len(covering) < 200, "the test wants both kinds"
    prediction = predicted(proposals)
    assert prediction.proposals.scores.tolist() == proposals.scores[covering].tolist()
    for mask, i in zip(prediction.masks, covering, strict=True):
        np.testing.assert_array_equal(decode(mask), full[i])


def test_a_crop_is_the_mask_and_leaves_out_background_only() -> None:
    proposals = random_proposals(200)
    for i in range(200):
        full = paste(proposals.logits[i], proposals.windows[i], proposals.height, proposals.width)
        x, y, mask = crop(proposals, i)
        height, width = mask.shape
        rebuilt = np.zeros_like(full)
        rebuilt[y : y + height, x : x + width] = mask
        np.testing.assert_array_equal(rebuilt, full)


def test_a_crop_of_a_vast_image_is_small() -> None:
    proposals = of_masks([disc(9, 4, 4, 3)], [0.5])
    vast = replace(proposals, windows=proposals.windows + 50_000, height=10**5, width=10**5)
    x, y, mask = crop(vast, 0)
    assert (x, y, mask.shape) == (50_000, 50_000, (9, 9))
    np.testing.assert_array_equal(mask, disc(9, 4, 4, 3))


# Files.


def test_png_keeps_every_value() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    grey = np.arange(35, dtype=np.uint16).reshape(5, 7) * 1000
    np.testing.assert_array_equal(np.array(Image.open(io.BytesIO(to_png(rgb)))), rgb)
    np.testing.assert_array_equal(np.array(Image.open(io.BytesIO(to_png(grey)))), grey)


# COCO.


def test_records_calculated_by_hand() -> None:
    mask = np.zeros((5, 5), np.bool_)
    mask[1:4, 2:4] = True  # down column 2: 10 + 1 pixels of background, 3, 2, 3, the rest
    source, image = masks_of(predicted(of_masks([mask], [0.75]), image_id=7))
    (record,) = records(source.image_id, image.masks)
    counts = record["segmentation"].pop("counts")
    assert record == {
        "image_id": 7,
        "category_id": 1,
        "segmentation": {"size": [5, 5]},
        "score": 0.75,
    }
    runs = coco_mask.frPyObjects({"size": [5, 5], "counts": [11, 3, 2, 3, 6]}, 5, 5)
    assert counts == runs["counts"].decode()


def test_a_data_set_can_be_read_back(tmp_path: Path) -> None:
    predictions = [
        predicted(random_proposals(40), "a/x.jpg", 1),
        predicted(NOTHING, "a/y.jpg", 2),
        predicted(random_proposals(30, 20, 10), "b/x.jpg", 5),
    ]
    path = tmp_path / "proposals.json"
    with whole_file(path) as file, data_set(file) as add:
        for prediction in predictions:
            add(*masks_of(prediction))
    items = {item.image_id: item for item in map(CocoDataset(path, "photos").__getitem__, range(3))}
    assert list(items) == [1, 2, 5]
    for prediction in predictions:
        item = items[prediction.source.image_id]
        assert item.path == prediction.source.path
        assert (item.height, item.width) == prediction.pixels.shape[:2]
        assert [instance.mask for instance in item.instances] == list(prediction.masks)


def test_annotations_of_a_data_set_agree_with_their_masks(tmp_path: Path) -> None:
    with whole_file(tmp_path / "x.json") as file, data_set(file) as add:
        add(*masks_of(predicted(random_proposals(60), image_id=3)))
    content = json.loads((tmp_path / "x.json").read_bytes())
    assert content["categories"] == [{"id": 1, "name": "object", "supercategory": "object"}]
    annotations = content["annotations"]
    assert [a["id"] for a in annotations] == list(range(1, len(annotations) + 1))
    scores = [a["score"] for a in annotations]
    assert scores == sorted(scores, reverse=True)
    for annotation in annotations:
        mask = decode(rle_from_coco(annotation["segmentation"]))
        rows, columns = np.nonzero(mask)
        x, y, width, height = annotation["bbox"]
        assert annotation["area"] == mask.sum() > 0
        assert (x, y) == (columns.min(), rows.min())
        assert (x + width, y + height) == (columns.max() + 1, rows.max() + 1)
        assert (annotation["iscrowd"], annotation["category_id"]) == (0, 1)
        assert annotation["image_id"] == 3


def test_labels_are_the_categories_of_a_data_set(tmp_path: Path) -> None:
    prediction = predicted(labelled())
    with whole_file(tmp_path / "x.json") as file, data_set(file, NAMES) as add:
        add(*masks_of(prediction))
    dataset = CocoDataset(tmp_path / "x.json", "photos")
    assert dict(dataset.categories) == NAMES
    assert [i.category for i in dataset[0].instances] == labelled().labels.tolist()


def test_masks_return_from_the_notes_of_a_run_and_from_those_of_the_time_before_labels() -> None:
    masks = ImageMasks.of(predicted(labelled()))
    notes = json.loads(json.dumps(masks.to_json()))
    assert ImageMasks.of_json(notes) == masks
    old = ImageMasks.of_json({**notes, "masks": [each[:2] for each in notes["masks"]]})
    assert {mask.category for mask in old.masks} == {1}
    assert [mask[:2] for mask in old.masks] == [mask[:2] for mask in masks.masks]


def test_annotations_do_not_wait_in_memory(tmp_path: Path) -> None:
    prediction = predicted(random_proposals(200))
    with whole_file(tmp_path / "x.json") as file, data_set(file) as add:
        for _ in range(20):
            add(*masks_of(prediction))
        (unfinished,) = tmp_path.iterdir()
        size = unfinished.stat().st_size
    assert size > 0.9 * (tmp_path / "x.json").stat().st_size


def test_pycocotools_takes_a_results_list(tmp_path: Path) -> None:
    prediction = predicted(random_proposals(40), image_id=9)
    with whole_file(tmp_path / "images.json") as file, data_set(file) as add:
        add(*masks_of(prediction))
    with whole_file(tmp_path / "results.json") as file, results_list(file) as add:
        add(*masks_of(prediction))
    results = COCO(str(tmp_path / "images.json")).loadRes(str(tmp_path / "results.json"))
    loaded = results.loadAnns(results.getAnnIds(imgIds=[9]))
    assert len(loaded) == len(prediction.masks) > 0
    for annotation, mask in zip(loaded, prediction.masks, strict=True):
        assert rle_from_coco(results.annToRLE(annotation)) == mask
        assert annotation["area"] == decode(mask).sum(), "and not the box's"


@pytest.mark.parametrize("write", [data_set, results_list])
def test_coco_files_without_proposals_are_sound_json(tmp_path: Path, write: Any) -> None:
    with whole_file(tmp_path / "x.json") as file, write(file) as add:
        add(*masks_of(predicted(NOTHING, "b/é\udcff.png")))
    content = json.loads((tmp_path / "x.json").read_bytes())
    if write is results_list:
        assert content == []
    else:
        assert content["annotations"] == []
        assert content["images"] == [
            {"id": 1, "file_name": "b/é\udcff.png", "width": 9, "height": 9}
        ]


def test_short_scores_keep_order_and_size() -> None:
    scores = torch.rand(1000, generator=torch.Generator().manual_seed(0)).sort().values
    short = [short_score(score) for score in scores.tolist()]
    assert short == sorted(short)
    np.testing.assert_allclose(short, scores, rtol=1e-5)
    assert short_score(1.23456789e-9) == 1.23457e-9


# Images that a COCO file lists.


def listed(tmp_path: Path, *images: tuple[int, str], **lists: Any) -> ListedImages:
    entries = [{"id": i, "file_name": name, "width": 9, "height": 5} for i, name in images]
    path = tmp_path / "instances.json"
    path.write_text(json.dumps({"images": entries, **lists}))
    return ListedImages(path)


def source(path: str) -> Source:
    return Source(Path(path), 1, "in/a/run.jpg", "in/a/run")


def test_an_image_is_found_by_its_name_or_by_the_end_of_its_path(tmp_path: Path) -> None:
    images = listed(tmp_path, (7, "x.jpg"), (8, "b/x.jpg"), (9, "a/b/y.jpg"))
    assert images.identify(source("photos/x.jpg"), 5, 9).image_id == 7
    found = images.identify(source("/photos/b/x.jpg"), 5, 9)
    assert found == Source(Path("/photos/b/x.jpg"), 8, "in/a/run.jpg", "in/a/run")
    assert images.identify(source("a/b/y.jpg"), 5, 9).image_id == 9


@pytest.mark.parametrize(
    ("path", "height", "width", "message"),
    [
        ("photos/z.jpg", 5, 9, r"photos/z\.jpg: .*instances\.json lists no image of this name; "),
        ("photos/y.jpg", 5, 9, "lists no image of this name"),
        ("photos/x.jpg", 9, 5, r"x\.jpg: 5 x 9 pixels, .*instances\.json says 9 x 5; give"),
    ],
)
def test_an_image_that_is_not_the_listed_one_is_an_error(
    tmp_path: Path, path: str, height: int, width: int, message: str
) -> None:
    images = listed(tmp_path, (7, "x.jpg"), (9, "a/b/y.jpg"))
    with pytest.raises(ValueError, match=message):
        images.identify(source(path), height, width)


def test_two_files_cannot_be_the_same_image(tmp_path: Path) -> None:
    images = listed(tmp_path, (7, "x.jpg"))
    images.identify(source("a/x.jpg"), 5, 9)
    with pytest.raises(ValueError, match=r'^b/x\.jpg: .* lists one image "x\.jpg", and a/x\.jpg '):
        images.identify(source("b/x.jpg"), 5, 9)


def test_two_entries_of_one_name_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r'instances\.json: two images have the file_name "x'):
        listed(tmp_path, (7, "x.jpg"), (8, "x.jpg"))


CUP = [{"id": 4, "name": "cup"}, {"id": 3, "name": "box"}]


def test_labels_have_the_listed_ids_of_their_names(tmp_path: Path) -> None:
    images = listed(tmp_path, (7, "x.jpg"), annotations=[], categories=CUP)
    assert images.category_ids({1: "box", 2: "cup"}) == {1: 3, 2: 4}
    assert images.category_ids({1: "object"}) == {1: 1}, "whatever the file's categories are"


@pytest.mark.parametrize(
    ("categories", "message"),
    [
        (
            CUP,
            "2 of the model's 3 labels, 'fork' the first, have no category of their name there",
        ),
        (
            [*CUP, {"id": 5, "name": "cup"}],
            "3 of the model's 3 labels, 'cup' the first, have no .*, or two; add",
        ),
        ([{"id": 1}], r"categories\[0\]: \"name\" is a text of one line, got None"),
    ],
)
def test_labels_that_a_file_does_not_list_are_an_error(
    tmp_path: Path, categories: Any, message: str
) -> None:
    images = listed(tmp_path, (7, "x.jpg"), annotations=[], categories=categories)
    with pytest.raises(UserError, match=rf"instances\.json: {message}"):
        images.category_ids({1: "cup", 2: "fork", 3: "knife"})


# Pictures.


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((375, 500), (600, 800)),
        ((900, 700), (900, 700)),
        ((40, 4000), (20, 2000)),
        ((1, 3000), (1, 2000)),
        ((3, 1), (800, 267)),
    ],
)
def test_a_picture_is_large_enough_to_read_and_no_larger_than_needed(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    proposals = random_proposals(20, *size)
    picture = draw(np.zeros((*size, 3), np.uint8), proposals)
    assert picture.dtype == np.uint8
    assert picture.shape == (*expected, 3)


def test_a_picture_without_proposals_is_the_image() -> None:
    image = np.full((9, 9, 3), (10, 200, 90), np.uint8)
    assert (draw(image, NOTHING) == image[0, 0]).all()


def test_a_picture_shows_the_mask_and_leaves_the_rest() -> None:
    ring = disc(99, 49, 49, 40) & ~disc(99, 49, 49, 30)
    image = np.full((99, 99, 3), 128, np.uint8)
    before = image.copy()
    picture = draw(image, of_masks([ring], [0.5]))
    np.testing.assert_array_equal(image, before)
    changed = (picture != 128).any(2)
    large = cv2.resize(ring.view(np.uint8), picture.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    border = np.ones((25, 25), np.uint8)
    assert changed[cv2.erode(large, border) == 1].all()
    outside = ~changed[cv2.dilate(large, border) == 0]
    assert outside.mean() > 0.99, "all but a label"
    assert not changed[350:450, 350:450].any(), "the hole stays a hole"


def test_an_object_too_small_for_the_picture_is_not_drawn() -> None:
    dot = np.ones((1, 1), np.bool_)
    speck = of_masks([dot, dot], [0.9, 0.8], [(3, 3), (40, 40)])
    vast = replace(speck, height=64, width=30_000)
    image = np.full((64, 30_000, 3), 128, np.uint8)
    assert (draw(image, vast) == 128).all()


def test_pictures_are_deterministic(tmp_path: Path) -> None:
    prediction = predicted(random_proposals(50))
    for run in ("1", "2"):
        write_overlay(tmp_path / run, prediction)
    first, second = ((tmp_path / run / "a" / "x.png").read_bytes() for run in ("1", "2"))
    assert first == second


def chosen(masks: Sequence[Mask], scores: Sequence[float]) -> list[int]:
    return list(worth_drawing(of_masks(masks, scores)))


def test_what_is_worth_drawing() -> None:
    left, right = disc(99, 20, 50, 15), disc(99, 70, 50, 15)
    part, whole = disc(99, 20, 50, 5), disc(99, 49, 49, 49)
    assert chosen([], []) == []
    assert chosen([left, right], [0.9, 0.9]) == [0, 1], "apart"
    assert chosen([left, left], [0.9, 0.8]) == [0], "twice"
    assert chosen([left, part, right], [0.9, 0.8, 0.7]) == [0, 2], "a part of a drawn one"
    assert chosen([part, left, right], [0.9, 0.8, 0.7]) == [0, 2], "a drawn one is its part"
    assert chosen([left, right, whole], [0.9, 0.8, 0.7]) == [0, 1], "both are parts"
    assert chosen([np.zeros_like(left), left], [0.9, 0.8]) == [1], "no pixel"
    everything = np.ones_like(left)
    assert chosen([everything, left, right], [0.9, 0.8, 0.7]) == [1, 2], "it hides all else"
    assert chosen([everything, everything, left], [0.9, 0.8, 0.2]) == [0], "nothing else"
    assert chosen([left, right], [0.9, 0.31]) == [0, 1]
    assert chosen([left, right], [0.9, 0.29]) == [0], "weaker than a third of the best"


def test_a_label_has_the_name_of_a_category_of_its_own_and_fits_on_a_picture() -> None:
    proposals = labelled()
    assert label(proposals, 7) == "stop sign 0.28"
    assert label(replace(proposals, categories={**NAMES, 13: "x" * 100}), 7) == f"{'x' * 23}… 0.28"
    letters = [label(proposals, i) for i, name in enumerate(proposals.names) if not name.isascii()]
    assert letters == ["#90 0.54", "Schlussel & Schloss 0.46"]
    assert label(of_masks([disc(9, 4, 4, 3)], [0.876]), 0) == "0.88"


def test_a_dozen_is_drawn_at_most() -> None:
    corners = [(x, y) for y in (1, 17, 33, 49) for x in (1, 17, 33, 49)]
    proposals = of_masks([np.ones((11, 11), np.bool_)] * 16, [0.5] * 16, corners)
    picture = draw(np.full((64, 64, 3), 128, np.uint8), proposals)
    scale = 800 / 64
    centres = [picture[round((y + 9) * scale), round((x + 9) * scale)] for x, y in corners]
    assert [bool((centre != 128).any()) for centre in centres] == [True] * 12 + [False] * 4


def test_resized_proposals_keep_their_shape() -> None:
    proposals = random_proposals(30)
    twice = resized(proposals, 140, 100)
    torch.testing.assert_close(twice.windows, proposals.windows * 2)
    for small, large in zip(proposals.masks(), twice.masks(), strict=True):
        difference = decode(large).sum() / 4 - decode(small).sum()
        assert abs(difference) <= 0.1 * decode(small).sum() + 6
    torch.testing.assert_close(resized(twice, 70, 50).windows, proposals.windows)


def test_an_outline_calculated_by_hand() -> None:
    mask = np.zeros((15, 15), np.bool_)
    mask[4:11, 2:9] = True
    fine = of_masks([mask], [0.5])
    shape = outline(fine, 0)
    assert FINER == 2
    assert shape.box == (1, 2, 4.5, 5.5)
    assert shape.deepest == (5.5 / 2, 7.5 / 2)
    (contour,) = shape.contours
    assert contour.reshape(-1, 2).min(0).tolist() == [2, 4]
    assert contour.reshape(-1, 2).max(0).tolist() == [8, 10]


SMALL = Outline([], (40, 40, 50, 50), (45, 45), 5)
LARGE = Outline([], (10, 10, 90, 90), (50, 50), 40)
CORNER = Outline([], (0, 0, 100, 100), (1, 1), 1)


@pytest.mark.parametrize(
    ("shape", "taken", "expected"),
    [
        (LARGE, [], (40, 46, 60, 54)),
        (SMALL, [], (35, 30, 55, 38)),
        (SMALL, [(0, 0, 100, 38)], (35, 52, 55, 60)),
        (SMALL, [(0, 0, 100, 38), (0, 52, 100, 60)], (52, 41, 72, 49)),
        (SMALL, [(0, 0, 100, 38), (50, 41, 100, 60)], (18, 41, 38, 49)),
        (SMALL, [(0, 0, 100, 100)], (35, 30, 55, 38)),
        (CORNER, [], (0, 0, 20, 8)),
    ],
    ids=["amid", "above", "below", "right", "left", "nowhere free", "pushed onto the picture"],
)
def test_where_a_label_goes(shape: Outline, taken: Any, expected: Any) -> None:
    assert label_box(shape, 20, 8, (100, 100), taken) == expected
