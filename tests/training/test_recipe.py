"""Reading recipes, and starting from a whole model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from lightning_fabric import Fabric

from builders import small_network
from instancefcn.core.errors import UserError
from instancefcn.network.backbones import FeaturePyramid
from instancefcn.network.models import Model, load_model
from instancefcn.training.loop import load_start, train
from instancefcn.training.recipe import (
    ReadRecipe,
    Recipe,
    read_recipe,
    recipe_help,
    shipped_recipes,
)
from recipe_steps import tiny_data
from shapes import write_recipe, write_shapes


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shapes")
    return write_recipe(folder, write_shapes(folder))


@pytest.fixture(autouse=True)
def _any_algorithm() -> Iterator[None]:
    """Training asks for deterministic algorithms; other tests need not."""
    yield
    torch.use_deterministic_algorithms(False)


def save(read: ReadRecipe, path: Path) -> Path:
    Model(read.recipe.network, read.description, read.recipe.inference.plain(), {}).save(path)
    return path


# Reading.


@pytest.mark.parametrize("name", ["shapes", *shipped_recipes()])
def test_the_copy_beside_a_run_is_the_same_recipe(name: str, recipe: Path, tmp_path: Path) -> None:
    source = str(recipe) if name == "shapes" else name
    # Of data that are there: those of a labeller are looked at for their categories.
    first = read_recipe(source, tiny_data(tmp_path))
    copy = tmp_path / "copy.yaml"
    copy.write_text(first.text)
    second = read_recipe(str(copy))
    assert second.text == first.text
    for field in ("sampling", "matching", "inference", "steps", "batch", "clip", "pretrained"):
        assert getattr(second.recipe, field) == getattr(first.recipe, field), field


def test_a_value_of_null_is_kept(recipe: Path, tmp_path: Path) -> None:
    read = read_recipe(str(recipe), ["--sampling.windows_per_image", "null"])
    assert read.recipe.sampling.windows_per_image is None
    copy = tmp_path / "copy.yaml"
    copy.write_text(read.text)
    assert read_recipe(str(copy)).recipe.sampling.windows_per_image is None


def test_a_recipe_laid_over_its_base(tmp_path: Path) -> None:
    """What it names is its own, what it leaves out its base's, or its base's base's: a recipe that
    ships, or a file by its place beside the recipe. The copy of its values needs no base.
    """
    (tmp_path / "folder").mkdir()
    middle, over = tmp_path / "middle.yaml", tmp_path / "folder" / "over.yaml"
    middle.write_text("base: finetune\nsteps: 8\nclip: 2.0\n")
    over.write_text("base: ../middle.yaml\nsteps: 7\n")
    read, base = read_recipe(str(over)), read_recipe("finetune")
    assert (read.recipe.steps, read.recipe.clip) == (7, 2.0)
    assert read.recipe.batch == base.recipe.batch != read_recipe("general").recipe.batch
    assert read.description == base.description
    assert read.recipe.inference == read_recipe("general").recipe.inference
    assert read_recipe(str(over), ["--steps", "9"]).recipe.steps == 9
    assert "base" not in yaml.safe_load(read.text)


def test_a_recipe_that_ships_goes_before_a_file_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "general").write_text("not even a recipe")
    (tmp_path / "over.yaml").write_text("base: general\n")
    assert read_recipe(str(tmp_path / "over.yaml")).text == read_recipe("general").text


@pytest.mark.parametrize("names", ["a", "ab", "abc"])
def test_bases_in_a_circle_are_one_line(names: str, tmp_path: Path) -> None:
    for name, base in zip(names, names[1:] + names[0], strict=True):
        (tmp_path / f"{name}.yaml").write_text(f"base: ./{base}.yaml\n")
    with pytest.raises(UserError, match=r"a\.yaml: its bases lead in a circle \(.*a\.yaml -> "):
        read_recipe(str(tmp_path / "a.yaml"))


ONE = "instancefcn.network.presets.OneLevelNetwork"


def test_no_argument_of_the_bases_class_stays(tmp_path: Path) -> None:
    """Both heads have an argument ``hidden``, both optimizers ``weight_decay``: left out, it is the
    own class's default.
    """
    over = tmp_path / "over.yaml"
    head = "{class_path: instancefcn.baselines.deepmask.SlidingHead, init_args: {channels: 96}}"
    sgd = "{class_path: torch.optim.SGD, init_args: {lr: 0.1}}"
    over.write_text(
        f"base: general\nnetwork: {{class_path: {ONE}, init_args: {{mask_head: {head}}}}}\n"
        f"optimizer: {sgd}\n"
    )
    recipe = read_recipe(str(over)).recipe
    sliding = recipe.network.get_submodule("branches.0.mask_head.encode")
    assert isinstance(sliding, torch.nn.Linear)
    assert sliding.out_features == 512
    assert recipe.optimizer([torch.nn.Parameter(torch.zeros(1))]).defaults["weight_decay"] == 0
    assert isinstance(recipe.network.backbone, FeaturePyramid)


def test_a_value_named_in_part_keeps_the_other_parts(tmp_path: Path) -> None:
    over = tmp_path / "over.yaml"
    over.write_text("base: general\nmatching: {margin: 2.0}\noptimizer: {init_args: {lr: 0.1}}\n")
    recipe, base = read_recipe(str(over)).recipe, read_recipe("general").recipe
    assert recipe.matching == replace(base.matching, margin=2.0)
    optimizer = recipe.optimizer([torch.nn.Parameter(torch.zeros(1))])
    assert isinstance(optimizer, torch.optim.AdamW)
    assert (optimizer.defaults["lr"], optimizer.defaults["weight_decay"]) == (0.1, 0.05)


def test_a_name_with_a_dot_is_refused_over_a_base(tmp_path: Path) -> None:
    over = tmp_path / "over.yaml"
    over.write_text("base: general\nmatching.margin: 2.0\n")
    with pytest.raises(
        ValueError, match=r"over\.yaml: 'matching.margin' has a dot .*; write values nested"
    ):
        read_recipe(str(over))


def test_what_cannot_be_built_names_the_file(tmp_path: Path) -> None:
    over = tmp_path / "over.yaml"
    over.write_text("base: general\ntrain: []\n")
    with pytest.raises(ValueError, match=r"over\.yaml: train: no data set to train on"):
        read_recipe(str(over))


@pytest.mark.parametrize("base", ["nowhere", "no.yaml", "'.'", "7", "[general]", "x" * 5000])
def test_a_base_that_is_not_there_is_refused(base: str, tmp_path: Path) -> None:
    over = tmp_path / "over.yaml"
    over.write_text(f"base: {base}\nsteps: 7\n")
    with pytest.raises(
        UserError, match=r"over\.yaml: its base .* is no recipe that ships .* beside it; (give|did)"
    ) as error:
        read_recipe(str(over))
    assert len(str(error.value)) < 1000


def test_a_recipe_that_ships_is_called_by_its_name() -> None:
    """Its file lies wherever the package was installed."""
    for words, start in (
        (["--steps", "0"], "general with --steps 0: "),
        (["--stepz=1"], "general with --stepz=1: "),
    ):
        with pytest.raises(UserError) as error:
            read_recipe("general", words)
        assert str(error.value).startswith(start)


def test_a_base_on_the_command_line_is_refused() -> None:
    with pytest.raises(ValueError, match="base on the command line; write it into the"):
        read_recipe("general", ["--base", "paper"])


SGD = "torch.optim.SGD"


def test_the_command_line_is_a_layer_as_a_file_is(tmp_path: Path) -> None:
    """No argument of the old class stays: both optimizers have a ``weight_decay``."""
    over = tmp_path / "over.yaml"
    over.write_text(
        f"base: general\noptimizer: {{class_path: {SGD}, init_args: {{lr: 1.0e-2}}}}\n"
        "inference: {selection: {top: 7}}\n"
    )
    line = ["--optimizer.lr", "1e-2", "--optimizer", SGD, "--inference.selection.top=7"]
    file, words = read_recipe(str(over)), read_recipe("general", line)
    assert file.text == words.text
    optimizer = words.recipe.optimizer([torch.nn.Parameter(torch.zeros(1))])
    assert (optimizer.defaults["lr"], optimizer.defaults["weight_decay"]) == (0.01, 0)
    base = read_recipe("general").recipe.inference
    assert words.recipe.inference == replace(base, selection=replace(base.selection, top=7))


def test_a_recipe_runs_no_command(tmp_path: Path) -> None:
    """Not as a class, nor by a word, nor as YAML in a word, nor from a file that a word names."""
    mark, evil = tmp_path / "mark", tmp_path / "evil.yaml"
    command = {"class_path": "os.system", "init_args": {"command": f"touch {mark}"}}
    evil.write_text(yaml.safe_dump(command))
    for value in (command, "os.system", yaml.safe_dump(command), json.dumps(command), str(evil)):
        for name in ("optimizer", "augmentation", "schedule", "network", "inference", "matching"):
            path = tmp_path / "attack.yaml"
            path.write_text(yaml.safe_dump({"base": "general", name: value}))
            with pytest.raises(UserError) as error:
                read_recipe(str(path))
            assert "\n" not in str(error.value)
            assert not mark.exists()


LSJ = "instancefcn.data.augmentation.LargeScaleJitter"
LSJ_64 = f"class_path: {LSJ}, init_args: {{size: 64"
FULL = "instancefcn.data.augmentation.FullImages"
CROPS = "instancefcn.data.crops.ObjectCrops"
PYRAMID = "instancefcn.network.presets.PyramidNetwork"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (["--stepz", "3"], "no value is called stepz; did you mean steps?"),
        (["--optimizer.lrr", "3"], "AdamW has no argument lrr; did you mean lr?"),
        (["--inference.sidez", "[3]"], "Inference has no argument sidez; did you mean sides?"),
        (["--inference.sides", "[0]"], "sides: 0 pixels"),
        (["--matching.margn", "3"], "Matching has no argument margn; did you mean margin?"),
        (["--augmentation.size", "a"], "Expected a <class 'int'>. Got value: a"),
        (["--steps", "many"], "Expected a <class 'int'>. Got value: many"),
        (["--steps", "null"], "Expected a <class 'int'>. Got value: None"),
        (["--steps", "0"], "steps: 0; give 1 to 1000000000"),
        (["--decay_average", "1.5"], "decay_average: 1.5; give 0 to 1"),
        (["--paste", "7"], "paste: 7.0; give 0 to 1"),
        (["--paste", ".nan"], "paste"),
        (["--clip", "0"], "clip: 0.0; give more than 0"),
        (["--workers", "-1"], "workers: -1; give 0 to 1000"),
        (["--seed", "-1"], "seed: -1"),
        (["--pretrained_rate", "-1"], "pretrained_rate: -1.0"),
        (["--sampling.positives_per_image", "-3"], "sampling.positives_per_image: -3"),
        (["--schedule.warmup", "-3"], "warmup: -3"),
        (["--steps", "1" + 30 * "0"], "give 1 to 1000000000"),
        (["--batch", "1000000"], "batch: 1000000; give 1 to 100000"),
        (["--workers", "100000"], "workers: 100000; give 0 to 1000"),
        (["--matching.margin", "-7"], "margin -7.0"),
        (["--matching.sides", "[0.9, 0.4]"], "sides [0.9, 0.4]"),
        (["--augmentation", LSJ, "--augmentation.size", "0"], "size: 0 pixels; give 1 to 10000"),
        (["--augmentation", LSJ, "--augmentation.size", "100000"], "size: 100000 pixels"),
        (["--augmentation", f"{{{LSJ_64}, scales: [0, 1]}}}}"], "scales: [0.0, 1.0]"),
        (["--augmentation", f"{{{LSJ_64}, colour: -1}}}}"], "colour: -1.0; give 0 to 1"),
        (["--augmentation", FULL, "--augmentation.sides", "[0]"], "sides: 0 pixels"),
        (["--augmentation", FULL, "--augmentation.sides", "[]"], "sides: none"),
        (["--augmentation", CROPS, "--augmentation.size", "-5"], "size: -5 pixels"),
        (["--augmentation", CROPS, "--augmentation.jitter", "0"], "jitter: 0.0"),
        (["--network", PYRAMID, "--network.k", "-1"], "k: -1 parts along a window"),
        (["--network", PYRAMID, "--network.sizes", "[21]"], "1 sizes, 5 maps and 5 centres"),
        (["--pretrained", "${data"], "${data is unknown"),
        (["--train", "[]"], "no data set to train on"),
        (["--joint", "true"], "joint: the recipe's network has no labeller; leave joint out"),
        (["--network", "null"], "network"),
        (["--inference", "{sides: [64], selection: null}"], "null for Selection; leave it out"),
        (["--network", PYRAMID, "--network.sizes", f"{[21] * 33}"], "33 sizes, 5 maps"),
    ],
)
def test_a_value_out_of_range_is_one_line(line: list[str], reason: str) -> None:
    with pytest.raises(UserError) as error:
        read_recipe("general", line)
    assert reason in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1000


def test_help_lists_every_value_with_what_it_is_in_the_recipe() -> None:
    lines = recipe_help("finetune").splitlines()
    names = [line[2:].split()[0] for line in lines if line.startswith("--")]
    assert sorted(names) == sorted(Recipe.__dataclass_fields__)
    assert "--steps 2000" in lines
    assert "    the length of the run." in lines


def test_words_stay_words(recipe: Path) -> None:
    """The word download and the name of a model are no paths."""
    read = read_recipe(str(recipe), ["--pretrained", "download", "--start", "general"]).recipe
    assert (read.pretrained, read.start) == ("download", "general")


def test_the_seed_makes_the_first_weights(recipe: Path) -> None:
    def weights(seed: int) -> torch.Tensor:
        network = read_recipe(str(recipe), ["--seed", str(seed)]).recipe.network
        return torch.cat([p.flatten() for p in network.parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


# Starting from a model.


def test_a_run_goes_on_from_a_model(recipe: Path, tmp_path: Path) -> None:
    model = save(read_recipe(str(recipe), ["--seed", "1"]), tmp_path / "model.safetensors")
    options = ["--seed", "2", "--start", str(model), "--steps", "1", "--batch", "1"]
    read = read_recipe(str(recipe), [*options, "--optimizer.lr", "0", "--workers", "0"])
    ((_, network),) = train(read.recipe, tmp_path / "run", Fabric(accelerator="cpu", devices=1))
    expected = load_model(model).network.state_dict()
    assert expected.keys() == network.state_dict().keys()
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, expected[name]), name


def test_windows_of_another_size_share_the_weights(recipe: Path, tmp_path: Path) -> None:
    model = save(read_recipe(str(recipe), ["--seed", "1"]), tmp_path / "model.safetensors")
    content = yaml.safe_load(recipe.read_text())
    content["network"]["init_args"]["sizes"] = [21]
    wider = tmp_path / "wider.yaml"
    wider.write_text(yaml.safe_dump(content))
    network = read_recipe(str(wider)).recipe.network
    load_start(network, model)
    weights = load_model(model).network.state_dict()
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, weights[name]), name


def test_further_branches_start_as_the_last_one(recipe: Path, tmp_path: Path) -> None:
    model = save(read_recipe(str(recipe), ["--seed", "1"]), tmp_path / "model.safetensors")
    content = yaml.safe_load(recipe.read_text())
    content["network"]["init_args"] |= {
        "sizes": [5, 9, 11],
        "maps": [[0]] * 3,
        "centres": [[0]] * 3,
    }
    more = tmp_path / "more.yaml"
    more.write_text(yaml.safe_dump(content))
    network = read_recipe(str(more)).recipe.network
    load_start(network, model)
    weights = load_model(model).network.state_dict()
    last = max(name.split(".")[1] for name in weights if name.startswith("branches."))
    for name, tensor in network.state_dict().items():
        known = name if name in weights else re.sub(r"branches\.\d+", f"branches.{last}", name)
        assert torch.equal(tensor, weights[known]), name


def test_another_network_is_refused(recipe: Path, tmp_path: Path) -> None:
    read = read_recipe(str(recipe))
    model = save(read, tmp_path / "model.safetensors")
    other = small_network()
    before = {name: tensor.clone() for name, tensor in other.state_dict().items()}
    with pytest.raises(ValueError, match=r"model.safetensors: a model of another network") as info:
        load_start(other, model)
    assert "set start to null" in str(info.value)
    for name, tensor in other.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_a_tensor_of_another_shape_is_refused(recipe: Path, tmp_path: Path) -> None:
    model = save(read_recipe(str(recipe)), tmp_path / "model.safetensors")
    content = yaml.safe_load(recipe.read_text())
    content["network"]["init_args"]["k"] = 5
    other = tmp_path / "k5.yaml"
    other.write_text(yaml.safe_dump(content))
    with pytest.raises(ValueError, match=r"2 tensors are .* 'branches.0.mask_head.score.bias'"):
        load_start(read_recipe(str(other)).recipe.network, model)


def test_a_model_that_is_not_there(recipe: Path, tmp_path: Path) -> None:
    read = read_recipe(str(recipe), ["--start", "nowhere"])
    with pytest.raises(ValueError, match="nowhere: no such model"):
        next(train(read.recipe, tmp_path / "run", Fabric(accelerator="cpu", devices=1)))


def test_no_data_set_is_refused(recipe: Path) -> None:
    built = read_recipe(str(recipe)).recipe
    with pytest.raises(ValueError, match="no data set to train on"):
        replace(built, train=[])
