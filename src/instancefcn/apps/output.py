"""What every command that writes files says if it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from instancefcn.core.errors import UserError


@contextmanager
def writing(output: Path) -> Iterator[None]:
    """Whatever the disk refuses inside is a ValueError that names the command's --output."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{output}: cannot be written ({error.strerror}); give another --output"
        ) from error
