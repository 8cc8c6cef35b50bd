"""Whose fault it is: the user's, told in one line, or ours, told with a traceback."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(ValueError):
    """A mistake that a user can mend: a wrong path, a broken file, a value out of range.

    Its message is one line: what was given, what was expected, and the way out. Commands print it
    and end with exit code 2. Any other exception is a fault of ours and keeps its traceback.
    """


def nearest(name: object, known: Iterable[str]) -> str:
    """The end of a message about a name that is not known: the one meant, or all there are."""
    names = sorted(known)
    close = get_close_matches(str(name), names, n=1)
    return f"did you mean {close[0]}?" if close else f"give one of {', '.join(names)}"
