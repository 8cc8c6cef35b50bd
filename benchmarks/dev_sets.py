"""The development sets that tables are about, by what tables call them."""

from __future__ import annotations

from pathlib import Path

from instancefcn.data.coco import CocoDataset
from instancefcn.data.dataset import Dataset
from instancefcn.data.voc import VocDataset

VOC = "VOC 2012 images, reconstructed instance masks, dev split"
COCO = "COCO val2017, those of its images that are at hand"
PEDESTRIANS = "Penn-Fudan pedestrians, dev split"
NUCLEI = "Nuclei (BBBC038), dev split"


def dev_sets(data: Path) -> dict[str, tuple[Path, Dataset]]:
    """The folder that each set needs, which may be missing, and the set."""
    voc, coco = data / "VOCdevkit" / "VOC2012", data / "coco"
    pedestrians, nuclei = data / "pennfudan", data / "nuclei"
    return {
        VOC: (voc, VocDataset(voc, "dev")),
        COCO: (
            coco,
            CocoDataset(coco / "annotations" / "instances_val2017.json", coco / "val2017"),
        ),
        PEDESTRIANS: (
            pedestrians,
            CocoDataset(pedestrians / "instances_dev.json", pedestrians / "dev"),
        ),
        NUCLEI: (nuclei, CocoDataset(nuclei / "instances_dev.json", nuclei / "dev")),
    }
