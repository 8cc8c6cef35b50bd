"""``instancefcn show-maps``: image files -> pictures of how score maps separate instances."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from instancefcn.apps.device_arguments import add_device_argument
from instancefcn.apps.model_arguments import add_trust_argument, trusted
from instancefcn.apps.output import Failures, require_apart
from instancefcn.core.errors import UserError
from instancefcn.core.files import writing
from instancefcn.data.images import read_image
from instancefcn.figures.picture import write_picture
from instancefcn.figures.separation import (
    parts_of_levels,
    plain_map,
    require_plain,
    separate,
)
from instancefcn.formats.sources import find_images, to_sources
from instancefcn.inference.predictor import Predictor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("paths", nargs="+", metavar="IMAGE", help="an image, a folder or a pattern")
    add("--output", type=Path, default=Path(), metavar="DIR", help="for DIR/score_maps/*.png")
    add("--model", default="general", metavar="NAME|FILE", help="default: %(default)s")
    add_trust_argument(parser)
    add_device_argument(parser)
    add("--fcn", metavar="FILE", help="a model trained with k = 1, to show beside it")
    add(
        "--level",
        type=int,
        metavar="N",
        help="from 1; default: the one on which most of an image's best proposals lie",
    )


def run(arguments: argparse.Namespace) -> int:
    """Exit code 2 if an image failed or was left out; the others are done all the same."""
    found = find_images(arguments.paths)
    for line in found.left_out():
        print(f"instancefcn show-maps: {line}", file=sys.stderr)
    folder = arguments.output / "score_maps"
    pictures = {source: folder / f"{source.stem}.png" for source in to_sources(found.images)}
    require_apart(pictures.values(), found.images)
    trust = trusted(arguments)
    predictor = Predictor.from_pretrained(
        arguments.model, device=arguments.device, trust=trust, labels=False
    )
    ks = parts_of_levels(predictor, arguments.model)
    _check_level(arguments.level, len(ks))
    fcn = _fcn(arguments, predictor)
    failures = Failures("show-maps", len(found.unread))
    with writing(arguments.output):
        folder.mkdir(parents=True, exist_ok=True)  # it fails now, and once
    for source, path in pictures.items():
        with failures.caught(source.path):
            pixels = read_image(source.path)
            separation = separate(predictor, ks, pixels, arguments.level)
            write_picture(path, separation, plain_map(fcn, pixels, separation) if fcn else None)
            print(path)
    return 2 if failures.number else 0


def _fcn(arguments: argparse.Namespace, predictor: Predictor) -> Predictor | None:
    """The plain FCN, to see images at the sizes at which the model sees them."""
    name: str | None = arguments.fcn
    if name is None:
        return None
    trust = trusted(arguments)
    sides = predictor.settings.sides
    fcn = Predictor.from_pretrained(name, sides, device=arguments.device, trust=trust)
    require_plain(parts_of_levels(fcn, name), name)
    return fcn


def _check_level(number: int | None, count: int) -> None:
    if number is not None and not 1 <= number <= count:
        raise UserError(f"--level {number}: the model has levels 1 to {count}; give one of these")
