"""A picture of proposals: contours, a light fill, names and scores over the image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from unicodedata import combining, normalize

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw, ImageFont
from pycocotools import mask as coco_mask

from instancefcn.core.proposals import CLASS_AGNOSTIC, Proposals
from instancefcn.core.rle import mask_area, rle_to_coco
from instancefcn.formats.format import Lost, Writer
from instancefcn.formats.png import write_png
from instancefcn.formats.prediction import Prediction, crop

SMALLEST, LARGEST = 800, 2000
MOST = 12
WEAKEST = 1 / 3
OVERLAP = 0.3
WHOLE = 0.95
OPACITY = 0.3
LONGEST = 24
"""So many characters of a name are written."""

PALETTE = """#ff4d4d #2fd65b #4d9bff #ffd60a #c86bff #19d3f3 #ff8c1a #ff5fb8 #b6e84a #8c7bff #00c2a0
    #ffb3a7"""
COLOURS = [ImageColor.getcolor(colour, "RGB") for colour in PALETTE.split()]

FINER = 2  # Shapes are drawn this much finer than the picture, for smooth contours.

Points = NDArray[np.int32]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Outline:
    """A mask's shape: closed contours, holes too, as pixels of a picture ``FINER`` times as fine.

    box: tight, in the picture's pixels. deepest, depth: the point furthest inside, and how far.
    """

    contours: Sequence[Points]
    box: Box
    deepest: tuple[float, float]
    depth: float


def write_overlay(folder: Path, prediction: Prediction) -> Lost:
    """Write an image's picture as PNG."""
    picture = draw(prediction.pixels, prediction.proposals)
    write_png(WRITER.path(folder, prediction.source), picture)
    return {}


WRITER = Writer(
    "overlay",
    "overlays/*.png, the best dozen masks that hardly overlap; 800 to 2000 pixels",
    "overlays",
    "{}.png",
    write_overlay,
)


def draw(image: NDArray[np.uint8], proposals: Proposals) -> NDArray[np.uint8]:
    """The picture (h, w, 3) uint8 RGB of an image (H, W, 3) uint8 RGB and its best proposals.

    It is as large as the image, but its longer side at least ``SMALLEST`` pixels, so that labels
    can be read, and at most ``LARGEST``. For what is drawn see ``worth_drawing``.
    """
    height, width = image.shape[:2]
    scale = min(max(height, width, SMALLEST), LARGEST) / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    fine_size = size[0] * FINER, size[1] * FINER
    fine = resized(proposals, *fine_size)
    chosen = list(islice(worth_drawing(fine), MOST))
    outlines = [outline(fine, index) for index in chosen]
    shapes = _draw_shapes(_resample(image, fine_size), outlines)
    texts = [label(proposals, index) for index in chosen]
    return _draw_labels(_resample(shapes, size), outlines, texts)


def label(proposals: Proposals, index: int) -> str:
    """What is written on one: its score, after its name if it has one of its own.

    Pillow's font has no letters but those of English: accents are left out, and a name in other
    letters is its category's number.
    """
    score = f"{proposals.scores[index]:.2f}"
    if proposals.categories == CLASS_AGNOSTIC:
        return score
    letters = normalize("NFKD", proposals.names[index].replace("ß", "ss"))
    name = "".join(letter for letter in letters if not combining(letter))
    if not name.isascii():
        name = f"#{int(proposals.labels[index])}"
    return f"{name if len(name) <= LONGEST else name[: LONGEST - 1] + '…'} {score}"


def worth_drawing(proposals: Proposals) -> Iterator[int]:
    """The proposals to look at, best first: a thousand would be a scribble.

    Scores go down to ``WEAKEST`` of the best one's, and of no two masks does one cover more than
    ``OVERLAP`` of the other. What covers no pixel is left out, and what covers more than ``WHOLE``
    of the image hides all else: it is drawn if there is nothing else.
    """
    drawn: list[dict[str, object]] = []
    whole: list[int] = []
    for index, rle in enumerate(proposals.masks()):
        if proposals.scores[index] < proposals.scores[0] * WEAKEST:
            break
        mask = rle_to_coco(rle)
        if mask_area(rle) > WHOLE * rle.height * rle.width:
            whole.append(index)
        elif mask_area(rle) and _largest_share(drawn, mask) <= OVERLAP:
            drawn.append(mask)
            yield index
    if not drawn:
        yield from whole[:1]


