"""A network with a labeller: one description, one file, one start."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from builders import CATEGORIES, labelled_network, random_rois, small_network
from instancefcn.core.errors import UserError
from instancefcn.core.tensors import read_tensors, write_tensors
from instancefcn.labelling.labeller import Labeller
from instancefcn.labelling.network import LabelledNetwork, is_labeller
from instancefcn.network.models import Model, build, load_model
from instancefcn.training.loop import load_start
from instancefcn.training.recipe import read_recipe
from predictions import NAMES
from tiny_labeller import labelled_description


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[LabelledNetwork, Path]:
    """A network, and its file; its weights are of half precision already."""
    description = labelled_description(NAMES)
    torch.manual_seed(0)
    network = build(description, "here").eval().half().float()
    assert isinstance(network, LabelledNetwork)
    path = tmp_path_factory.mktemp("model") / "labels.safetensors"
    Model(network, description, {"sides": [64]}, {}).save(path)
    return network, path


@torch.no_grad()
def test_a_model_file_keeps_labels_and_their_names(model: tuple[LabelledNetwork, Path]) -> None:
    network, path = model
    loaded = load_model(path).network
    assert isinstance(loaded, LabelledNetwork)
    assert loaded.categories == NAMES
    images = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    rois = random_rois([0, 1, 1], 64, 96)
    one, other = (each.labeller(each.encode(images), rois) for each in (network, loaded))
    assert one.shape == (3, 1 + len(NAMES))
    assert torch.equal(one, other)


def test_it_finds_the_masks_that_the_network_finds() -> None:
    network = small_network()
    weights = labelled_network().state_dict()
    assert {name for name in weights if not is_labeller(name)} == network.state_dict().keys()
    for name, weight in network.state_dict().items():
        assert torch.equal(weights[name], weight), name


def test_outputs_are_in_the_order_of_ids() -> None:
    network = labelled_network(categories={9: "dog", 2: "cat", 5: "cow"})
    assert list(network.categories.items()) == [(2, "cat"), (5, "cow"), (9, "dog")]


def test_a_labeller_is_built_for_the_encoder() -> None:
    seen: list[Any] = []

    class Nothing(Labeller):
        def forward(self, encoded: Any, rois: Any) -> torch.Tensor:
            raise NotImplementedError

    def make(channels: Any, strides: Any, num_categories: int) -> Labeller:
        seen.append((tuple(channels), tuple(strides), num_categories))
        return Nothing()

    network = labelled_network(make)
    backbone = network.backbone
    assert seen == [(backbone.encoded_channels, backbone.strides, len(CATEGORIES))]


@pytest.mark.parametrize(
    ("categories", "words"),
    [
        ({}, "categories: none; name those"),
        ({1: "cat", 2: "two\nlines"}, "'two\\nlines' is no name; give a text of one line"),
        ({1: ""}, "'' is no name"),
        ({1: "cat", 2: "dog", 3: "cat"}, "two are called 'cat'; give each its own name"),
    ],
)
def test_categories_that_cannot_be_told_apart(categories: Mapping[int, str], words: str) -> None:
    with pytest.raises(UserError) as error:
        labelled_network(categories=categories)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


# --- what does not fit


@pytest.mark.parametrize("fault", ["more categories", "another encoder", "no labeller"])
def test_a_labeller_that_does_not_fit_is_told_in_one_line(
    model: tuple[LabelledNetwork, Path], tmp_path: Path, fault: str
) -> None:
    """More classes than outputs; weights learnt on the maps of another encoder; none at all."""
    tensors, header = read_tensors(model[1])
    if fault == "more categories":
        header["network"] = labelled_description({**NAMES, 7: "one more"})
    elif fault == "another encoder":
        own = labelled_description(NAMES, encoder="mobilenetv3_small_100")
        other = build(own, "here").state_dict()
        tensors |= {name: weight.half() for name, weight in other.items() if is_labeller(name)}
    else:
        tensors = {name: weight for name, weight in tensors.items() if not is_labeller(name)}
    path = tmp_path / "wrong.safetensors"
    write_tensors(path, tensors, header)
    with pytest.raises(
        UserError, match=r"wrong\.safetensors: its weights do not fit .*'labeller"
    ) as e:
        load_model(path)
    assert "\n" not in str(e.value)


# --- a start


def test_a_start_from_general_leaves_the_labeller_as_it_was() -> None:
    recipe = read_recipe("labels", ["--network.categories", '{"1": "cat", "2": "dog"}']).recipe
    before = {name: weight.clone() for name, weight in recipe.network.state_dict().items()}
    load_start(recipe.network, "general")
    general = load_model("general").network.state_dict()
    after = recipe.network.state_dict()
    assert {name for name in after if not is_labeller(name)} == general.keys()
    for name, weight in after.items():
        assert torch.equal(weight, before[name] if is_labeller(name) else general[name]), name


def test_a_start_from_another_labeller_is_told_in_one_line(
    model: tuple[LabelledNetwork, Path],
) -> None:
    network = build(labelled_description({1: "cat", 2: "dog"}), "here")
    with pytest.raises(
        UserError, match=r"its labeller is of another kind, .*'labeller.*; start from a model with"
    ) as error:
        load_start(network, model[1])
    assert "\n" not in str(error.value)


def test_a_network_that_stays_as_it_is_gets_no_copied_branch(
    model: tuple[LabelledNetwork, Path],
) -> None:
    """A branch that started as a copy has to learn its own windows first."""
    description = labelled_description(NAMES)
    description["init_args"]["network"]["init_args"] |= {
        "sizes": [11, 15],
        "maps": [[0, 1], [1]],
        "centres": [[1, 1], [1]],
    }
    network = build(description, "here")
    with pytest.raises(UserError, match=r"a model of another network, .*'branches\.1"):
        load_start(network, model[1], frozen=True)
    load_start(network, model[1])
    one, other = (branch.state_dict() for branch in network.all_branches())
    assert all(torch.equal(weight, other[name]) for name, weight in one.items())
