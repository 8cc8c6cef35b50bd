"""Sizes beyond which a file is refused, before memory is taken or C code sees it.

Each limit stands beside what it guards, by a name. The environment raises it, for workers too:
INSTANCEFCN_MAX_OUTLINE=20000000 instancefcn check-data ...
"""

from __future__ import annotations

import os

from instancefcn.core.errors import UserError


def limit(name: str, default: int) -> int:
    """The environment's INSTANCEFCN_name, or the default. UserError unless it is a count."""
    text = os.environ.get(f"INSTANCEFCN_{name}", str(default))
    if not text.isdecimal() or not 0 < len(text) < 19:
        raise UserError(
            f"INSTANCEFCN_{name} is a count of at least 1, got {text!r}; set or unset it"
        )
    return int(text)
