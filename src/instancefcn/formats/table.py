"""The formats there are. A new one is its room and a line here."""

from __future__ import annotations

from instancefcn.formats import coco, label_pngs, labelme, overlay, sbd, voc, yolo
from instancefcn.formats.format import Format, JoinedWriter, Writer

FORMATS: tuple[Format, ...] = (
    voc.FORMAT,
    sbd.FORMAT,
    yolo.FORMAT,
    coco.FORMAT,
    labelme.FORMAT,
    label_pngs.FORMAT,
)
"""What can be read, in the order in which they are tried: the plainer the layout, the later."""

WRITERS: tuple[Writer, ...] = (
    overlay.WRITER,
    label_pngs.WRITER,
    labelme.POLYGONS,
    labelme.MASKS,
    yolo.WRITER,
)
"""What is written image by image."""

JOINED_WRITERS: tuple[JoinedWriter, ...] = (coco.WRITER,)
"""What is written as one file for all images."""
