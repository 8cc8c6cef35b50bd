"""Which categories a labeller learns: those of the data, and what is said of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from builders import labelled_network, small_network
from instancefcn.core.errors import UserError
from instancefcn.data.subsets import Recategorised
from instancefcn.formats.coco import CocoDataset
from instancefcn.labelling.network import LabelledNetwork
from instancefcn.training.categories import require_shown, to_train_on, told_of_others
from instancefcn.training.recipe import read_recipe
from shapes import write_label_recipe, write_recipe, write_shapes

RECTANGLE, FRAME = 1, 2
NAMES = {RECTANGLE: "rectangle", FRAME: "frame"}


def dataset(
    folder: Path, names: Mapping[int, str] = NAMES, *, without: int = 0, crowd: int = 0
) -> CocoDataset:
    """Pictures of shapes under these names, none of one category, or all of one crowds."""
    folder.mkdir()
    path = write_shapes(folder, images=2)
    content = json.loads(path.read_text())
    content["categories"] = [{"id": i, "name": name} for i, name in names.items()]
    content["annotations"] = [
        {**annotation, "iscrowd": int(annotation["category_id"] == crowd)}
        for annotation in content["annotations"]
        if annotation["category_id"] != without
    ]
    path.write_text(json.dumps(content))
    return CocoDataset(path, folder)


# --- which they are


def test_a_recipe_without_categories_takes_those_of_its_first_data_set(tmp_path: Path) -> None:
    recipe = write_label_recipe(tmp_path, write_shapes(tmp_path, images=1))
    read = read_recipe(str(recipe))
    assert isinstance(read.recipe.network, LabelledNetwork)
    assert read.recipe.network.categories == NAMES
    assert read.recipe.network.state_dict()["labeller.score.bias"].shape == (3,)
    named = {int(i): name for i, name in read.description["init_args"]["categories"].items()}
    assert named == NAMES, "a model file describes them, and a resumed run"


def test_a_recipe_may_name_them(tmp_path: Path) -> None:
    annotations = write_shapes(tmp_path, images=1)
    recipe = write_label_recipe(tmp_path, annotations, {8: "frame", 9: "rectangle"})
    network = read_recipe(str(recipe)).recipe.network
    assert isinstance(network, LabelledNetwork)
    assert network.categories == {8: "frame", 9: "rectangle"}


def test_a_recipe_without_a_labeller_opens_no_data_set(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, tmp_path / "missing.json")
    assert not isinstance(read_recipe(str(recipe)).recipe.network, LabelledNetwork)


def test_a_first_data_set_that_cannot_be_read_is_told_in_one_line(tmp_path: Path) -> None:
    recipe = write_label_recipe(tmp_path, tmp_path / "missing.json")
    with pytest.raises(UserError, match=r"missing\.json: cannot be read") as error:
        read_recipe(str(recipe))
    assert "\n" not in str(error.value)


def test_no_data_set_at_all_is_told_in_one_line(tmp_path: Path) -> None:
    recipe = write_label_recipe(tmp_path, write_shapes(tmp_path, images=1))
    with pytest.raises(UserError, match="name those that the labeller tells apart") as error:
        read_recipe(str(recipe), ["--train", "[]"])
    assert "\n" not in str(error.value)


def test_a_first_data_set_without_names_is_told_in_one_line(tmp_path: Path) -> None:
    annotations = write_shapes(tmp_path, images=1)
    content = json.loads(annotations.read_text())
    annotations.write_text(json.dumps({**content, "categories": [], "annotations": []}))
    with pytest.raises(UserError, match=r"categories: none; name those") as error:
        read_recipe(str(write_label_recipe(tmp_path, annotations)))
    assert "\n" not in str(error.value)


# --- data sets as a network takes them


def test_a_network_with_a_labeller_has_its_own_ids(tmp_path: Path) -> None:
    sets = [dataset(tmp_path / "a"), dataset(tmp_path / "b", {1: "frame", 2: "rectangle"})]
    network = labelled_network(categories={5: "frame", 6: "rectangle"})
    first, second = to_train_on(network, sets)
    assert isinstance(first, Recategorised)
    assert [i.category for i in first[0].instances] == [6, 5]
    assert [i.category for i in second[0].instances] == [5, 6]


def test_a_network_without_takes_them_as_they_are(tmp_path: Path) -> None:
    sets = [dataset(tmp_path / "a"), dataset(tmp_path / "b", {1: "x", 2: "y"})]
    assert to_train_on(small_network(), sets) == sets
    assert require_shown(small_network(), sets) is None
    assert told_of_others(small_network(), sets) == []


# --- what is said before a run


def test_nothing_is_said_where_all_are_shown(tmp_path: Path) -> None:
    """By one data set or by another."""
    network = labelled_network(categories=NAMES)
    assert require_shown(network, [dataset(tmp_path / "both")]) is None
    parts = [dataset(tmp_path / str(i), without=i) for i in NAMES]
    assert require_shown(network, parts) is None


@pytest.mark.parametrize(("without", "crowd"), [(FRAME, 0), (0, FRAME)])
def test_a_category_that_no_object_shows_is_told(tmp_path: Path, without: int, crowd: int) -> None:
    """A crowd is no object to learn from."""
    network = labelled_network(categories=NAMES)
    told = require_shown(network, [dataset(tmp_path / "set", without=without, crowd=crowd)])
    assert told == "1 category has no object to learn from, and will not be found: frame"


def test_several_that_no_object_shows_are_counted(tmp_path: Path) -> None:
    names = {**NAMES, **{i: f"c{i}" for i in range(10, 15)}}
    told = require_shown(labelled_network(categories=names), [dataset(tmp_path / "set", names)])
    assert told is not None
    assert told.startswith("5 categories have no object")
    assert told.endswith("found: c10, c11, c12 and 2 more")


def test_data_without_any_object_are_refused(tmp_path: Path) -> None:
    sets = [dataset(tmp_path / "set", without=RECTANGLE, crowd=FRAME)]
    with pytest.raises(UserError, match="show no object of any category; give images"):
        require_shown(labelled_network(categories=NAMES), sets)


@pytest.mark.parametrize("place", [0, 1])
def test_other_names_are_refused_in_whichever_data_set(tmp_path: Path, place: int) -> None:
    """In the last one too, though the first shows all categories."""
    sets = [dataset(tmp_path / "same")]
    sets.insert(place, dataset(tmp_path / "other", {**NAMES, 3: "disc"}))
    with pytest.raises(UserError, match=r"^other/instances: .*has also disc; give") as error:
        require_shown(labelled_network(categories=NAMES), sets)
    assert "\n" not in str(error.value)


def test_sets_to_evaluate_on_may_have_other_names_and_that_is_told(tmp_path: Path) -> None:
    """They are measured all the same: what is missing or unknown changes what figures mean."""
    network = labelled_network(categories=NAMES)
    same = dataset(tmp_path / "same", {7: "frame", 8: "rectangle"}, without=1)
    assert told_of_others(network, [same]) == []
    more, fewer = dataset(tmp_path / "more", {**NAMES, 3: "disc"}), dataset(tmp_path / "fewer")
    fewer_known = labelled_network(categories={**NAMES, 4: "ring"})
    (line,) = told_of_others(network, [same, more])
    assert line.startswith("the labeller: it lacks 1 of more/instances's 3 categories: disc; ")
    (line,) = told_of_others(fewer_known, [fewer])
    assert line.startswith("the labeller: fewer/instances lacks 1 of its 3 categories: ring; ")
