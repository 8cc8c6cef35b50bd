"""The paper's figures 1 and 3 by our runs: a plain FCN beside InstanceFCN where objects touch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from chance import tally
from dev_sets import NUCLEI, VOC, DevSet
from differences import Results
from experiments import FCN, K5, Run, first_run
from instancefcn.apps.cli import main as instancefcn
from instancefcn.evaluation.recall import COUNTS
from instancefcn.figures.separation import MOST
from measuring import Measured

SHOWN = (VOC, NUCLEI)


def draw_separations(
    results: Mapping[str, Results], runs: Sequence[Run], sets: Mapping[str, DevSet], folder: Path
) -> str:
    """Pictures by ``instancefcn show-maps`` in score_maps of the folder, one of each set in
    ``SHOWN`` that both methods' first runs were measured on; and Markdown that shows them.
    """
    for old in (folder / "score_maps").glob("*.png"):  # another image may be the best one now
        old.unlink()
    parts = []
    for key in SHOWN:
        methods = results.get(key, {})
        if not {FCN, K5} <= methods.keys() or (place := scene(methods[K5][0])) is None:
            continue
        photo = sets[key].dataset[place].path
        fcn, model = (first_run(runs, name, key).model for name in (FCN, K5))
        words = ["show-maps", photo, "--model", model, "--fcn", fcn, "--output", folder]
        code = instancefcn([str(word) for word in words])
        assert code == 0, "photo and models were there"
        parts.append(
            f"![{FCN} and {K5} on {photo.stem}](images/score_maps/{photo.stem}.png)\n\n"
            f"{sets[key].label}: of the images with {MOST} or more objects that touch, the one on "
            f"which the first run of {K5} finds these best (touching AR@{COUNTS[1]})."
        )
    return "\n\n".join(parts)


def scene(figures: Measured) -> int | None:
    """The index of the image with enough objects that touch, whose are found best; None without
    such an image.
    """
    of_each = tally(figures)
    column = len(COUNTS) + 1
    objects = of_each.objects[:, column]
    shares = np.where(objects >= MOST, of_each.found[:, column] / np.maximum(objects, 1), -1)
    return int(shares.argmax()) if (objects >= MOST).any() else None
