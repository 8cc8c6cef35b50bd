"""Model files: built again from themselves, and nothing but our own classes out of them."""

from __future__ import annotations

import copy
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from instancefcn.core.errors import UserError
from instancefcn.core.tensors import read_tensors, write_tensors
from instancefcn.network.fcn import InstanceFCN
from instancefcn.network.finding import shipped
from instancefcn.network.models import Model, build, load_model

DESCRIPTION: dict[str, Any] = {
    "class_path": "instancefcn.network.fcn.InstanceFCN",
    "init_args": {
        "backbone": {
            "class_path": "instancefcn.network.backbones.FeaturePyramid",
            "init_args": {"encoder": "mobilenetv3_small_100", "channels": 8},
        },
        "branches": [
            {
                "m": 11,
                "mask_head": {
                    "class_path": "instancefcn.network.heads.ScoreMapHead",
                    "init_args": {"channels": 8, "hidden": 8, "k": 3},
                },
                "objectness_head": {"channels": 8, "hidden": 8, "prior": 0.1},
                "maps": [0, 1],
                "centres": [1, 3],
            }
        ],
    },
}
INFERENCE = {"sides": [64], "selection": {"top": 9}}
CARD = {"licence": "CC BY 4.0", "data": ["VOC fit"]}


def described(**changes: Any) -> dict[str, Any]:
    """The description with other arguments of the network's one branch."""
    description = copy.deepcopy(DESCRIPTION)
    description["init_args"]["branches"][0].update(changes)
    return description


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    return Model(build(DESCRIPTION, "here").eval(), DESCRIPTION, INFERENCE, CARD)


@pytest.fixture
def path(model: Model, tmp_path: Path) -> Path:
    model.save(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


# --- round trips


@torch.no_grad()
def test_a_model_survives_but_for_half_precision(model: Model, path: Path) -> None:
    loaded = load_model(path)
    assert (loaded.description, loaded.inference, loaded.card) == (DESCRIPTION, INFERENCE, CARD)
    assert not loaded.network.training
    for name, value in model.network.state_dict().items():
        assert torch.equal(loaded.network.state_dict()[name], value.half().float())
    images = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    for one, other in zip(loaded.network(images), model.network(images), strict=True):
        assert one.grid == other.grid
        torch.testing.assert_close(one.maps, other.maps, rtol=0.01, atol=0.01)
        torch.testing.assert_close(one.objectness, other.objectness, rtol=0.01, atol=0.01)


def test_a_loaded_model_is_saved_as_the_same(path: Path, tmp_path: Path) -> None:
    tensors, header = read_tensors(path)
    for place in (tmp_path / "again", path):  # in its own place, too
        load_model(str(path)).save(place)
        saved, saved_header = read_tensors(place)
        assert saved_header == header
        assert all(torch.equal(saved[name], tensor) for name, tensor in tensors.items())
    assert sorted(os.listdir(tmp_path)) == ["again", "model.safetensors"]


def test_building_leaves_the_description_as_it_was() -> None:
    description = copy.deepcopy(DESCRIPTION)
    assert isinstance(build(description, "here"), InstanceFCN)
    assert description == DESCRIPTION


def test_class_and_arguments_may_be_left_implicit() -> None:
    assert isinstance(build(DESCRIPTION["init_args"], "here"), InstanceFCN)


def test_weights_are_kept_as_float16(path: Path) -> None:
    tensors, _ = read_tensors(path)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}


@pytest.mark.parametrize("name", shipped())
def test_models_that_ship_load_by_name(name: str) -> None:
    model = load_model(name)
    assert {"sides"} <= model.inference.keys()
    assert model.card


# --- foreign classes

FOREIGN = "foreign_classes.Head"
ARGUMENTS = {"channels": 8, "hidden": 8, "k": 3}
HEAD: dict[str, Any] = {"class_path": "instancefcn.network.heads.ScoreMapHead"}


