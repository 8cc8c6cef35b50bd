"""An exported graph finds what torch finds; files that are none of ours are told in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import skimage.data
import torch
from numpy.typing import NDArray
from torch import Tensor

from instancefcn.core.errors import UserError
from instancefcn.core.grid import Grid, Windows
from instancefcn.core.level import Level
from instancefcn.inference.engines import open_engine
from instancefcn.inference.onnx_engine import ENTRY, OnnxEngine, open_onnx
from instancefcn.inference.onnx_graph import write_onnx
from instancefcn.inference.predictor import Predictor
from instancefcn.inference.ranking import Selection
from instancefcn.inference.sampling import sample
from instancefcn.inference.settings import Inference
from instancefcn.inference.torch_engine import TorchEngine
from instancefcn.network.backbones import FeaturePyramid
from instancefcn.network.fcn import Branch, InstanceFCN
from instancefcn.network.head import Head, Targets, Term
from instancefcn.network.heads import ObjectnessHead, ScoreMapHead
from instancefcn.network.models import build, load_model
from tiny_model import DESCRIPTION, write_model

PHOTOS: list[Callable[[], NDArray[np.uint8]]] = [
    skimage.data.coffee,
    skimage.data.astronaut,
    skimage.data.chelsea,
]


def both(folder: Path, network: InstanceFCN) -> tuple[TorchEngine, OnnxEngine]:
    """A network run by torch and by onnxruntime."""
    write_onnx(folder / "tiny.onnx", network, Inference((64,)).plain(), {})
    engine = open_onnx(folder / "tiny.onnx", None).engine
    assert isinstance(engine, OnnxEngine)
    return TorchEngine(network), engine


@pytest.fixture(scope="module", name="engines")
def _engines(tmp_path_factory: pytest.TempPathFactory) -> tuple[TorchEngine, OnnxEngine]:
    folder = tmp_path_factory.mktemp("tiny")
    return both(folder, load_model(write_model(folder / "tiny.safetensors")).network)


def require_equal(
    engines: tuple[TorchEngine, OnnxEngine],
    size: tuple[int, int],
    selection: Selection,
    side: int = 70,
) -> int:
    """Of part of a photo, two sizes of it together; returns how many windows are filled."""
    pixels = skimage.data.astronaut()[: size[0], : size[1]]
    samplings = [sample(pixels, side, 4 * side), sample(pixels, side - 1, 4 * side)]
    counts = 0
    for a, b in zip(*(engine.candidates(samplings, selection) for engine in engines), strict=True):
        for name in ("scores", "windows", "boxes"):
            np.testing.assert_allclose(getattr(b, name), getattr(a, name), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(b.logits, a.logits, rtol=1e-3, atol=1e-3)
        np.testing.assert_array_equal(b.level, a.level)
        assert b.looks == a.looks
        counts += len(a)
    return counts


@pytest.mark.parametrize("size", [(200, 300), (300, 200), (4, 400), (1, 1)])
def test_the_candidates_of_any_size_are_those_of_torch(
    engines: tuple[TorchEngine, OnnxEngine], size: tuple[int, int]
) -> None:
    assert engines[0].multiple == engines[1].multiple
    assert require_equal(engines, size, Selection(confidence=0.7)) > 2


@pytest.mark.parametrize("windows", [1, 7])
def test_a_selection_counts(engines: tuple[TorchEngine, OnnxEngine], windows: int) -> None:
    """With one window, a level has none."""
    assert require_equal(engines, (200, 300), Selection(windows)) == 2 * windows


def test_equal_scores_keep_their_order(tmp_path: Path) -> None:
    network = build(DESCRIPTION, "the tests").eval()
    for branch in network.all_branches():
        for parameter in branch.objectness_head.parameters():
            torch.nn.init.zeros_(parameter)
    assert require_equal(both(tmp_path, network), (200, 300), Selection(20)) == 40


class Features(Head):
    """A further head: what the features at a window's centre are."""

    name = "features"
    reads = "centres"

    def forward(self, features: Tensor) -> Tensor:
        return features

    def loss(self, level: Level, targets: Targets, drawn: Tensor) -> Term:
        raise NotImplementedError

    def decode(self, answer: Tensor, windows: Windows, grid: Grid) -> Tensor:
        y, x = grid.places(windows)
        return answer[windows.image, :, y, x]


