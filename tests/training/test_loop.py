"""The loop's own decisions. What it computes: tests/apps/test_train.py, test_learning.py."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric

from instancefcn.core.errors import UserError
from instancefcn.training.loop import Patience, train
from instancefcn.training.recipe import read_recipe
from shapes import write_recipe, write_shapes

FINE, LOST = torch.tensor(3.0), torch.tensor(torch.inf)


def test_gradients_that_are_not_finite_end_a_run_at_once() -> None:
    patience = Patience(0)
    patience.require_finite(FINE, 1)
    patience.require_finite(None, 2)
    with pytest.raises(UserError, match=r"^step 3: gradients are not finite"):
        patience.require_finite(LOST, 3)


def test_a_few_steps_in_a_row_may_overflow_in_float16() -> None:
    """While its scale is found; one good step, and it may begin again."""
    patience = Patience(2)
    for norm in (LOST, LOST, FINE, LOST, LOST):
        patience.require_finite(norm, 1)
    with pytest.raises(UserError, match="step 6"):
        patience.require_finite(LOST, 6)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_truncated_image_is_named_in_one_line(tmp_path: Path, workers: int) -> None:
    annotations = write_shapes(tmp_path, images=1)
    image = tmp_path / "1.png"
    image.write_bytes(image.read_bytes()[:150])
    options = ["--workers", str(workers), "--evaluate", "[]"]
    recipe = read_recipe(str(write_recipe(tmp_path, annotations)), options).recipe
    with pytest.raises(UserError) as told:
        next(train(recipe, tmp_path / "run", Fabric(accelerator="cpu", devices=1)))
    assert str(told.value).startswith(f"{image}: ")
    assert "\n" not in str(told.value)
