"""A second engine, which finds what is bright and says whether it is red or blue; and what a user
does with it. None of this imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from instancefcn import Predictor
from instancefcn.core.candidates import Candidates, cell_boxes
from instancefcn.core.look import Look
from instancefcn.core.proposals import Proposals
from instancefcn.core.types import Floats
from instancefcn.evaluation.measuring import measured, scored_masks
from instancefcn.formats.coco import CocoDataset
from instancefcn.formats.ledger import Ledger
from instancefcn.formats.plan import FORMATS, Plan
from instancefcn.formats.sources import to_sources
from instancefcn.inference.ranking import Selection
from instancefcn.inference.run import Run
from instancefcn.inference.sampling import Sampling
from instancefcn.inference.settings import Inference

CATEGORIES = {1: "red", 2: "blue"}
M = 15


class BrightEngine:
    """An ``inference.engine:Engine``: a bright region is a candidate, its window is its box."""

    multiple = 8
    categories: Mapping[int, str] = CATEGORIES

    def candidates(self, samplings: Sequence[Sampling], selection: Selection) -> list[Candidates]:
        """See ``Engine``."""
        return [_regions(sampling, self.multiple) for sampling in samplings]

    def label(self, proposals: Proposals, looks: Sequence[Look]) -> Floats:
        """See ``Engine``: of the colour amid a mask's window, in the look that found it."""
        logits = np.zeros((len(proposals), 1 + len(CATEGORIES)), np.float32)
        for row, level, window in zip(logits, proposals.level, proposals.windows, strict=True):
            (image,) = looks[level].encoded
            x, y = ((window[:2] + window[2:]) / 2 - looks[level].origin) / looks[level].scale
            row[1:] = 10 * image[::2, int(y), int(x)]
        return logits


def _regions(sampling: Sampling, multiple: int) -> Candidates:
    image = sampling.to_input(multiple)[0]
    bright = (image.max(0) > 0.8).astype(np.uint8)
    n, regions, found, _ = cv2.connectedComponentsWithStats(bright)
    corners, sizes = found[1:, :2], found[1:, 2:4]
    windows = np.concatenate((corners, corners + sizes), 1) * np.tile(sampling.scale, 2)
    logits = np.zeros((n - 1, M, M), np.float32)
    for number, (x, y), (width, height) in zip(range(1, n), corners, sizes, strict=True):
        mask = (regions[y : y + height, x : x + width] == number).astype(np.float32)
        logits[number - 1] = cv2.resize(mask, (M, M), interpolation=cv2.INTER_AREA) * 2 - 1
    windows = windows.astype(np.float32)
    return Candidates(
        scores=np.linspace(0.9, 0.5, n - 1, dtype=np.float32),
        windows=windows,
        logits=logits,
        boxes=cell_boxes(logits, windows, sampling.height, sampling.width),
        level=np.zeros(n - 1, np.int64),
        looks=(Look(1, (image,), sampling.scale),),
    )


def work(photo: Path, output: Path) -> None:
    """Writes what is found on a photo in each format, in the folder and as files of its own."""
    predictor = Predictor(BrightEngine(), Inference((48, 96)), batch=2)
    for suffix in ("json", "png", "safetensors"):
        predictor(photo).save(output / f"own.{suffix}")
    sources = to_sources([photo])
    plan, ledger = Plan.of(output, list(FORMATS), predictor.categories), Ledger(output)
    names = [*plan.names_at_the_end(), *plan.names(sources[0])]
    ledger.start({}, names)
    run = Run(plan, ledger, lambda image: nullcontext())
    list(run.do(run.take_up(sources), predictor))
    run.finish()


def recall(photo: Path, output: Path) -> float:
    """Of what is found on a photo, measured on what was written of it."""
    predictor = Predictor(BrightEngine(), Inference((48, 96)))
    dataset = CocoDataset(output / "proposals.json", photo.parent)
    masks = scored_masks(predictor(photo), dataset.categories)
    return float(measured([(dataset[0], masks)], dataset.categories).recall.average(10))


def draw(path: Path) -> None:
    """A photo, 90 x 60: a red disc and a blue square on black."""
    pixels = np.zeros((60, 90, 3), np.uint8)
    cv2.circle(pixels, (25, 30), 14, (255, 0, 0), -1)
    pixels[20:45, 50:80] = (0, 0, 255)
    Image.fromarray(pixels).save(path)
