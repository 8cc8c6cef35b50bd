"""The predictor of a model that labels: what it adds to the masks, and how to do without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from builders import CATEGORIES, labelled_network, predictor_of, small_network
from instancefcn.core.proposals import CLASS_AGNOSTIC, Proposals
from instancefcn.inference.predictor import Predictor
from instancefcn.inference.ranking import Selection, ranked
from instancefcn.inference.sampling import Sampling, sample
from instancefcn.inference.settings import Inference
from instancefcn.inference.torch_engine import TorchEngine
from instancefcn.inference.windows import cell_boxes
from instancefcn.labelling.labels import Labelling
from instancefcn.labelling.rois import Rois, mask_cells
from predictions import NAMES
from tiny_labeller import write_labelled_model

HEIGHT, WIDTH = 60, 90
ALL = Labelling(proposals=1000, overlap=1.0, min_score=0.0, top=10_000)
"""Each mask under each category."""

SELECTION = Selection(windows_per_side=60, overlap=1.0)


@pytest.fixture(scope="module")
def image() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def predictor(
    sides: Sequence[int] = (64,), labelling: Labelling = ALL, *, labels: bool = True, batch: int = 1
) -> Predictor:
    """Of random weights; its labeller has no two logits alike."""
    settings = Inference(tuple(sides), SELECTION, labelling=labelling)
    return Predictor(TorchEngine(labelled_network()), settings, batch, labels=labels)


def assert_same(one: Proposals, other: Proposals) -> None:
    assert one.categories == other.categories
    np.testing.assert_array_equal(one.labels, other.labels)
    for name in ("scores", "windows", "logits"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-4, atol=1e-5)


Labelled = dict[tuple[float, ...], float]


def scores_of(proposals: Proposals, *, right: float = 0) -> Labelled:
    """By window, moved to the right, and label."""
    windows = (proposals.windows + np.array([right, 0, right, 0], np.float32)).tolist()
    keys = zip(windows, proposals.labels.tolist(), strict=True)
    rounded = [(*(round(end, 3) for end in window), label) for window, label in keys]
    return dict(zip(rounded, proposals.scores.tolist(), strict=True))


# --- labels, and none


def test_each_mask_has_a_score_of_each_category(image: NDArray[np.uint8]) -> None:
    """Probabilities, times the root of the mask's own; what is left is background."""
    masks = predictor_of(small_network(), [64], SELECTION)(image)
    found = predictor()(image)
    assert found.categories == CATEGORIES
    assert len(found) == len(CATEGORIES) * len(masks)
    assert set(found.names) == set(CATEGORIES.values())
    assert found.scores.tolist() == sorted(found.scores.tolist(), reverse=True)
    limit = {
        tuple(w): s**0.5 for w, s in zip(masks.windows.tolist(), masks.scores.tolist(), strict=True)
    }
    windows = found.windows.tolist()
    assert all(0 < s < limit[tuple(w)] for w, s in zip(windows, found.scores.tolist(), strict=True))


def test_without_labels_masks_are_those_of_the_network(image: NDArray[np.uint8]) -> None:
    plain = predictor(labels=False)
    assert plain.categories == CLASS_AGNOSTIC
    assert_same(plain(image), predictor_of(small_network(), [64], SELECTION)(image))


def test_a_network_without_a_labeller_labels_nothing(image: NDArray[np.uint8]) -> None:
    plain = predictor_of(small_network(), [64], SELECTION)
    assert plain.categories == CLASS_AGNOSTIC
    assert set(plain(image).names) == {"object"}


def test_an_image_without_a_mask_has_no_label(image: NDArray[np.uint8]) -> None:
    found = predictor().with_selection(min_score=0.9999)(image)
    assert len(found) == 0
    assert found.categories == CATEGORIES


def test_some_values_of_its_labelling_are_changed(image: NDArray[np.uint8]) -> None:
    """The others stay, and so does whether it labels."""
    fewer = predictor().with_labelling(top=5)
    assert fewer.settings.labelling == replace(ALL, top=5)
    assert_same(fewer(image), predictor()(image)[:5])
    other = fewer.with_selection(top=9)
    assert other.settings.labelling == fewer.settings.labelling
    assert predictor(labels=False).with_labelling(top=5).categories == CLASS_AGNOSTIC
    assert predictor(labels=False).with_selection(top=5).categories == CLASS_AGNOSTIC