def test_what_a_further_head_says_is_in_the_graph(tmp_path: Path) -> None:
    torch.manual_seed(0)
    heads = [Features()]
    branch = Branch(9, ScoreMapHead(8, 8, k=3), ObjectnessHead(8, 8), [0, 1], [2, 2], heads=heads)
    engines = both(tmp_path, InstanceFCN(FeaturePyramid("test_efficientnet", 8), [branch]).eval())
    samplings = [sample(skimage.data.astronaut(), 70, 200)]
    (a,), (b,) = (engine.candidates(samplings, Selection(30)) for engine in engines)
    assert b.answers.keys() == {"features"}
    assert b.answers["features"].shape == (30, 8)
    np.testing.assert_allclose(b.answers["features"], a.answers["features"], rtol=1e-3, atol=1e-4)


@pytest.fixture(scope="module", name="general")
def _general(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("general") / "general.onnx"
    model = load_model("general")
    write_onnx(path, model.network, model.inference, model.card)
    return path


def test_photos_show_what_torch_shows(general: Path) -> None:
    """So do the settings and the card. Where an overlap is next to its limit, one may keep a mask
    that the other drops.
    """
    torchs, ours = Predictor.from_pretrained("general"), Predictor.from_pretrained(general)
    assert isinstance(ours.engine, OnnxEngine)
    assert (ours.settings, ours.card) == (torchs.settings, torchs.card)
    for photo in PHOTOS:
        wanted, found = torchs(photo()), ours(photo())
        n = 100
        np.testing.assert_allclose(found.scores[:n], wanted.scores[:n], atol=1e-3)
        a, b = (
            np.stack([each.mask(i).ravel() for i in range(n)]).astype(np.float32)
            for each in (wanted, found)
        )
        shared = a @ b.T
        union = a.sum(1)[:, None] + b.sum(1) - shared
        iou = np.where(union > 0, shared / np.maximum(union, 1), 1)  # some masks draw no pixel
        assert iou.max(1).mean() > 0.99


def foreign(path: Path, entry: str | None) -> Path:
    """An ONNX file of one operation, with an entry of ours or none."""
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    result = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "theirs", [value], [result])
    opsets = [onnx.helper.make_opsetid("", 17)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)
    if entry is not None:
        onnx.helper.set_model_props(model, {ENTRY: entry})
    onnx.save(model, str(path))
    return path


def refused(path: Path, device: str | None = None) -> str:
    with pytest.raises(UserError) as error:
        open_engine(path, device)
    assert str(path) in str(error.value)
    assert ";" in str(error.value)
    assert "\n" not in str(error.value)
    return str(error.value)


WHOLE = '{"multiple": 32, "num_levels": 1, "inference": {"sides": [64]}, "card": {}}'


@pytest.mark.parametrize("entry", [None, "", "[]", "{}", "9", WHOLE, "[" * 100_000])
def test_files_of_others_are_told_in_one_line(tmp_path: Path, entry: str | None) -> None:
    assert "no InstanceFCN model" in refused(foreign(tmp_path / "theirs.onnx", entry))


def test_broken_files_are_told_in_one_line(tmp_path: Path, general: Path) -> None:
    content = general.read_bytes()
    path = tmp_path / "broken.onnx"
    for broken in (b"", b"a photo", content[: len(content) // 2], content[1000:]):
        path.write_bytes(broken)
        assert refused(path)
    assert "no such model" in refused(tmp_path / "none.onnx")
    (tmp_path / "folder.onnx").mkdir()
    assert refused(tmp_path / "folder.onnx")


def test_a_graph_runs_on_the_cpu(general: Path) -> None:
    assert "runs on the CPU" in refused(general, "cuda")
