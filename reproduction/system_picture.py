"""The picture of the whole system: what a model with a labeller does with a photo of VOC's.

``make reproduce`` draws it; alone: ``python reproduction/system_picture.py [--model MODEL]``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from dev_sets import VOC, dev_sets
from instancefcn.data.dataset import Dataset
from instancefcn.data.images import read_image
from instancefcn.figures.system import look_through, write_system
from instancefcn.inference.predictor import Predictor
from labels_page import PICTURE
from results_page import DATA, ROOT, run_script

PHOTO = "2011_000178"
"""Of VOC's dev split: people before a bus. The first photo of a set that has it not."""


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="voc20", metavar="NAME|FILE", help="%(default)s")
    parser.add_argument("--data", type=Path, default=DATA, help="the folder of the data sets")
    parser.add_argument("--photo", default=PHOTO, help="the name of a photo (%(default)s)")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / PICTURE)
    arguments = parser.parse_args(argv)
    dataset = dev_sets(arguments.data)[VOC].dataset
    draw_picture(arguments.model, dataset, arguments.output, arguments.photo)


def draw_picture(model: str, dataset: Dataset, path: Path, photo: str = PHOTO) -> str:
    """Draw what a model, by name or file, does with a set's photo; returns the photo's name."""
    paths = [dataset[i].path for i in range(len(dataset))]
    shown = next((each for each in paths if each.stem == photo), paths[0])
    predictor = Predictor.from_pretrained(model)
    write_system(path, look_through(predictor, model, read_image(shown)))
    return shown.stem


if __name__ == "__main__":
    run_script(main)
