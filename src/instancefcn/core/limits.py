"""Bounds on what one file may take, which a user can raise."""

from __future__ import annotations

import os

from instancefcn.core.errors import UserError


def limit(name: str, default: int) -> int:
    """A bound, from the environment variable ``name`` if that is set.

    It is read once, when the module that names the bound is imported: set it in the shell, or in
    ``os.environ`` before that. Worker processes inherit it. Raises UserError unless it is a whole
    number above 0.
    """
    value = os.environ.get(name, str(default))
    if not (value.isdecimal() and int(value) > 0):
        raise UserError(f"{name}={value}: a limit is a whole number above 0, such as {default}")
    return int(value)
