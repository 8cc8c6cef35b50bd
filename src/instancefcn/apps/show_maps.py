"""``instancefcn show-maps``: image files -> pictures of how score maps separate instances."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from instancefcn.apps.output import writing
from instancefcn.apps.sources import find_images, to_sources
from instancefcn.core.errors import UserError
from instancefcn.data.images import read_image
from instancefcn.figures.picture import write_picture
from instancefcn.figures.separation import (
    parts_of_levels,
    plain_map,
    require_plain,
    separate,
)
from instancefcn.inference.predictor import Predictor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("paths", nargs="+", metavar="IMAGE", help="an image, a folder or a pattern")
    add("--output", type=Path, default=Path(), metavar="DIR", help="for DIR/score_maps/*.png")
    add("--model", default="general", metavar="NAME|FILE", help="default: %(default)s")
    add("--fcn", metavar="FILE", help="a model trained with k = 1, to show beside it")
    add(
        "--level",
        type=int,
        metavar="N",
        help="from 1; default: the one on which most of an image's best proposals lie",
    )


def run(arguments: argparse.Namespace) -> int:
    """Exit code 2 if an image failed; the others are done all the same."""
    sources = to_sources(find_images(arguments.paths))
    predictor = Predictor.from_pretrained(arguments.model)
    ks = parts_of_levels(predictor, arguments.model)
    _check_level(arguments.level, len(ks))
    fcn = _fcn(arguments.fcn, predictor)
    done = 0
    for source in sources:
        try:
            pixels = read_image(source.path)
        except UserError as error:
            line = " ".join(str(error).split())
            print(f"instancefcn show-maps: error: {line}", file=sys.stderr)
            continue
        separation = separate(predictor, ks, pixels, arguments.level)
        plain = plain_map(fcn, pixels, separation) if fcn else None
        path = arguments.output / "score_maps" / f"{source.stem}.png"
        with writing(arguments.output):
            write_picture(path, separation, plain)
        print(path)
        done += 1
    return 0 if done == len(sources) else 2


def _fcn(name: str | None, predictor: Predictor) -> Predictor | None:
    """The plain FCN, to see images at the sizes at which the model sees them."""
    if name is None:
        return None
    fcn = Predictor.from_pretrained(name, predictor.sides)
    require_plain(parts_of_levels(fcn, name), name)
    return fcn


def _check_level(number: int | None, count: int) -> None:
    if number is not None and not 1 <= number <= count:
        raise UserError(f"--level {number}: the model has levels 1 to {count}; give one of these")
