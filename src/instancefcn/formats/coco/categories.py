"""The categories of COCO files. Two files number them as they like, so names say which is which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from reprlib import repr as short

from instancefcn.core.errors import UserError
from instancefcn.formats.coco.reading import read_tables
from instancefcn.formats.coco.records import LISTS, to_category


def read_categories(path: Path) -> dict[int, str]:
    """Names by id of a data set's "categories". Raises UserError, naming file and entry."""
    found: dict[int, str] = {}
    for entry in read_tables(path, LISTS, ("categories",)):
        try:
            category, name = to_category(entry.value)
        except UserError as error:
            raise UserError(f"{path}: categories[{entry.place}]: {error}") from error
        found[category] = name
    return found


def ids_by_name(categories: Mapping[int, str], others: Mapping[int, str]) -> dict[int, int]:
    """Which of the others has the name of each of the categories that has one there.

    Raises UserError for a name that two of the others have.
    """
    ids = {name: category for category, name in others.items()}
    numbers = Counter(others.values())
    for name in categories.values():
        if numbers[name] > 1:
            raise UserError(f"two categories are called {short(name)}; give each its own name")
    return {category: ids[name] for category, name in categories.items() if name in ids}
