"""The picture of the whole system: what a model with a labeller does with a photo of VOC's.

``make reproduce`` draws it; alone: ``python reproduction/system_picture.py [--model MODEL]``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from dev_sets import VOC, dev_sets
from instancefcn.core.errors import UserError
from instancefcn.data.dataset import Dataset
from instancefcn.data.images import read_image
from instancefcn.figures.system import look_through, write_system
from instancefcn.inference.predictor import Predictor
from labels_page import PICTURE
from results_page import DATA, ROOT, run_script

PHOTO = "2010_000666"
"""Of VOC's dev split: a rider on a horse, two kinds that touch."""


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="voc20", metavar="NAME|FILE", help="%(default)s")
    parser.add_argument("--data", type=Path, default=DATA, help="the folder of the data sets")
    parser.add_argument("--photo", default=PHOTO, help="its name (%(default)s)")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / PICTURE)
    arguments = parser.parse_args(argv)
    paths = photos(dev_sets(arguments.data)[VOC].dataset)
    if arguments.photo not in paths:
        raise UserError(f"--photo {arguments.photo}: not of VOC's dev split; give one that is")
    draw_picture(arguments.model, paths[arguments.photo], arguments.output)


def photos(dataset: Dataset) -> dict[str, Path]:
    """The files of a set's photos by their names."""
    paths = (dataset[i].path for i in range(len(dataset)))
    return {path.stem: path for path in paths}


def photo_to_show(dataset: Dataset) -> Path:
    """``PHOTO``, or the first one of a set that has it not."""
    paths = photos(dataset)
    return paths.get(PHOTO, next(iter(paths.values())))


def draw_picture(model: str, photo: Path, path: Path) -> None:
    """Draw what a model, by name or file, does with a photo."""
    write_system(path, look_through(Predictor.from_pretrained(model), model, read_image(photo)))


if __name__ == "__main__":
    run_script(main)
