"""Proposals against a naive loop over windows, from the paper's description.

Against the loop, overlaps are compared with 1/4, 1/2 and 3/4: boxes on a grid of cells often have
an IoU of exactly 4/5, and of that float32 has a rounded idea.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from builders import make_level, propose, random_maps, small_network
from instancefcn.core.candidates import Candidates, cell_boxes, merge
from instancefcn.core.grid import Windows
from instancefcn.core.level import Level
from instancefcn.core.look import Look
from instancefcn.core.proposals import Proposals
from instancefcn.core.types import BACKGROUND
from instancefcn.inference.ranking import Selection, suppress
from instancefcn.inference.windows import DISTRUST, filled
from instancefcn.network.fcn import InstanceFCN

HEIGHT, WIDTH = 30, 45  # the levels reach over both borders


def make_levels(seed: int = 0, batch: int = 1, offset: float = 0.0) -> list[Level]:
    """Several cells, steps, window sizes and numbers of parts."""

    def noise(*shape: int) -> Tensor:
        nonlocal seed
        seed += 1
        return random_maps((batch, *shape), seed) + offset

    return [
        make_level(noise(9, 8, 12), noise(8, 12), m=5, k=3),
        make_level(noise(4, 8, 12), noise(4, 6), m=7, k=2, step=2),
        make_level(noise(1, 4, 6), noise(4, 6), cell=(8, 8), m=3),
        make_level(noise(1, 5, 5), noise(2, 2), cell=(10, 6), m=3, step=2),
    ]


# --- the oracle


def naive_windows(
    levels: Sequence[Level], height: int, width: int, selection: Selection, image: int
) -> list[tuple[float, int, int, int]]:
    """Score, level and centre cell of the windows that are looked at, best first."""
    windows = []
    for level in levels:
        scores = level.objectness[image].sigmoid().tolist()
        for y, row in enumerate(scores):
            for x, score in enumerate(row):
                centre_y, centre_x = (i * level.grid.step + level.grid.step // 2 for i in (y, x))
                centred = (centre_y + 0.5) * level.grid.cell[1] < height
                if centred and (centre_x + 0.5) * level.grid.cell[0] < width:
                    windows.append((score, levels.index(level), centre_y, centre_x))
    best = sorted(windows, key=lambda window: -window[0])[: selection.windows_per_side]
    return [window for window in best if window[0] >= selection.min_score]


def naive_mask(level: Level, image: int, y: int, x: int, m: int) -> Tensor:
    """The window's own mask, amid m x m cells."""
    index = torch.tensor([image]), torch.tensor([y]), torch.tensor([x])
    mask = torch.full((m, m), BACKGROUND)
    margin = (m - level.grid.m) // 2
    mask[margin : m - margin, margin : m - margin] = level.logits(Windows(*index))[0]
    return mask


def naive_box(mask: Tensor, window: list[float], height: int, width: int) -> list[float]:
    rows, columns = (mask > 0).nonzero(as_tuple=True)
    if len(rows) == 0:
        return [0, 0, 0, 0]
    cell_x, cell_y = (window[2] - window[0]) / len(mask), (window[3] - window[1]) / len(mask)
    x0, x1 = (window[0] + int(i) * cell_x for i in (columns.min(), columns.max() + 1))
    y0, y1 = (window[1] + int(i) * cell_y for i in (rows.min(), rows.max() + 1))
    return [max(0, x0), max(0, y0), min(width, x1), min(height, y1)]


def naive_cut(mask: Tensor, m: int, window: list[float], height: int, width: int) -> float:
    """The largest part of a side of the m x m cells amid a mask that the object runs through."""
    first, last = (len(mask) - m) // 2, (len(mask) + m) // 2 - 1
    cells, cell = range(first, last + 1), (window[2] - window[0]) / len(mask)
    left, right = window[0] + first * cell, window[0] + (last + 1) * cell
    up, low = window[1] + first * cell, window[1] + (last + 1) * cell
    parts = [0.0]
    for room, places in (
        (left, [(i, first) for i in cells]),
        (width - right, [(i, last) for i in cells]),
        (up, [(first, i) for i in cells]),
        (height - low, [(last, i) for i in cells]),
    ):
        if room > cell:
            parts.append(sum(float(mask[y, x]) > 0 for y, x in places) / m)
    return max(parts)


