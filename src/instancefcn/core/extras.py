"""Libraries that only some commands need: they are installed with an extra of the package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from instancefcn.core.errors import UserError


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Around the imports of libraries that an extra installs. Raises UserError, naming the extra,
    for one that is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise UserError(
            f"{error.name} is not installed; install it with: pip install 'instancefcn[{name}]'"
        ) from error
