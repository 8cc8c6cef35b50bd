"""The categories of COCO files. Two files number them as they like, so names say which is which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from instancefcn.core.errors import UserError
from instancefcn.formats.coco.reading import read_tables
from instancefcn.formats.coco.records import LISTS, to_category


def read_categories(path: Path, needed: Sequence[str] = LISTS) -> dict[int, str]:
    """Names by id of a data set's "categories". Raises UserError, naming file and entry.

    needed: the lists that the file must have.
    """
    found: dict[int, str] = {}
    for entry in read_tables(path, needed, ("categories",)):
        try:
            category, name = to_category(entry.value)
        except UserError as error:
            raise UserError(f"{path}: categories[{entry.place}]: {error}") from error
        found[category] = name
    return found


def ids_by_name(categories: Mapping[int, str], others: Mapping[int, str]) -> dict[int, int]:
    """Which of the others each of the categories is: of those whose name one of them has."""
    ids, numbers = {name: number for number, name in others.items()}, Counter(others.values())
    return {number: ids[name] for number, name in categories.items() if numbers[name] == 1}
