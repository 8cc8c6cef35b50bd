"""The README's picture: nuclei that touch, the first row of a picture of ``show-maps``.

``make reproduce`` draws the whole; afterwards: ``python reproduction/readme_picture.py``.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

IMAGES = Path(__file__).parents[1] / "docs" / "images"
WHOLE, PART = IMAGES / "score_maps" / "295ac4ecf2ee0211.png", IMAGES / "touching.png"
ROW = (20, 152, 1180, 556)
"""Left, top, right and bottom of the panels with their titles, on a page 1,200 pixels wide."""

if __name__ == "__main__":
    with Image.open(WHOLE) as page:
        page.convert("RGB").crop(ROW).save(PART, optimize=True)
    print(PART)
