from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat
from scipy.sparse import csc_array

from instancefcn.core.rle import decode
from instancefcn.data.dataset import Dataset
from instancefcn.data.splits import image_id
from instancefcn.formats.sbd import SbdDataset
from instancefcn.formats.voc import VOC_CATEGORIES, VocDataset

SHARED = Path(__file__).parents[3] / "shared" / "data" / "VOCdevkit" / "VOC2012"
NAMES = ("2007_000033", "2008_000008")

# A car (7), half of whose outline is void, and a person (15) who touches it.
OBJECTS = np.zeros((6, 8), np.uint8)
OBJECTS[1:4, 1:4] = 1
OBJECTS[1:4, 4:7] = 2
OBJECTS[1, 1:4] = 255
CLASSES = np.zeros((6, 8), np.uint8)
CLASSES[1:4, 1:4] = 7
CLASSES[1:4, 4:7] = 15
CLASSES[1, 1:4] = 255


def save_labels(labels: NDArray[np.uint8], path: Path) -> None:
    """As VOC does: a PNG with a palette, whose colours mean nothing."""
    image = Image.fromarray(labels)
    image.putpalette(np.random.default_rng(0).integers(0, 256, 768).tolist())
    image.save(path)


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    root = tmp_path / "VOC2012"
    for folder in ("JPEGImages", "SegmentationObject", "SegmentationClass"):
        (root / folder).mkdir(parents=True)
    for name in NAMES:
        Image.new("RGB", (8, 6)).save(root / "JPEGImages" / f"{name}.jpg")
        save_labels(OBJECTS, root / "SegmentationObject" / f"{name}.png")
        save_labels(CLASSES, root / "SegmentationClass" / f"{name}.png")
    splits = root / "ImageSets" / "Segmentation"
    splits.mkdir(parents=True)
    (splits / "val.txt").write_text("\n".join(NAMES) + "\n")
    (splits / "empty.txt").touch()
    return root


def test_voc_has_its_20_categories() -> None:
    assert list(VOC_CATEGORIES) == list(range(1, 21))
    assert [VOC_CATEGORIES[i] for i in (1, 7, 15, 20)] == [
        "aeroplane",
        "car",
        "person",
        "tvmonitor",
    ]


def test_an_empty_split_has_no_images(voc: Path) -> None:
    assert len(VocDataset(voc, "empty")) == 0


def test_voc_items_are_what_the_pngs_hold(voc: Path) -> None:
    dataset: Dataset = VocDataset(str(voc), "val")
    item = dataset[1]
    assert (len(dataset), dataset.name) == (2, "VOC2012 val")
    assert item.image_id == 2008000008
    assert item.path == voc / "JPEGImages" / "2008_000008.jpg"
    assert (item.height, item.width) == (6, 8)
    assert [(i.category, i.crowd) for i in item.instances] == [(7, False), (15, False)]
    for value, instance in enumerate(item.instances, start=1):
        np.testing.assert_array_equal(decode(instance.mask), value == OBJECTS)
    assert item.void is not None
    np.testing.assert_array_equal(decode(item.void), OBJECTS == 255)


def test_an_objects_class_is_that_of_most_of_its_pixels(voc: Path) -> None:
    classes = CLASSES.copy()
    classes[1:4, 4:7] = [[0, 0, 15], [0, 15, 5], [0, 255, 255]]
    save_labels(classes, voc / "SegmentationClass" / f"{NAMES[0]}.png")
    assert [i.category for i in VocDataset(voc, "val")[0].instances] == [7, 15]


def test_names_become_numbers() -> None:
    assert image_id("2007_000033") == 2007000033
    assert image_id("17") == 17
    assert image_id("street_a") == image_id("street_a") != image_id("street_b")


def test_no_two_names_share_a_number() -> None:
    # 1_12 and 11_2, a number that VOC's names come to, leading noughts, other digits.
    names = ["1_12", "11_2", "112", "0112", "2007_000033", "2007000033", "0001_000033", "1000033"]
    ids = {image_id(name) for name in [*names, "\u0661\u0661\u0662", *map(str, range(9999))]}
    assert len(ids) == len(names) + 1 + 9999 - 1  # 112 is there twice
    assert all(0 <= i < 2**53 for i in ids)


