"""Predictions of image files: what is refused by its size, and what cannot be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from builders import predictor_of, small_network
from instancefcn.core.errors import UserError
from instancefcn.formats.prediction import Source
from instancefcn.inference.predicting import predictions_of


def test_each_source_has_its_prediction_or_raises_what_it_met(tmp_path: Path) -> None:
    sources = [Source(tmp_path / f"{i}.png", i, f"{i}.png", str(i)) for i in range(3)]
    for i in (0, 1):
        Image.fromarray(np.full((40 + i, 60, 3), 90 * i, np.uint8)).save(sources[i].path)

    def identify(source: Source, height: int, width: int) -> None:
        if (height, width) != (41, 60):
            raise UserError(f"{source.file_name}: refused")

    predictor = predictor_of(small_network(), [64], batch=3)
    (_, first), (source, second), (_, third) = predictions_of(predictor, sources, identify)
    with pytest.raises(UserError, match=r"0\.png: refused"):
        first()
    with pytest.raises(UserError, match=r"2\.png: no such file"):
        third()
    prediction = second()
    assert prediction.source is source is sources[1]
    assert prediction.pixels.shape == (41, 60, 3)
