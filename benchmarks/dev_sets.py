"""The development sets that tables are about."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from instancefcn.data.dataset import Dataset
from instancefcn.data.subsets import Listed, Only
from instancefcn.formats.coco import CocoDataset
from instancefcn.formats.voc import VocDataset

VOC, COCO, PEDESTRIANS, NUCLEI, PETS = "VOC", "COCO", "pedestrians", "nuclei", "pets"


@dataclass(frozen=True)
class DevSet:
    """A set, the folder that it needs, which may be missing, and what tables call it."""

    folder: Path
    dataset: Dataset
    label: str

    @cached_property
    def digest(self) -> str:
        """Of all that is known of its images: others, or other masks of them, have another."""
        digest = hashlib.sha256()
        for image in (self.dataset[i] for i in range(len(self.dataset))):
            masks = [i.mask for i in image.instances] + ([image.void] if image.void else [])
            kinds = [(i.category, i.crowd) for i in image.instances]
            known = (image.image_id, image.height, image.width, kinds, [m.counts for m in masks])
            digest.update(repr(known).encode())
        return digest.hexdigest()


def dev_sets(data: Path) -> dict[str, DevSet]:
    """The sets that lie, or would lie, in a folder."""
    voc, coco = data / "VOCdevkit" / "VOC2012", data / "coco"
    pedestrians, nuclei = data / "pennfudan", data / "nuclei"
    annotations = coco / "annotations" / "instances_val2017.json"
    return {
        VOC: DevSet(
            voc,
            VocDataset(voc, "dev"),
            f"VOC 2012 images, {kind_of_masks(voc)} instance masks, dev split",
        ),
        COCO: DevSet(
            coco,
            Listed(CocoDataset(annotations, coco / "val2017"), "coco_val2017"),
            "COCO val2017, dev split",
        ),
        PEDESTRIANS: DevSet(
            pedestrians,
            CocoDataset(pedestrians / "instances_dev.json", pedestrians / "dev"),
            "Penn-Fudan pedestrians, dev split",
        ),
        NUCLEI: DevSet(
            nuclei,
            CocoDataset(nuclei / "instances_dev.json", nuclei / "dev"),
            "Nuclei (BBBC038), dev split",
        ),
        PETS: DevSet(
            voc,
            Only(VocDataset(voc, "dev"), ["cat", "dog"]),
            f"VOC 2012 images with cats or dogs, {kind_of_masks(voc)} instance masks, dev split",
        ),
    }


def kind_of_masks(voc: Path) -> str:
    """The official folder comes with boxes; one whose instance masks were put together from boxes
    and class maps (docs/weights.md) has none.
    """
    return "official" if (voc / "Annotations").exists() else "reconstructed"
