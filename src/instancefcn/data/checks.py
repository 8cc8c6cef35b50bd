"""What is wrong where in a data set, before training: the parts that all formats share."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from os.path import isfile
from pathlib import Path

from instancefcn.core.errors import UserError
from instancefcn.core.types import AnnotatedImage
from instancefcn.core.words import counted
from instancefcn.data.dataset import Dataset, Problem
from instancefcn.data.images import image_size, read_image


def require_sound(dataset: Dataset) -> list[str]:
    """One line for each kind of warning, to be shown: what is left out, and whatever else is odd.

    Raises UserError if the data set has problems that are errors.
    """
    counts: Counter[str] = Counter()
    firsts: dict[str, Problem] = {}
    errors = 0
    for problem in dataset.problems():
        errors += problem.severity == "error"
        counts[problem.kind] += problem.severity == "warning"
        firsts.setdefault(f"{problem.severity}: {problem.kind}", problem)
        firsts.setdefault(problem.severity, problem)
    if errors:
        raise UserError(
            f"{dataset.name}: errors in the data ({errors}), the first: {firsts['error'].where}: "
            f"{firsts['error'].message}; 'instancefcn check-data' lists all"
        )
    return [
        f"{dataset.name}: {kind} ({count}), the first: {first.where}: {first.message}"
        for kind, count in counts.items()
        for first in [firsts[f"warning: {kind}"]]
    ]


def summary(problems: Iterable[Problem], examples: int = 3) -> str:
    """Counts by severity and kind, errors first, each with its first examples; ends with a total.

    Takes a stream: a million problems are not kept.
    """
    counts: Counter[str] = Counter()
    firsts: dict[str, list[str]] = defaultdict(list)
    totals = {"error": 0, "warning": 0}
    for problem in problems:
        kind = f"{problem.severity}: {problem.kind}"
        counts[kind] += 1
        totals[problem.severity] += 1
        if counts[kind] <= examples:
            firsts[kind].append(f"  {problem.where}: {problem.message}")
    lines = []
    for kind, count in sorted(counts.items()):
        lines += [f"{kind} ({count})", *firsts[kind]]
        if count > examples:
            lines.append(f"  and {count - examples} more")
    return "\n".join([*lines, f"errors: {totals['error']}, warnings: {totals['warning']}"])


def check_items(dataset: Dataset, decode: bool = False) -> Iterator[Problem]:
    """All that the items of a data set show; enough for ``Dataset.problems`` of most formats."""
    try:
        count = len(dataset)
    except UserError as error:
        yield Problem("error", "unreadable data set", dataset.name, str(error))
        return
    names: dict[int, Path] = {}
    objects = crowds = unread = 0
    for index in range(count):
        try:
            item = dataset[index]
        except UserError as error:
            where = f"{dataset.name}, image {index + 1} of {count}"
            yield Problem("error", "bad annotation", where, str(error))
            unread += 1
            continue
        crowds += sum(instance.crowd for instance in item.instances)
        objects += sum(not instance.crowd for instance in item.instances)
        yield from _item_problems(dataset, item, decode)
        if names.setdefault(item.image_id, item.path) is not item.path:
            where = f"{dataset.name}, image {item.image_id}"
            message = (
                f"the id of both {names[item.image_id]} and {item.path}; list or name one anew"
            )
            yield Problem("warning", "duplicate image id", where, message)
    if not unread:  # else who knows what those hold
        yield from object_problems(objects, crowds, dataset.name)


def _item_problems(dataset: Dataset, item: AnnotatedImage, decode: bool) -> Iterator[Problem]:
    where = f"{dataset.name}, image {item.image_id}"
    yield from image_problems(item.path, item.height, item.width, where, decode)
    for category in sorted({i.category for i in item.instances} - set(dataset.categories)):
        yield unknown_category(category, where)


def image_problems(
    path: Path, height: int, width: int, where: str, decode: bool
) -> Iterator[Problem]:
    """Of an image file whose annotations were drawn on height x width pixels.

    Annotations count as drawn on the upright image, as ``read_image`` gives it.
    """
    try:
        size = read_image(path).shape[:2] if decode else image_size(path)
    except UserError as error:
        kind = "unreadable image" if isfile(path) else "missing image"
        yield Problem("error", kind, where, str(error))
        return
    if size != (height, width):
        turned = " (turned by its EXIF orientation?)" if size == (width, height) else ""
        message = (
            f"{path}: {size[1]} x {size[0]} pixels{turned}, annotated at {width} x {height}; "
            "annotate the image as it is, or save it at the annotated size"
        )
        yield Problem("error", "wrong image size", where, message)


def object_problems(objects: int, crowds: int, where: str) -> Iterator[Problem]:
    """Of a data set with so many instances that count, and so many crowds, that do not."""
    total = objects + crowds
    if not total:
        message = "no image has an object; check the split and the paths"
        yield Problem("error", "no objects", where, message)
    elif not objects:
        message = (
            f'no annotation but crowds ("iscrowd": 1; {total:,} of them), which are neither learnt '
            'nor counted; set "iscrowd" to 0 or export polygons'
        )
        yield Problem("error", "no objects", where, message)
    elif crowds:
        message = (
            f"crowds: {crowds:,} of {counted(total, 'annotation')}; they are neither learnt nor "
            'counted; if each is one object, set its "iscrowd" to 0'
        )
        yield Problem("warning", "crowds", where, message)


def unknown_category(category: int, where: str) -> Problem:
    """Of an instance whose category the data set does not name."""
    message = f"the category {category} has no name; add it to the categories"
    return Problem("warning", "unknown category", where, message)
