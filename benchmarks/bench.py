"""``make bench``: what a photo costs, in time and memory, and what it costs elsewhere."""

from __future__ import annotations

import argparse
import resource
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import ParamSpec, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from instancefcn.core.candidates import merge
from instancefcn.core.errors import UserError
from instancefcn.core.look import Look
from instancefcn.data.images import read_image
from instancefcn.evaluation.report import markdown_table
from instancefcn.formats.voc import VocDataset
from instancefcn.inference.predictor import Predictor
from instancefcn.inference.ranking import Selection, ranked
from instancefcn.inference.sampling import PAPER_SIDES
from instancefcn.inference.settings import Inference
from instancefcn.inference.torch_engine import TorchEngine
from instancefcn.inference.windows import filled
from instancefcn.network.fcn import InstanceFCN
from instancefcn.network.presets import PaperNetwork
from pasting import Pasting, compare_pasting
from results_page import (
    DATA,
    add_arguments,
    conditions,
    fingerprint,
    run_script,
    write_section,
)
from training_step import OBJECTS, StepCost, described, step_costs

PAPER = Selection(windows_per_side=40_000, overlap=0.8)
"""Of the recipe `paper`: every window is filled."""

STAGES = ("decode", "network", "proposals", "masks and RLE")

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Configuration:
    """A network and the sides at which it sees a photo.

    model: a name or a file; None is the paper's network with random weights. sides: None are the
    model's own.
    """

    name: str
    model: str | None
    sides: tuple[int, ...] | None

    def predictor(self) -> Predictor:
        if self.model is None:
            settings = Inference(self.sides or PAPER_SIDES, PAPER)
            return Predictor(TorchEngine(paper_network()), settings)
        return Predictor.from_pretrained(self.model, self.sides)


@dataclass(frozen=True)
class Cost:
    """What photos cost: seconds (photos, ``STAGES``); memory, at its peak and before the model
    was loaded, in bytes; masks, the median number a photo.
    """

    sides: tuple[int, ...]
    seconds: NDArray[np.float64]
    memory: int
    libraries: int
    masks: int

    @property
    def totals(self) -> NDArray[np.float64]:
        totals: NDArray[np.float64] = self.seconds.sum(1)
        return totals

    @property
    def share_after_network(self) -> float:
        """The share of the time that passes after the network, median over the photos."""
        return float(np.median(self.seconds[:, 2:].sum(1) / self.totals))


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parse(argv)
    paths = first_images(arguments.data, arguments.images)
    name = Path(arguments.model).stem
    configurations = (
        Configuration(f"{name}, one pass", arguments.model, (arguments.side,)),
        Configuration(f"{name}, its own sides", arguments.model, None),
        Configuration("the paper's VGG-16", None, tuple(arguments.paper_sides)),
    )
    costs = {}
    for configuration in configurations:
        seen = paths if configuration.model else paths[: arguments.paper_images]
        print(f"{configuration.name}: {len(seen)} images", file=sys.stderr)
        costs[configuration.name] = in_fresh_process(
            measure, configuration, seen, arguments.repeats
        )
    print(f"pasting {arguments.masks} masks", file=sys.stderr)
    pasting = in_fresh_process(
        compare_pasting, arguments.model, paths, arguments.masks, arguments.repeats
    )
    print("training steps", file=sys.stderr)
    steps = in_fresh_process(step_costs, arguments.objects, arguments.repeats)
    text = section(costs, pasting, steps, fingerprint(arguments.model), arguments.repeats)
    write_section(arguments.page, "bench", text)
    print(text)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    add = parser.add_argument
    add("--data", type=Path, default=DATA / "VOCdevkit" / "VOC2012", help="with a split dev")
    add("--images", type=int, default=30, help="the first so many of the split (%(default)s)")
    add("--paper-images", type=int, default=2, help="of these, for the paper's network")
    add("--paper-sides", type=int, nargs="+", default=PAPER_SIDES, help="its image pyramid")
    add("--repeats", type=int, default=3, help="runs a figure is the median of (%(default)s)")
    add("--objects", type=int, nargs="+", default=OBJECTS, help="an image, of training steps")
    add("--masks", type=int, default=1000, help="pasted by us and by torchvision (%(default)s)")
    return parser.parse_args(argv)


