"""The lists inside the package: what was trained on and what was measured on lie apart."""

from __future__ import annotations

from instancefcn.data.identity import recorded
from instancefcn.data.splits import SHIPPED, shipped_split
from instancefcn.network.models import load_model

SIZES = {
    **{"voc2012_fit": 1279, "voc2012_dev": 150, "coco_train2017": 337, "coco_val2017": 188},
    **{"voc_more_train": 2172, "coco_more_train": 72},
    **{"pennfudan_train": 110, "pennfudan_dev": 20, "nuclei_train": 480, "nuclei_dev": 64},
}


def test_each_list_names_so_many_images_once() -> None:
    assert {path.stem for path in SHIPPED.iterdir()} == SIZES.keys()
    for name, size in SIZES.items():
        names = shipped_split(name)
        assert len(set(names)) == len(names) == size


def test_no_image_is_in_two_lists() -> None:
    names = [name for split in SIZES for name in shipped_split(split)]
    assert len(set(names)) == len(names)


def test_the_shipped_model_lists_what_it_was_trained_on() -> None:
    card = load_model("general").card
    named = {entry["data"]: entry["images"] for entry in card["trained_on"]}
    assert named == {
        "VOC2012 fit": SIZES["voc2012_fit"],
        "annotations/instances_train2017": SIZES["coco_train2017"],
        "pennfudan/instances_train": SIZES["pennfudan_train"],
        "coco_more/instances_train": SIZES["coco_more_train"],
        "voc_more/instances_train": SIZES["voc_more_train"],
    }
    known = recorded(card, "general")
    assert known is not None
    assert len(known) == sum(named.values())
