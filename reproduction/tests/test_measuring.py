"""What methods find: measured once, kept, and measured again when something changed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dev_sets import VOC, DevSet, dev_sets
from instancefcn.core.types import AnnotatedImage, Rle
from instancefcn.data.dataset import Dataset
from instancefcn.data.subsets import Every
from instancefcn.evaluation.recall import summarize
from instancefcn.formats.coco import CocoDataset
from measuring import measure, measured, pack, seconds_each, slug, unpack
from shapes import write_shapes


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> CocoDataset:
    annotations = write_shapes(tmp_path_factory.mktemp("shapes"), images=4)
    return CocoDataset(annotations, annotations.parent)


def true_masks(dataset: Dataset) -> Iterator[tuple[AnnotatedImage, list[Rle]]]:
    for image in (dataset[i] for i in range(len(dataset))):
        yield image, [instance.mask for instance in image.instances]


def test_figures_come_back_from_tensors(dataset: CocoDataset) -> None:
    figures = measure(true_masks(dataset))
    back = unpack(pack(figures), figures.commit)
    assert back.commit == figures.commit
    assert back.masks.tolist() == figures.masks.tolist()
    for old, new in ((figures.objects, back.objects), (figures.touching, back.touching)):
        assert len(old) == len(new) == len(dataset)
        for one, other in zip(old, new, strict=True):
            np.testing.assert_array_equal(one.ranks, other.ranks)
            np.testing.assert_array_equal(one.counted, other.counted)
            assert one.void == other.void


def test_true_masks_are_all_found(dataset: CocoDataset) -> None:
    figures = measure(true_masks(dataset))
    assert summarize(figures.objects).average(10) == 1
    assert figures.masks.tolist() == [len(dataset[i].instances) for i in range(len(dataset))]


def test_once_and_again_for_other_bytes_or_another_set(
    dataset: CocoDataset, tmp_path: Path
) -> None:
    asked: list[str] = []

    def find(of: Dataset) -> Iterator[tuple[AnnotatedImage, list[Rle]]]:
        asked.append(of.name)
        return true_masks(of)

    source = tmp_path / "model.safetensors"
    source.write_bytes(b"weights")
    first = measured(source, DevSet(tmp_path, dataset, "a set"), find)
    again = measured(source, DevSet(tmp_path, dataset, "a set"), find)
    assert len(asked) == 1
    assert again.masks.tolist() == first.masks.tolist()
    measured(source, DevSet(tmp_path, Renamed(Every(dataset, 2), dataset.name), "a set"), find)
    assert len(asked) == 2, "fewer images under the same name"
    source.write_bytes(b"other weights")
    measured(source, DevSet(tmp_path, dataset, "a set"), find)
    assert len(asked) == 3


class Renamed(Every):
    def __init__(self, dataset: Dataset, name: str) -> None:
        super().__init__(dataset, 1)
        self.new_name = name

    @property
    def name(self) -> str:
        return self.new_name


class Changed(Renamed):
    def __getitem__(self, index: int) -> AnnotatedImage:
        image = super().__getitem__(index)
        return replace(image, instances=image.instances[1:])


def test_other_masks_are_another_digest(dataset: CocoDataset, tmp_path: Path) -> None:
    same = DevSet(tmp_path, Renamed(dataset, "same"), "a set").digest
    assert same == DevSet(tmp_path, dataset, "a set").digest
    assert same != DevSet(tmp_path, Changed(dataset, "same"), "a set").digest


def test_whose_masks_a_voc_folder_has(tmp_path: Path) -> None:
    voc = tmp_path / "VOCdevkit" / "VOC2012"
    voc.mkdir(parents=True)
    reconstructed = "VOC 2012 images, reconstructed instance masks, dev split"
    assert dev_sets(tmp_path)[VOC].label == reconstructed
    (voc / "Annotations").mkdir()
    assert dev_sets(tmp_path)[VOC].label == "VOC 2012 images, official instance masks, dev split"


def test_a_slug_is_a_part_of_a_file_name() -> None:
    assert slug("VOC2012 dev") == "voc2012-dev"
    assert slug("nuclei/instances_dev") == "nuclei-instances_dev"


def test_methods_are_timed_in_turns() -> None:
    order: list[str] = []
    methods = {name: lambda path, name=name: order.append(f"{name} {path}") for name in "xy"}
    seconds = seconds_each(methods, [Path("1"), Path("2")])
    assert order == ["x 1", "y 1", "x 2", "y 2"]
    assert all(0 < value < 1 for value in seconds.values())


def test_seconds_are_the_median_without_the_first_photo() -> None:
    """By hand: 0.1, then 0, 0.02 and 0.04."""
    waits = iter([0.1, 0.0, 0.04, 0.02])
    seconds = seconds_each({"x": lambda _: time.sleep(next(waits))}, [Path("photo")] * 4)
    assert 0.02 <= seconds["x"] < 0.04