def iou(a: list[float], b: list[float]) -> float:
    across = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    both = across * max(0, min(a[3], b[3]) - max(a[1], b[1]))
    area = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return both / (area - both)


Candidate = tuple[float, list[float], list[float], Tensor, int]
"""Score, box, window, mask and level."""


def naive_suppression(ranked: list[Candidate], overlap: float) -> list[Candidate]:
    kept: list[Candidate] = []
    for candidate in ranked:
        if all(iou(candidate[1], better[1]) <= overlap for better in kept):
            kept.append(candidate)
    return kept


def naive_rank(candidates: list[Candidate], selection: Selection) -> list[Candidate]:
    ranked = sorted(candidates, key=lambda candidate: -candidate[0])
    originals = [naive_suppression(ranked, limit) for limit in selection.repeats]
    result = []
    for candidate in naive_suppression(ranked, selection.overlap):
        repeated = sum(all(candidate is not other for other in each) for each in originals)
        score = candidate[0] / 2**repeated
        if score >= selection.min_score:
            result.append((score, *candidate[1:]))
    return sorted(result, key=lambda candidate: -candidate[0])[: selection.top]


def naive(
    levels: Sequence[Level], height: int, width: int, selection: Selection, image: int = 0
) -> Proposals:
    m = max(level.grid.m for level in levels)
    candidates = []
    for score, index, y, x in naive_windows(levels, height, width, selection, image):
        level = levels[index]
        mask = naive_mask(level, image, y, x, m)
        cell_x, cell_y = level.grid.cell
        window = [(x - m // 2) * cell_x, (y - m // 2) * cell_y]
        window += [window[0] + m * cell_x, window[1] + m * cell_y]
        box = naive_box(mask, window, height, width)
        whole = 1 - naive_cut(mask, level.grid.m, window, height, width)
        sure = (float(mask[mask > 0].sigmoid().mean()) * whole**DISTRUST) ** selection.confidence
        if box[2] > box[0] and box[3] > box[1]:
            candidates.append((score * sure, box, window, mask, index))
    kept = naive_rank(candidates, selection)
    return Proposals(
        scores=np.array([score for score, *_ in kept], np.float32),
        windows=np.array([window for _, _, window, *_ in kept], np.float32).reshape(-1, 4),
        logits=np.array([mask.numpy() for *_, mask, _ in kept], np.float32).reshape(-1, m, m),
        level=np.array([level for *_, level in kept], np.int64),
        height=height,
        width=width,
    )


def assert_equal(one: Proposals, other: Proposals) -> None:
    assert (one.height, one.width) == (other.height, other.width)
    for name in ("scores", "windows", "logits", "level"):
        torch.testing.assert_close(getattr(one, name), getattr(other, name))


# --- all of it


@pytest.mark.parametrize(
    "selection",
    [
        Selection(overlap=0.75),
        Selection(overlap=0.5),
        Selection(overlap=0.25, top=7),
        Selection(windows_per_side=40, overlap=0.75),
        Selection(windows_per_side=40, overlap=1.0),
        Selection(min_score=0.6, overlap=0.5),
        Selection(confidence=1.0, overlap=0.5),
        Selection(confidence=0.5, windows_per_side=60, min_score=0.05, overlap=0.5),
        Selection(repeats=(0.5,), overlap=0.75),
        Selection(repeats=(0.25, 0.5), overlap=0.75, top=12, confidence=0.5),
        Selection(repeats=(0.75,), overlap=0.5, min_score=0.3),
    ],
)
@pytest.mark.parametrize("seed", [0, 100])
def test_equals_the_naive_loop(selection: Selection, seed: int) -> None:
    levels = make_levels(seed)
    proposals = propose(levels, HEIGHT, WIDTH, selection)
    assert len(proposals) > 3
    assert_equal(proposals, naive(levels, HEIGHT, WIDTH, selection))


def test_one_window_by_hand() -> None:
    # 3 x 3 cells of 4 x 2 pixels; the window around the cell (0, 2) leaves the image above.
    maps = torch.full((1, 1, 3, 4), -1.0)
    maps[0, 0, 0, 2] = maps[0, 0, 1, 1] = 1
    objectness = torch.full((1, 3, 4), -1e6)
    objectness[0, 0, 2] = 0
    level = make_level(maps, objectness, cell=(4, 2), m=3)
    windows = filled([level], 6, 16, Selection())
    proposals = propose([level], 6, 16, Selection())
    assert proposals.scores.tolist() == [0.5]
    assert proposals.windows.tolist() == [[4, -2, 16, 4]]
    assert windows.boxes.tolist() == [[4, 0, 12, 4]]
    b = BACKGROUND
    assert proposals.logits.tolist() == [[[b, b, b], [-1, 1, -1], [1, -1, -1]]]


def test_suppression_and_repeats_by_hand() -> None:
    # IoU with the first: 0.6, 0.9, 0, and 0.3; of the second with the last 0.5.
    boxes = [[0, 0, 10, h] for h in (10, 6, 9)] + [[20, 0, 30, 9], [0, 0, 10, 3]]
    scores = np.array([0.9, 0.8, 0.7, 0.5, 0.45], np.float32)
    selection = Selection(overlap=0.85, repeats=(0.4,))
    kept, final = suppress(np.array(boxes, np.float32), scores, selection)
    assert kept.tolist() == [0, 3, 4, 1]  # the second is a repeat of the first, and the last none
    np.testing.assert_allclose(final, [0.9, 0.5, 0.45, 0.4], rtol=1e-6)
    assert scores.tolist() == np.array([0.9, 0.8, 0.7, 0.5, 0.45], np.float32).tolist()


@pytest.mark.parametrize("image", [0, 1])
def test_images_of_a_batch_do_not_mix(image: int) -> None:
    levels = make_levels(batch=2)
    selection = Selection(overlap=0.5)
    proposals = propose(levels, HEIGHT, WIDTH, selection, image=image)
    assert_equal(proposals, naive(levels, HEIGHT, WIDTH, selection, image))
    alone = [
        replace(
            level,
            maps=level.maps[image : image + 1],
            objectness=level.objectness[image : image + 1],
        )
        for level in levels
    ]
    assert_equal(proposals, propose(alone, HEIGHT, WIDTH, selection))


def test_one_pass_with_two_branches_equals_two_passes_with_one() -> None:
    network = small_network()
    image = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    passes = [InstanceFCN(network.backbone, [branch]) for branch in network.branches]  # type: ignore[list-item]
    with torch.no_grad():
        together = propose(network(image), 64, 96, Selection())
        apart = propose([level for part in passes for level in part(image)], 64, 96, Selection())
    assert len(together) > 0
    assert_equal(together, apart)


# --- nothing to propose


@pytest.mark.parametrize("what", ["masks", "scores", "windows"])
def test_an_empty_result_keeps_its_shapes(what: str) -> None:
    levels = make_levels()
    selection = Selection(min_score=0.9999 if what == "scores" else 0.0, windows_per_side=2000)
    if what == "windows":  # an objectness of 0
        levels = [replace(level, objectness=level.objectness * 0 - 200) for level in levels]
    if what == "masks":
        levels = [replace(level, maps=-level.maps.abs()) for level in levels]
    proposals = propose(levels, HEIGHT, WIDTH, selection)
    assert len(proposals) == 0
    assert proposals.boxes.shape == proposals.windows.shape == (0, 4)
    assert proposals.masks() == ()
    assert proposals.logits.shape == (0, 7, 7)
    assert (proposals.height, proposals.width) == (HEIGHT, WIDTH)


def test_a_mask_wholly_beyond_the_image_is_no_proposal() -> None:
    maps = torch.full((1, 1, 1, 3), -1.0)
    maps[0, 0, 0, 2] = 1
    level = make_level(maps, torch.zeros(1, 1, 3), m=3)
    assert len(propose([level], 4, 8, Selection())) == 0
    assert len(propose([level], 4, 9, Selection())) == 1


# --- ranking


def test_ties_keep_the_order_of_levels_and_positions() -> None:
    levels = [
        replace(level, objectness=torch.zeros_like(level.objectness), maps=level.maps.abs())
        for level in make_levels()
    ]
    selection = Selection(windows_per_side=50, overlap=1.0)
    proposals = propose(levels, HEIGHT, WIDTH, selection)
    assert_equal(proposals, naive(levels, HEIGHT, WIDTH, selection))
    centres = proposals.windows[:, :2] + proposals.windows[:, 2:]
    assert len(proposals) == 50
    assert centres.tolist() == sorted(centres.tolist(), key=lambda centre: (centre[1], centre[0]))


def test_many_ties_still_equal_the_naive_loop() -> None:
    levels = [
        replace(level, objectness=level.objectness.round()) for level in make_levels(offset=0.3)
    ]
    for selection in (Selection(windows_per_side=30, overlap=0.75), Selection(overlap=0.5, top=9)):
        proposals = propose(levels, HEIGHT, WIDTH, selection)
        assert_equal(proposals, naive(levels, HEIGHT, WIDTH, selection))


@pytest.mark.parametrize("power", [0.0, 0.5])
def test_scores_descend_and_masks_do_not_repeat(power: float) -> None:
    proposals = propose(make_levels(), HEIGHT, WIDTH, Selection(overlap=0.5, confidence=power))
    assert (np.diff(proposals.scores) <= 0).all()
    boxes = cell_boxes(proposals.logits, proposals.windows, HEIGHT, WIDTH).tolist()
    assert all(iou(a, b) <= 0.5 for i, a in enumerate(boxes) for b in boxes[:i])


@pytest.mark.parametrize("top", [1, 5, 10_000])
def test_top_cuts_the_ranking(top: int) -> None:
    whole = propose(make_levels(), HEIGHT, WIDTH, Selection())
    assert_equal(propose(make_levels(), HEIGHT, WIDTH, Selection(top=top)), whole[:top])


@pytest.mark.parametrize("power", [0.0, 1.0])
def test_min_score_cuts_the_ranking(power: float) -> None:
    whole = propose(make_levels(), HEIGHT, WIDTH, Selection(confidence=power))
    least = float(whole.scores[len(whole) // 2])
    cut = propose(make_levels(), HEIGHT, WIDTH, Selection(confidence=power, min_score=least))
    assert 0 < len(cut) < len(whole)
    assert_equal(cut, whole[: len(cut)])
    assert cut.scores[-1] >= least > whole.scores[len(cut)]


def test_windows_centred_outside_the_image_are_never_chosen() -> None:
    for height, width in ((HEIGHT, WIDTH), (16, 45), (30, 16), (20, 20)):
        proposals = propose(make_levels(offset=1.0), height, width, Selection(overlap=1.0))
        x, y = ((proposals.windows[:, :2] + proposals.windows[:, 2:]) / 2).T
        assert ((x > 0) & (x < width) & (y > 0) & (y < height)).all()


# --- merging


def test_merged_candidates_keep_their_order_and_their_levels() -> None:
    one, other = (
        filled(levels, HEIGHT, WIDTH, Selection(windows_per_side=n)).candidates(Look(len(levels)))
        for levels, n in ((make_levels(0), 9), (make_levels(7)[2:], 5))
    )
    merged = merge([one, other])
    assert sum(look.num_levels for look in merged.looks) == 6
    np.testing.assert_array_equal(merged.level, np.concatenate((one.level, other.level + 4)))
    np.testing.assert_array_equal(merged.scores, np.concatenate((one.scores, other.scores)))
    assert merged.logits.shape == (14, 7, 7)
    whole = Candidates(**{name: getattr(one, name) for name in one.__dataclass_fields__})
    for name in ("scores", "windows", "logits", "boxes", "level"):
        np.testing.assert_array_equal(getattr(merge([whole]), name), getattr(one, name))
