"""Data sets: one file a format, each a class that answers ``dataset.Dataset``.

To add one, write such a class; ``checks.check_items`` does for its ``problems``, and a recipe names
it by its ``class_path``. No other file changes.
"""
