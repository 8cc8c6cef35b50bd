from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from instancefcn.apps.cli import main
from instancefcn.core.errors import UserError
from instancefcn.formats.coco import CocoDataset
from instancefcn.formats.opening import AnyDataset, layouts, open_dataset
from instancefcn.formats.table import FORMATS, JOINED_WRITERS, WRITERS
from instancefcn.training.recipe import read_recipe
from shapes import write_shapes

WHICH = r"which split of it\? give --split; found there: train, val"

# The table.


def test_names_are_used_once() -> None:
    for names in (
        [f.name for f in FORMATS],
        [*(w.name for w in WRITERS), *(w.name for w in JOINED_WRITERS)],
        [w.folder for w in WRITERS],
    ):
        assert len(set(names)) == len(names)


def test_all_that_is_known_is_named_where_nothing_is_recognised(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        open_dataset(tmp_path)
    assert str(caught.value) == f"{tmp_path}: no data set; give {layouts()}"
    assert all(known.layout in layouts() for known in FORMATS)
    assert not any(known.recognises(tmp_path) for known in FORMATS)


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="mine: no such file or folder; name the data"):
        open_dataset(tmp_path / "mine")
    with pytest.raises(UserError, match="mine: no such folder of images; check --images"):
        open_dataset(tmp_path, images=tmp_path / "mine")


def test_an_image_alone_is_no_data_set(tmp_path: Path) -> None:
    Image.new("RGB", (8, 6)).save(tmp_path / "x.JPG")
    with pytest.raises(UserError, match=r"x\.JPG: an image alone is no data set; give a VOC"):
        open_dataset(tmp_path / "x.JPG")


# COCO's layouts.


def move(folder: Path, annotations: str, images: str) -> None:
    """The shapes data set of ``write_shapes``, laid out like this."""
    made = folder / "made"
    made.mkdir()
    path = write_shapes(made, 2)
    (folder / annotations).parent.mkdir(parents=True, exist_ok=True)
    (folder / images).mkdir(parents=True, exist_ok=True)
    path.rename(folder / annotations)
    for image in made.glob("*.png"):
        image.rename(folder / images / image.name)
    shutil.rmtree(made)


@pytest.mark.parametrize(
    ("annotations", "images", "split"),
    [
        ("train.json", "train", "train"),
        ("instances_train.json", "train", "train"),
        ("annotations/instances_val2017.json", "val2017", "val2017"),
        ("annotations/instances_train.json", "images/train", "train"),
        ("annotations/instances_default.json", "images", "default"),
        ("instances.json", "images", "instances"),
        ("instances.json", ".", "instances"),
        ("train/_annotations.coco.json", "train", "train"),
    ],
)
def test_a_coco_folder_is_found_in_its_usual_layouts(
    tmp_path: Path, annotations: str, images: str, split: str
) -> None:
    move(tmp_path, annotations, images)
    (tmp_path / "notes.json").write_text('{"theme": "dark"}')
    for dataset in (
        open_dataset(tmp_path),
        open_dataset(tmp_path, split),
        open_dataset(tmp_path / annotations),
        open_dataset(tmp_path / annotations, images=tmp_path / images),
    ):
        assert isinstance(dataset, CocoDataset)
        assert list(dataset.problems()) == []
    with pytest.raises(UserError, match=f"no split dev; give --split; found there: {split}"):
        open_dataset(tmp_path, "dev")


def test_of_several_splits_one_is_chosen_by_name(tmp_path: Path) -> None:
    for split in ("train", "val"):
        move(tmp_path, f"instances_{split}.json", split)
    (tmp_path / "captions_val.json").write_text('{"annotations": []}')
    assert open_dataset(tmp_path, "val")[0].path == tmp_path / "val" / "1.png"
    with pytest.raises(UserError, match=WHICH):
        open_dataset(tmp_path)
    shutil.copy(tmp_path / "instances_val.json", tmp_path / "val.json")
    with pytest.raises(UserError, match=r"both .*instances_val\.json and .*val\.json are there"):
        open_dataset(tmp_path, "val")


def test_a_coco_file_without_a_folder_of_images_wants_one(tmp_path: Path) -> None:
    move(tmp_path, "data/instances.json", "photos")
    with pytest.raises(UserError, match=r"instances\.json: no folder of its images .*--images"):
        open_dataset(tmp_path / "data" / "instances.json")
    with pytest.raises(UserError, match=r"a COCO file is one split; leave --split out"):
        open_dataset(tmp_path / "data" / "instances.json", "val", tmp_path / "photos")


# VOC's and SBD's folders.


@pytest.mark.parametrize(
    ("folder", "lists", "opened"),
    [
        ("VOC2012/ImageSets", "VOC2012/ImageSets/Segmentation", "VOC2012 val"),
        ("dataset/inst", "dataset", "SBD val"),
    ],
)
def test_splits_of_voc_and_sbd(tmp_path: Path, folder: str, lists: str, opened: str) -> None:
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / lists).mkdir(exist_ok=True)
    (tmp_path / lists / "val.txt").write_text("a\n")
    assert open_dataset(tmp_path).name == open_dataset(tmp_path, "val").name == opened
    (tmp_path / lists / "train.txt").write_text("b\n")
    with pytest.raises(UserError, match=WHICH):
        open_dataset(tmp_path)
    with pytest.raises(UserError, match="leave --images out"):
        open_dataset(tmp_path, "val", tmp_path)


# Whatever lies there, in recipes and on the command line.


def test_any_data_set_reads_nothing_until_it_is_used(tmp_path: Path) -> None:
    dataset = AnyDataset(tmp_path / "later", "train")
    with pytest.raises(UserError, match=r"later: no such file or folder; name .* with --data"):
        list(dataset.problems())
    (tmp_path / "later").mkdir()
    move(tmp_path / "later", "train.json", "train")
    found = open_dataset(tmp_path / "later", "train")
    assert (dataset.name, len(dataset)) == (found.name, len(found))
    assert dataset[1] == found[1]
    assert dataset.categories == found.categories
    assert list(dataset.problems()) == []


def write_labelme(folder: Path) -> None:
    folder.mkdir()
    Image.new("RGB", (8, 6)).save(folder / "x.jpg")
    shape: dict[str, Any] = {"label": "cat", "points": [[1, 1], [5, 4]], "shape_type": "rectangle"}
    content = {"shapes": [shape], "imagePath": "x.jpg", "imageHeight": 6, "imageWidth": 8}
    (folder / "x.json").write_text(json.dumps(content))


def test_commands_take_any_format(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_labelme(tmp_path / "val")
    assert main(["check-data", "--data", str(tmp_path), "--split", "val"]) == 0
    assert capsys.readouterr().out == "errors: 0, warnings: 0\n"
    results = tmp_path / "results.json"
    data = ["--data", str(tmp_path / "val")]
    assert main(["selective-search", *data, "--output", str(results)]) == 0
    assert main(["evaluate", *data, "--results", str(results)]) == 0
    assert main(["check-data", "--data", str(tmp_path), "--split", "dev"]) == 2
    assert "no split dev; give --split; found there: val" in capsys.readouterr().err


def test_finetune_takes_any_format(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write_labelme(tmp_path / split)
    recipe = read_recipe("finetune", [f"--data={tmp_path}"]).recipe
    for (dataset,), split in ((recipe.train, "train"), (recipe.evaluate, "val")):
        assert dataset.name.endswith(f"/{split}")
        assert list(dataset.problems()) == []