def first_images(root: Path, number: int) -> list[Path]:
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; give VOC 2012's, with a split dev, as --data")
    dataset = VocDataset(root, "dev")
    return [dataset[i].path for i in range(min(number, len(dataset)))]


def in_fresh_process(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a function where nothing ran before, so that peaks of memory do not mix."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *args, **kwargs).result()


def measure(configuration: Configuration, paths: Sequence[Path], repeats: int) -> Cost:
    """The cost of photos, each the median of ``repeats`` runs after one to warm up."""
    libraries = peak_memory()
    predictor = configuration.predictor()
    runs = [[run(predictor, path) for _ in range(1 + repeats)][1:] for path in paths]
    return Cost(
        sides=predictor.settings.sides,
        seconds=np.median([[seconds for seconds, _ in photo] for photo in runs], axis=1),
        memory=peak_memory(),
        libraries=libraries,
        masks=round(median(photo[0][1] for photo in runs)),
    )


def run(predictor: Predictor, path: Path) -> tuple[NDArray[np.float64], int]:
    """The seconds of each of ``STAGES`` for a photo, and the number of its masks."""
    engine, selection = predictor.engine, predictor.settings.selection
    assert isinstance(engine, TorchEngine)
    marks = [perf_counter()]
    pixels = read_image(path)
    height, width = pixels.shape[:2]
    marks.append(perf_counter())
    shown = [engine.levels(sampling) for sampling in predictor.samplings(pixels)]
    marks.append(perf_counter())
    found = merge(
        [filled(levels, height, width, selection).candidates(Look(len(levels))) for levels in shown]
    )
    proposals = ranked(found, height, width, selection)
    marks.append(perf_counter())
    masks = proposals.masks()
    marks.append(perf_counter())
    return np.diff(marks), len(masks)


def peak_memory() -> int:
    """The most memory this process ever held, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def paper_network() -> InstanceFCN:
    """The paper's network (sections 3.2 and 4), its weights random."""
    torch.manual_seed(0)
    return PaperNetwork().to(memory_format=torch.channels_last)


def section(
    costs: dict[str, Cost], pasting: Pasting, steps: Sequence[StepCost], model: str, repeats: int
) -> str:
    *models, paper = costs.values()
    return f"""
## Speed and memory

`make bench`, {conditions()} Model: {model}.

Milliseconds a photo: the median of {repeats} runs after one to warm up, then the median over the
first {len(models[0].seconds)} photos of VOC 2012's dev split, the first {len(paper.seconds)} for \
the paper's network.

{cost_table(costs)}

The paper's network has random weights. The time of the network does not depend on them; the number
and the form of the masks do, and so do the last two stages. Peak memory is that of a fresh process;
Python and the libraries take {models[0].libraries / 2**20:,.0f} MiB of it.

{ratio_table(list(costs)[:-1], models, paper)}

"Times as fast as the paper's network" is a median over the photos that both networks see.

{pasting.described()}

{described(steps)}
"""


def cost_table(costs: dict[str, Cost]) -> str:
    header = ("network", "sides", *STAGES, "in all", "masks", "peak memory, MiB")
    rows = [
        (
            name,
            " ".join(map(str, cost.sides)),
            *map(milliseconds, np.median(cost.seconds, axis=0)),
            milliseconds(float(np.median(cost.totals))),
            f"{cost.masks:,}",
            f"{cost.memory / 2**20:,.0f}",
        )
        for name, cost in costs.items()
    ]
    return markdown_table(header, rows)


def ratio_table(names: Sequence[str], models: Sequence[Cost], paper: Cost) -> str:
    times = (f"{times_as_fast(model, paper):.1f}" for model in models)
    shares = (f"{model.share_after_network:.0%}" for model in models)
    rows = [
        ("times as fast as the paper's network", *times, "at least 25"),
        ("share of the time after the network", *shares, "at most 30%"),
    ]
    return markdown_table(("ratio", *names, "aim"), rows)


def times_as_fast(model: Cost, other: Cost) -> float:
    both = min(len(model.totals), len(other.totals))
    return float(np.median(other.totals[:both] / model.totals[:both]))


def milliseconds(seconds: float) -> str:
    value = 1000 * seconds
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


if __name__ == "__main__":
    run_script(main)
