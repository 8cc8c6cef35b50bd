"""The model that ships finds today what it found when it was written."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray

from instancefcn.inference.predictor import Predictor
from instancefcn.inference.sampling import Sampling, sample

COFFEE = [
    (0.762, [73, 15, 477, 385], 112660),  # saucer, cup and spoon
    (0.4817, [319, 220, 406, 327], 6356),  # the spoon
    (0.4784, [174, 20, 416, 279], 41627),  # the cup
    (0.3138, [195, 226, 256, 313], 3552),  # its handle
    (0.2258, [0, 0, 130, 100], 7913),
]
"""The first proposals of scikit-image's photo "coffee", 600 x 400: score, box, pixels of the mask.
Found by ``general`` with its own settings, torch 2.14.1 on a CPU, 2026-11-27.
"""


def test_the_best_proposals_of_a_photo_stay_what_they_are() -> None:
    """The tolerances leave room for other versions of torch and OpenCV, not for another model."""
    found = Predictor.from_pretrained("general")(skimage.data.coffee())
    scores, boxes, areas = zip(*COFFEE, strict=True)
    n = len(COFFEE)
    np.testing.assert_allclose(found.scores[:n], scores, atol=0.005)
    np.testing.assert_allclose(found.boxes[:n], boxes, atol=2)
    assert [int(found.mask(i).sum()) for i in range(n)] == pytest.approx(areas, rel=0.01)


PARTS = ((0, 288), (224, 512))
"""Where the two halves of a photo of 512 pixels begin and end; they overlap."""


def test_the_labels_of_photos_stay_what_they_are() -> None:
    """A cat, a woman and no more of such a score; each label is one of VOC's categories."""
    predictor = Predictor.from_pretrained("voc20")
    assert len(predictor.categories) == 20
    for photo, name, score in (
        (skimage.data.chelsea(), "cat", 0.81),
        (skimage.data.astronaut(), "person", 0.78),
    ):
        found = predictor(photo)
        assert found.names[0] == name
        assert float(found.scores[0]) == pytest.approx(score, abs=0.03)
        assert float(found.scores[1]) < 0.5


class OfHalves(Predictor):
    """Looks at two overlapping halves of an image, each in its own size."""

    def samplings(self, pixels: NDArray[np.uint8]) -> list[Sampling]:
        return [
            replace(sample(pixels[:, start:end], end - start, len(pixels)), origin=(start, 0))
            for start, end in PARTS
        ]


def test_two_halves_of_a_photo_show_what_one_look_shows() -> None:
    """The masks 20 pixels or more away from where the other half ends: nearly the same, in their
    places. What the network sees around a mask differs, so they are not quite the same.
    """
    photo = skimage.data.astronaut()
    one = Predictor.from_pretrained("general", [512])
    whole = one(photo)[:60]
    halves = OfHalves(one.engine, one.settings)(photo)[:200]
    assert halves.boxes[:, 2].max() == 512
    masks = np.stack([halves.mask(i) for i in range(len(halves))])
    (_, seam_of_left), (seam_of_right, _) = PARTS
    fits: dict[str, list[float]] = {"left": [], "right": []}
    for index, (x0, _, x1, _) in enumerate(whole.boxes.tolist()):
        side = "left" if x1 <= seam_of_left - 20 else "right" if x0 >= seam_of_right + 20 else ""
        if side:
            mask = whole.mask(index)
            iou = (masks & mask).sum((1, 2)) / (masks | mask).sum((1, 2))
            fits[side].append(float(iou.max()))
    for of_side in fits.values():
        assert len(of_side) > 15
        assert min(of_side[:3]) > 0.85  # the best ones
        assert np.median(of_side) > 0.9
