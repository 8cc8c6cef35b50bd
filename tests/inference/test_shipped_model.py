"""The model that ships finds today what it found when it was written."""

from __future__ import annotations

import pytest
import skimage.data
import torch

from instancefcn.inference.predictor import Predictor

COFFEE = [
    (0.6373, [77, 17, 477, 400], 102104),  # saucer, cup and spoon
    (0.5263, [174, 21, 407, 256], 35009),  # the cup
    (0.3531, [185, 90, 390, 202], 13011),  # the coffee in it
    (0.2734, [321, 235, 405, 327], 5727),
    (0.2572, [172, 22, 406, 279], 37038),
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