@pytest.mark.parametrize(
    "description",
    [
        described(mask_head={"class_path": FOREIGN, "init_args": ARGUMENTS}),
        described(mask_head={"class_path": FOREIGN}),
        described(mask_head=FOREIGN),
        described(objectness_head=FOREIGN),
        described(
            objectness_head={"class_path": "instancefcn.network.heads.ObjectnessHead", "x": FOREIGN}
        ),
        {"class_path": FOREIGN, "init_args": DESCRIPTION["init_args"]},
        {**DESCRIPTION, "dict_kwargs": {"backbone": FOREIGN}},
        FOREIGN,
        [FOREIGN],
    ],
)
def test_foreign_classes_are_named_and_never_imported(
    description: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = tmp_path / "imported"
    (tmp_path / "foreign_classes.py").write_text(
        "from instancefcn.network.heads import ScoreMapHead as Head\n"
        f"open({str(trace)!r}, 'w').close()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    write_tensors(
        tmp_path / "model", {}, {"network": description, "inference": INFERENCE, "card": CARD}
    )
    with pytest.raises(
        ValueError, match=rf"model: .*names the class {FOREIGN}, .*--trust f"
    ) as error:
        load_model(tmp_path / "model")
    assert "\n" not in str(error.value)
    assert not trace.exists()


@pytest.mark.parametrize("encoder", [FOREIGN, {"class_path": FOREIGN}])
def test_an_encoder_is_a_name_and_no_class(
    encoder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = tmp_path / "imported"
    (tmp_path / "foreign_classes.py").write_text(f"open({str(trace)!r}, 'w').close()\nHead = str\n")
    monkeypatch.syspath_prepend(tmp_path)
    description = copy.deepcopy(DESCRIPTION)
    description["init_args"]["backbone"]["init_args"]["encoder"] = encoder
    with pytest.raises(ValueError, match="here: describes no network of this version"):
        build(description, "here")
    assert not trace.exists()


# --- what is not ours


@pytest.mark.parametrize(
    ("description", "reason"),
    [
        (described(m=10), "a branch of m = 10"),
        (described(unknown=1), "unknown"),
        (described(mask_head=None), "mask_head"),
        (
            described(mask_head={"class_path": "instancefcn.network.heads.Nothing"}),
            "no class instancefcn.network.heads.Nothing",
        ),
        (described(mask_head={"class_path": "instancefcn.nothing.Head"}), "instancefcn.nothing"),
        (
            described(mask_head="instancefcn.network.fcn.Branch"),
            "instancefcn.network.fcn.Branch",
        ),
        ({}, "backbone, branches"),
        (None, ""),
        (3, ""),
        ([], ""),
    ],
)
def test_descriptions_of_no_network_are_told_in_one_line(description: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=rf"here: describes no network .*{reason}") as error:
        build(description, "here")
    assert "\n" not in str(error.value)


def test_a_name_that_is_no_model_is_told_with_those_that_are() -> None:
    with pytest.raises(ValueError, match="no_model: no such model") as error:
        load_model("no_model")
    assert all(name in str(error.value) for name in shipped())
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("header", [{}, {"network": DESCRIPTION}, {"format": "pt"}])
def test_other_safetensors_files_are_told_in_one_line(
    tmp_path: Path, header: dict[str, Any]
) -> None:
    write_tensors(tmp_path / "theirs", {"a": torch.zeros(2)}, header)
    with pytest.raises(ValueError, match="theirs: a safetensors file, but no InstanceFCN") as error:
        load_model(tmp_path / "theirs")
    assert "\n" not in str(error.value)


def test_other_files_are_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(ValueError, match=r"photo\.jpg: not a safetensors file") as error:
        load_model(tmp_path / "photo.jpg")
    assert "\n" not in str(error.value)


LARGE = copy.deepcopy(DESCRIPTION)
LARGE["init_args"]["backbone"]["init_args"] = {"encoder": "regnety_2560", "channels": 8}


@pytest.mark.parametrize(
    "change",
    [
        {"network": LARGE},
        {"network": described(mask_head=HEAD | {"init_args": {**ARGUMENTS, "hidden": 10**7}})},
        {"network": described(mask_head=HEAD | {"init_args": {**ARGUMENTS, "hidden": 10**30}})},
        {"network": described(mask_head=HEAD | {"init_args": {**ARGUMENTS, "hidden": -3}})},
        {"network": described(objectness_head={"channels": 8, "hidden": 8, "prior": 1.0})},
        {"network": described(objectness_head={"channels": 8, "hidden": 8, "prior": 7.0})},
        {"network": described(maps=[0] * 100_000)},
        {"network": None},
        {"card": None},
        {"card": []},
    ],
)
def test_a_header_that_asks_too_much_is_one_line(
    path: Path, change: dict[str, Any], tmp_path: Path
) -> None:
    """Nothing is allocated for it: the largest network here would take 3.5 GB."""
    resource = pytest.importorskip("resource", reason="measures memory by getrusage")
    tensors, header = read_tensors(path)
    write_tensors(tmp_path / "large", tensors, {**header, **change})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError, match=r"large: ") as error:
        load_model(tmp_path / "large")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1000
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * (1 if sys.platform == "darwin" else 1024) < 300e6


@pytest.mark.parametrize("fault", ["missing", "additional", "shape"])
def test_weights_that_do_not_fit_are_told_in_one_line(path: Path, fault: str) -> None:
    tensors, header = read_tensors(path)
    name = "branches.0.mask_head.score.weight"
    if fault == "missing":
        del tensors[name]
    elif fault == "additional":
        tensors["more"] = torch.zeros(2)
    else:
        tensors[name] = tensors[name][:1]
    write_tensors(path, tensors, header)
    with pytest.raises(ValueError, match=r"model\.safetensors: its weights do not fit") as error:
        load_model(path)
    assert "\n" not in str(error.value)
