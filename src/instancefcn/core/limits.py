"""Sizes beyond which a file is refused, before memory is taken or C code sees it.

Each limit stands beside what it guards, by a name. The environment raises it, for workers too:
INSTANCEFCN_MAX_OUTLINE=20000000 instancefcn check-data ...
"""

from __future__ import annotations

import os

from instancefcn.core.errors import UserError


def limit(name: str, default: int) -> int:
    """The environment's INSTANCEFCN_name, or the default.

    It is read once, when the module that names the limit is imported: set it in the shell, or in
    ``os.environ`` before that. UserError unless it is a whole number above 0.
    """
    variable = f"INSTANCEFCN_{name}"
    text = os.environ.get(variable, str(default))
    if not (text.isdecimal() and len(text) < 19 and int(text) > 0):
        raise UserError(f"{variable}={text}: a limit is a whole number above 0, such as {default}")
    return int(text)