def _largest_share(drawn: Sequence[dict[str, object]], mask: dict[str, object]) -> float:
    """How much of a mask another one covers, or the other way round, at most."""
    # Against a "crowd" pycocotools divides the intersection by the first mask's own area.
    shares = (
        coco_mask.iou([mask], drawn, [True] * len(drawn)),
        coco_mask.iou(drawn, [mask], [True]),
    )
    return max((float(share.max()) for share in shares if len(share)), default=0.0)


def resized(proposals: Proposals, width: int, height: int) -> Proposals:
    """The same proposals of the image at another size."""
    scale = np.array([width / proposals.width, height / proposals.height] * 2, np.float32)
    return replace(
        proposals,
        windows=proposals.windows * scale,
        height=height,
        width=width,
    )


def outline(fine: Proposals, index: int) -> Outline:
    """Of one proposal on a picture, given at ``FINER`` times the picture's size."""
    x, y, mask = crop(fine, index)
    padded = np.pad(mask, 1).view(np.uint8)
    origin = np.array([x - 1, y - 1])
    contours, _ = cv2.findContours(padded, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    depths = cv2.distanceTransform(padded, cv2.DIST_L2, 3)
    row, column = np.unravel_index(depths.argmax(), depths.shape)
    left, top, width, height = cv2.boundingRect(padded)
    points = np.array([[left, top], [left + width, top + height], [column + 0.5, row + 0.5]])
    (x0, y0), (x1, y1), (deep_x, deep_y) = ((points + origin) / FINER).tolist()
    return Outline(
        [np.add(contour, origin, dtype=np.int32) for contour in contours],
        (x0, y0, x1, y1),
        (deep_x, deep_y),
        float(depths.max()) / FINER,
    )


def _resample(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """To a (width, height)."""
    method = cv2.INTER_AREA if size[0] < image.shape[1] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, size, interpolation=method), np.uint8)


def _draw_shapes(fine: NDArray[np.uint8], outlines: Sequence[Outline]) -> NDArray[np.uint8]:
    """Fills, and contours that a shadow sets off from a background of their own colour."""
    width = round(max(fine.shape) / 500)
    veil = fine.copy()
    for shape, colour in zip(outlines, COLOURS, strict=False):
        cv2.fillPoly(veil, shape.contours, colour)
    for shape in outlines:
        cv2.polylines(veil, shape.contours, True, (0, 0, 0), width * 2)
    fine = np.asarray(cv2.addWeighted(veil, OPACITY, fine, 1 - OPACITY, 0), np.uint8)
    for shape, colour in zip(outlines, COLOURS, strict=False):
        cv2.polylines(fine, shape.contours, True, colour, width, cv2.LINE_AA)
    return fine


def _draw_labels(
    picture: NDArray[np.uint8], outlines: Sequence[Outline], texts: Sequence[str]
) -> NDArray[np.uint8]:
    """Black texts on the shapes' colours, beside each other where there is room."""
    image = Image.fromarray(picture)
    canvas = ImageDraw.Draw(image)
    size = max(13, round(max(picture.shape) / 55))
    font = ImageFont.load_default(size)
    taken: list[Box] = []
    for shape, colour, text in zip(outlines, COLOURS, texts, strict=False):
        width, height = canvas.textlength(text, font) + size * 0.6, size * 1.25
        box = label_box(shape, width, height, image.size, taken)
        canvas.rounded_rectangle(box, size * 0.25, colour)
        centre = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        canvas.text(centre, text, "black", font, anchor="mm")
        taken.append(box)
    return np.asarray(image)


def label_box(
    shape: Outline, width: float, height: float, size: tuple[int, int], taken: Sequence[Box]
) -> Box:
    """Where a label of width x height goes on a picture of ``size`` = (width, height).

    Amid the shape if it is much larger than the label, else close by: the first place that is
    free and on the picture, or if there is none the first one, pushed onto the picture.
    """
    x0, y0, x1, y1 = shape.box
    x, y = shape.deepest
    gap = height / 4
    places = [
        (x, y0 - gap - height / 2),
        (x, y1 + gap + height / 2),
        (x1 + gap + width / 2, y),
        (x0 - gap - width / 2, y),
    ]
    if shape.depth > width:
        places.insert(0, (x, y))
    boxes = [(x - width / 2, y - height / 2, x + width / 2, y + height / 2) for x, y in places]
    for box in boxes:
        if _fits(box, size) and not any(_overlap(box, other) for other in taken):
            return box
    left = min(max(boxes[0][0], 0), size[0] - width)
    top = min(max(boxes[0][1], 0), size[1] - height)
    return left, top, left + width, top + height


def _fits(box: Box, size: tuple[int, int]) -> bool:
    return min(box) >= 0 and box[2] <= size[0] and box[3] <= size[1]


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