def test_splits_name_images_of_their_own_folder(voc: Path) -> None:
    path = voc / "ImageSets" / "Segmentation" / "odd.txt"
    path.write_text("\ufeff2007_000033 1\n")
    assert VocDataset(voc, "odd")[0].path.name == "2007_000033.jpg"
    path.write_text("../../x")
    with pytest.raises(ValueError, match=r"odd\.txt: '\.\./\.\./x' leads out of the data set"):
        len(VocDataset(voc, "odd"))
    path.write_bytes(b"caf\xe9")
    with pytest.raises(ValueError, match=r"odd\.txt: not UTF-8"):
        len(VocDataset(voc, "odd"))


def test_the_constructors_read_nothing() -> None:
    VocDataset("no/such/folder", "train")
    SbdDataset("no/such/folder", "train")


def test_a_split_that_is_not_there_names_those_that_are(voc: Path) -> None:
    with pytest.raises(ValueError, match=r"trian\.txt: no such split.*: empty, val$"):
        len(VocDataset(voc, "trian"))
    with pytest.raises(ValueError, match="splits found there: none"):
        len(VocDataset(voc.parent, "val"))


def test_maps_that_cannot_be_used_are_named(voc: Path) -> None:
    dataset = VocDataset(voc, "val")
    path = voc / "SegmentationClass" / f"{NAMES[0]}.png"
    save_labels(np.where(CLASSES == 15, 0, CLASSES).astype(np.uint8), path)
    with pytest.raises(ValueError, match=r"000033\.png: object 2 has no class"):
        dataset[0]
    save_labels(CLASSES[:, 1:], path)
    with pytest.raises(ValueError, match=r"000033\.png: 8 x 6 pixels, .* has 7 x 6"):
        dataset[0]
    Image.fromarray(CLASSES).convert("RGB").save(path)
    with pytest.raises(ValueError, match=r"000033\.png: a label map has a palette"):
        dataset[0]
    path.unlink()
    with pytest.raises(ValueError, match=r"000033\.png: no such file"):
        dataset[0]


def test_sound_voc_data_has_no_problems(voc: Path) -> None:
    assert list(VocDataset(voc, "val").problems()) == []
    assert list(VocDataset(voc, "val").problems(decode=True)) == []


def test_voc_problems_are_found_in_every_image(voc: Path) -> None:
    (voc / "SegmentationObject" / f"{NAMES[0]}.png").unlink()
    Image.new("RGB", (6, 8)).save(voc / "JPEGImages" / f"{NAMES[1]}.jpg")
    (voc / "ImageSets" / "Segmentation" / "val.txt").write_text("\n".join((*NAMES, "2009_000001")))
    problems = list(VocDataset(voc, "val").problems())
    assert {p.severity for p in problems} == {"error"}
    assert [p.kind for p in problems] == ["bad annotation", "wrong image size", "bad annotation"]
    assert "2009_000001.png: no such file" in problems[2].message


@pytest.mark.parametrize("split", ["empty", "missing"])
def test_a_split_without_images_is_an_error(voc: Path, split: str) -> None:
    (problem,) = VocDataset(voc, split).problems()
    assert problem.severity == "error"


@pytest.mark.skipif(not SHARED.is_dir(), reason="the VOC sample is not at hand")
def test_the_voc_sample_is_sound() -> None:
    dataset = VocDataset(SHARED, "dev")
    assert len(dataset) == 150
    assert list(dataset.problems()) == []


# SBD


def save_sbd(
    objects: NDArray[Any], categories: list[int], path: Path, compressed: bool = True
) -> None:
    """With SBD's own structure, boundaries included."""
    boundaries = np.empty((len(categories), 1), object)
    for i in range(len(categories)):
        boundaries[i, 0] = csc_array((objects == i + 1).astype(float))
    fields = ("Segmentation", "Boundaries", "Categories")
    instances = np.empty((1, 1), [(field, object) for field in fields])
    instances[0, 0] = (objects, boundaries, np.array(categories, float).reshape(-1, 1))
    savemat(path, {"GTinst": instances}, do_compression=compressed)


@pytest.fixture
def sbd(tmp_path: Path) -> Path:
    root = tmp_path / "benchmark_RELEASE" / "dataset"
    for folder in ("img", "inst"):
        (root / folder).mkdir(parents=True)
    one, two = np.where(OBJECTS == 1, 1, 0).astype(np.uint8), np.where(OBJECTS < 3, OBJECTS, 0)
    for name, objects, categories in zip(NAMES, (one, two), ([20], [7, 15]), strict=True):
        Image.new("RGB", (8, 6)).save(root / "img" / f"{name}.jpg")
        save_sbd(objects.astype(np.uint8), categories, root / "inst" / f"{name}.mat")
    (root / "train.txt").write_text("\n".join(NAMES))
    return root


