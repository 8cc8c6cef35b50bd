"""The shortest way to a result: photos that ship with scikit-image, the model that ships with the
package, masks. ``make demo`` runs it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from skimage import data

from instancefcn.apps.cli import main

FOLDER = Path("demo")
PHOTOS = ("astronaut", "coffee", "chelsea", "coins")


def side_by_side(paths: Sequence[Path], height: int) -> Image.Image:
    """The pictures of these files in a row, all of one height, a little apart."""
    pictures = []
    for path in paths:
        with Image.open(path) as file:
            width = round(file.width * height / file.height)
            pictures.append(file.convert("RGB").resize((width, height)))
    gap = height // 40
    row = Image.new("RGB", (sum(p.width + gap for p in pictures) - gap, height), "white")
    left = 0
    for picture in pictures:
        row.paste(picture, (left, 0))
        left += picture.width + gap
    return row


if __name__ == "__main__":
    photos = FOLDER / "photos"
    photos.mkdir(parents=True, exist_ok=True)
    for name in PHOTOS:
        Image.fromarray(getattr(data, name)()).save(photos / f"{name}.png")
    code = main(["propose", str(photos), "--output", str(FOLDER)])
    overlays = [FOLDER / "overlays" / f"{name}.png" for name in PHOTOS]
    side_by_side(overlays, height=400).save(FOLDER / "demo.png")
    print(f"All {len(PHOTOS)} photos with their masks, side by side: {FOLDER / 'demo.png'}")
    sys.exit(code)
