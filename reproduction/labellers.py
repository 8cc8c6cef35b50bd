"""The comparison of labellers: MNC's classifier, R-FCN over boxes and R-FCN over masks."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from arguments import LABELS, values_of_recipes
from dev_sets import VOC, DevSet, dev_sets
from experiments import CATEGORIES, LABELLERS, MNC, Run, overlap, ready, run_of, timed
from instancefcn.core.errors import UserError
from instancefcn.labelling.network import LabelledNetwork
from instancefcn.network.models import load_model, read_card
from label_measuring import Labels, Options, measured_labels, seconds_of_labelling
from labels_page import PICTURE, Cost, labels_page
from results_page import ROOT, conditions, write_section
from system_picture import draw_picture, photo_to_show

OWN = "its own way"
OPTIONS: Options = {
    "overlap 0.3, no voting": {"overlap": 0.3, "voting": None},
    "overlap 0.2, no voting": {"overlap": 0.2, "voting": None},
    "overlap 0.4, no voting": {"overlap": 0.4, "voting": None},
    "overlap 0.5, no voting": {"overlap": 0.5, "voting": None},
    "overlap 0.3, voting at 0.5": {"overlap": 0.3, "voting": 0.5},
    "overlap 0.3, voting at 0.7": {"overlap": 0.3, "voting": 0.7},
}
"""Ways to label that are measured of one run; the first is what the recipes say."""

TIMED = 20
"""Photos that each labeller is timed on; the first of them warms up."""


def at_hand(arguments: argparse.Namespace) -> dict[str, DevSet]:
    """The sets whose folders are there, by name.

    Raises UserError if VOC is not there, if a part would replace the whole, or if the model to be
    drawn is not there.
    """
    every = dev_sets(arguments.data)
    needed = {key: every[key] for e in (*LABELLERS, *CATEGORIES) for key in e.sets}
    sets = {key: dev for key, dev in needed.items() if dev.folder.exists()}
    if VOC not in sets:
        raise UserError(
            f"{every[VOC].folder}: not there, labellers are compared on it; give --data"
        )
    left_out = [dev.label for key, dev in needed.items() if key not in sets]
    part = [*arguments.labels_part, *left_out]
    if part and arguments.output == ROOT:
        raise UserError(
            f"{', '.join(part)}: a part of the comparison of labellers would replace all of it in "
            "docs/results.md; give --output DIR"
        )
    read_card(arguments.model)
    return sets


def compare(arguments: argparse.Namespace, sets: Mapping[str, DevSet]) -> None:
    """Train what is missing, measure, and write the section of labelled masks."""
    experiments = [e for e in (*LABELLERS, *CATEGORIES) if {*e.sets} <= sets.keys()]
    runs = [run_of(e, seed, arguments.runs) for e in experiments for seed in e.seeds]
    runs = [run for run in runs if run.seed < arguments.seeds]
    runs = ready(runs, values_of_recipes(arguments), arguments.without_training)
    results: dict[str, list[Labels]] = {}
    for run in runs:
        results.setdefault(run.experiment.name, []).append(measure_run(run, sets))
    voc, compared = sets[VOC], [run for run in runs if run.experiment in LABELLERS]
    options = measure_options(compared, voc)
    costs = measure_costs(compared, voc)
    photo = photo_to_show(voc.dataset)
    draw_picture(arguments.model, photo, arguments.output / "docs" / PICTURE)
    words = ["reproduction/reproduce.py", "--only", LABELS, *arguments.labels_part]
    command = shlex.join(words) if arguments.labels_part else "make reproduce"
    text = labels_page(
        results,
        costs,
        options,
        {key: dev.label for key, dev in sets.items()},
        stamp=f"`{command}`, {conditions()} {timing(costs)}".strip(),
        overlap=overlap(compared, {VOC: voc}) if compared else "",
        picture=f"What {name_of(arguments.model)} does with {photo.stem} of VOC's dev split.",
    )
    write_section(arguments.output / "docs" / "results.md", LABELS, text)


def timing(costs: Mapping[str, Cost]) -> str:
    if not costs:
        return ""
    return (
        f"Milliseconds are medians of {TIMED - 1} photos, or of all but one of a smaller set, that "
        "labellers took in turns."
    )


def measure_run(run: Run, sets: Mapping[str, DevSet]) -> Labels:
    (key,) = run.experiment.sets
    with timed(f"labels of {run.folder.name} on {sets[key].dataset.name}"):
        return measured_labels(run.model, sets[key], "labelled", {OWN: {}})[OWN]


def measure_options(runs: Sequence[Run], voc: DevSet) -> dict[str, Labels]:
    """Other ways to label, by the first run of MNC's classifier; nothing without one."""
    first = next((run for run in runs if run.experiment.name == MNC), None)
    if first is None:
        return {}
    with timed(f"options of {first.folder.name} on {voc.dataset.name}"):
        return measured_labels(first.model, voc, "options", OPTIONS)


def measure_costs(runs: Sequence[Run], voc: DevSet) -> dict[str, Cost]:
    """What each labeller costs, by its first run."""
    first = {run.experiment.name: run.model for run in reversed(runs)}
    photos = [voc.dataset[i].path for i in range(min(TIMED, len(voc.dataset)))]
    seconds = seconds_of_labelling(first, photos) if first else {}
    return {name: Cost(weights_of(model), seconds[name]) for name, model in first.items()}


def weights_of(model: Path) -> int:
    """How many weights a model's labeller has."""
    network = load_model(model).network
    assert isinstance(network, LabelledNetwork)
    return sum(parameter.numel() for parameter in network.labeller.parameters())


def name_of(model: str) -> str:
    """What the page calls a model: by its name, or that of its run's folder."""
    path = Path(model)
    return f"`{path.parent.name if path.stem == 'model' else path.stem}`"
