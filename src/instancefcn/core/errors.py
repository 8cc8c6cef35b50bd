"""Whose fault it is: the user's, told in one line, or ours, told with a traceback."""

from __future__ import annotations


class UserError(ValueError):
    """A mistake that a user can mend: a wrong path, a broken file, a value out of range.

    Its message is one line: what was given, what was expected, and the way out. Commands print it
    and end with exit code 2. Any other exception is a fault of ours and keeps its traceback.
    """