def test_sbd_items_are_what_the_mat_files_hold(sbd: Path) -> None:
    dataset: Dataset = SbdDataset(sbd, "train")
    one, two = dataset[0], dataset[1]
    assert (len(dataset), dataset.name) == (2, "SBD train")
    assert (one.image_id, one.path) == (2007000033, sbd / "img" / "2007_000033.jpg")
    assert (one.height, one.width, one.void) == (6, 8, None)
    assert [i.category for i in one.instances] == [20]
    assert [i.category for i in two.instances] == [7, 15]
    for value, instance in enumerate(two.instances, start=1):
        np.testing.assert_array_equal(decode(instance.mask), value == OBJECTS)


def test_sbd_may_be_named_by_the_folder_that_holds_it(sbd: Path) -> None:
    assert SbdDataset(sbd.parent, "train")[1] == SbdDataset(sbd, "train")[1]


def test_an_sbd_image_without_objects(sbd: Path) -> None:
    save_sbd(np.zeros((6, 8), np.uint8), [], sbd / "inst" / f"{NAMES[0]}.mat")
    assert SbdDataset(sbd, "train")[0].instances == ()


def test_an_sbd_image_of_300_objects(sbd: Path) -> None:
    path = sbd / "inst" / f"{NAMES[0]}.mat"
    objects = np.arange(301, dtype=np.uint16).reshape(7, 43)
    for compressed in (True, False):
        save_sbd(objects, [1 + i % 20 for i in range(300)], path, compressed)
        instances = SbdDataset(sbd, "train")[0].instances
        assert len(instances) == 300
        np.testing.assert_array_equal(decode(instances[255].mask), objects == 256)
        assert instances[255].category == 1 + 255 % 20


def test_sbd_sizes_are_bounded(sbd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = sbd / "inst" / f"{NAMES[0]}.mat"
    for objects in (np.zeros((2, 3, 4), np.uint8), np.zeros((0, 0), np.uint8)):
        save_sbd(objects, [], path)
        with pytest.raises(ValueError, match=r"000033\.mat: no SBD instances .a Segmentation of"):
            SbdDataset(sbd, "train")[0]
    save_sbd(np.zeros((900, 900), np.uint8), [], path)
    assert path.stat().st_size < 9000
    for most, reason in ((9000, "a variable of more than 9000 bytes"), (200, "more than 200 byt")):
        monkeypatch.setattr("instancefcn.formats.sbd.MAX_SBD_BYTES", most)
        with pytest.raises(ValueError, match=rf"000033\.mat: no SBD instances .{reason}"):
            SbdDataset(sbd, "train")[0]


@pytest.mark.parametrize("compressed", [True, False])
def test_a_damaged_sbd_file_is_read_or_refused_in_one_line(sbd: Path, compressed: bool) -> None:
    path = sbd / "inst" / f"{NAMES[1]}.mat"
    save_sbd(OBJECTS * (OBJECTS < 3), [7, 15], path, compressed)
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    dataset = SbdDataset(sbd, "train")
    refused = []
    for place in random.integers(128, len(whole), 1500).tolist():
        value = int(random.integers(256))
        path.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
        try:
            dataset[1]
        except ValueError as error:
            refused.append(str(error))
    assert len(refused) > 100
    assert all(text.isprintable() and "000008.mat: " in text for text in refused)


def test_sbd_problems(sbd: Path) -> None:
    assert list(SbdDataset(sbd, "train").problems()) == []
    save_sbd((OBJECTS == 1).astype(np.uint8), [21], sbd / "inst" / f"{NAMES[0]}.mat")
    save_sbd((OBJECTS < 3) * OBJECTS, [7], sbd / "inst" / f"{NAMES[1]}.mat")
    category, number = SbdDataset(sbd, "train").problems()
    assert (category.severity, category.kind) == ("warning", "unknown category")
    assert (number.severity, number.kind) == ("error", "bad annotation")
    assert "000008.mat: 1 categories for an object 2" in number.message


@pytest.mark.parametrize("content", [b"", b"not a mat file", {"GTcls": 1}, {"GTinst": 1}])
def test_files_that_are_not_sbds_are_named(sbd: Path, content: Any) -> None:
    path = sbd / "inst" / f"{NAMES[0]}.mat"
    path.write_bytes(content) if isinstance(content, bytes) else savemat(path, content)
    with pytest.raises(ValueError, match=r"000033\.mat: no SBD instances") as info:
        SbdDataset(sbd, "train")[0]
    assert "\n" not in str(info.value)