def test_only_the_best_proposals_are_labelled(image: NDArray[np.uint8]) -> None:
    few = predictor(labelling=replace(ALL, proposals=7))(image)
    masks = predictor_of(small_network(), [64], SELECTION)(image)[:7]
    assert len(few) == 7 * len(CATEGORIES)
    assert {key[:4] for key in scores_of(few)} == {key[:4] for key in scores_of(masks)}


def test_a_click_finds_a_labelled_mask(image: NDArray[np.uint8]) -> None:
    labels = predictor()
    found = labels(image)
    clicked = labels.at(image, 45, 30)
    first = next(i for i in range(len(found)) if found.mask(i)[30, 45])
    assert_same(clicked, found[first])
    assert clicked.names[0] in CATEGORIES.values()


# --- several looks, several images


@torch.no_grad()
def test_masks_are_read_from_the_input_that_showed_them(image: NDArray[np.uint8]) -> None:
    """At a scale of 60 / 96, by the labeller on the encoder's maps of that input itself."""
    network = labelled_network()
    engine, sampling = TorchEngine(network), sample(image, 96, 240)
    (candidates,) = engine.candidates([sampling], SELECTION)
    proposals = ranked(candidates, HEIGHT, WIDTH, SELECTION)
    masks, windows = torch.from_numpy(proposals.logits), torch.from_numpy(proposals.windows)
    boxes = cell_boxes(masks, windows, HEIGHT, WIDTH)
    rois = Rois(
        torch.zeros(len(boxes), dtype=torch.int64),
        boxes * 96 / 60,
        mask_cells(masks, windows, boxes),
    )
    inputs = torch.from_numpy(sampling.to_input(engine.multiple))
    expected = network.labeller(network.encode(inputs), rois)
    logits = engine.label(proposals, candidates.looks)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)
    assert not np.allclose(logits, logits[:1], rtol=0, atol=1e-3)


def test_each_mask_is_read_from_the_look_that_found_it(image: NDArray[np.uint8]) -> None:
    """Two sides together say what each says alone."""
    alone = [scores_of(predictor([side])(image)) for side in (64, 96)]
    both = scores_of(predictor([64, 96])(image))
    assert both == pytest.approx(alone[0] | alone[1], abs=1e-5)
    assert len(both) == 2 * len(alone[0])


class Halves(Predictor):
    """Looks at each half of an image."""

    def samplings(self, pixels: NDArray[np.uint8]) -> list[Sampling]:
        half = pixels.shape[1] // 2
        parts = ((x, pixels[:, x : x + half]) for x in (0, half))
        return [replace(sample(part, 64, 160), origin=(x, 0)) for x, part in parts]


def test_a_look_at_a_part_is_read_where_the_part_lies() -> None:
    """As the part says as an image of its own; of masks that the part's border does not cut."""
    half, whole = 150, predictor()
    image = np.random.default_rng(1).integers(0, 256, (HEIGHT, 2 * half, 3), np.uint8)
    found = scores_of(Halves(whole.engine, whole.settings)(image))
    compared = 0
    for x in (0, half):
        part = scores_of(whole(image[:, x : x + half]), right=x)
        for key, score in part.items():
            if x <= key[0] and key[2] <= x + half:
                assert found[key] == pytest.approx(score, abs=1e-5)
                compared += 1
    assert compared > 20


def test_a_batch_gives_what_single_images_give(image: NDArray[np.uint8]) -> None:
    """Of one size and of others, at two sides."""
    images = [image, image[::-1].copy(), image[:, :60].copy()]
    alone = [predictor([64, 96])(each) for each in images]
    for one, other in zip(predictor([64, 96], batch=4).stream(images), alone, strict=True):
        assert scores_of(one) == pytest.approx(scores_of(other), abs=1e-5)


# --- a model file


def test_a_model_file_labels_by_itself(image: NDArray[np.uint8], tmp_path: Path) -> None:
    path = write_labelled_model(tmp_path / "model.safetensors", NAMES)
    labels, masks = (Predictor.from_pretrained(path, labels=flag) for flag in (True, False))
    assert labels.categories == NAMES
    assert set(labels(image).names) <= set(NAMES.values())
    assert set(masks(image).names) == {"object"}
