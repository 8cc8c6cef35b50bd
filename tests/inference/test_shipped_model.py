"""The model that ships finds today what it found when it was written."""

from __future__ import annotations

import pytest
import skimage.data
import torch

from instancefcn.inference.predictor import Predictor

COFFEE = [
    (0.5891, [81, 0, 484, 400], 117614),  # saucer, cup and spoon
    (0.4284, [178, 19, 417, 281], 43903),  # the cup
    (0.3824, [321, 242, 405, 324], 5372),
    (0.2833, [0, 20, 193, 393], 41546),
    (0.2480, [0, 96, 350, 400], 52823),
]
"""The first proposals of scikit-image's photo "coffee", 600 x 400: score, box, pixels of the mask.
Found by ``general`` with its own settings, torch 2.14.1 on a CPU, 2026-11-26.
"""


def test_the_best_proposals_of_a_photo_stay_what_they_are() -> None:
    """The tolerances leave room for other versions of torch and OpenCV, not for another model."""
    found = Predictor.from_pretrained("general")(skimage.data.coffee())
    scores, boxes, areas = zip(*COFFEE, strict=True)
    n = len(COFFEE)
    torch.testing.assert_close(found.scores[:n], torch.tensor(scores), atol=0.005, rtol=0)
    torch.testing.assert_close(found.boxes[:n], torch.tensor(boxes).float(), atol=2, rtol=0)
    assert [int(found.mask(i).sum()) for i in range(n)] == pytest.approx(areas, rel=0.01)
