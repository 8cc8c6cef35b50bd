"""Tables and JSON of labelled masks: what was measured, on what, and how."""

from __future__ import annotations

import io
import json

import pytest
from labelled import CATEGORIES, annotated, box
from rich.console import Console

from instancefcn.core.types import ScoredMask
from instancefcn.evaluation.measuring import LabelReport, measured
from instancefcn.evaluation.precision_report import (
    category_table,
    precision_table,
    precision_to_json,
)
from instancefcn.evaluation.report import Table, to_markdown, to_rich

DATA = "VOC2012 dev"


def report(void: bool = False) -> LabelReport:
    """Two cats, of which one is found with an IoU of 0.6; a dog, found exactly; no cow, but a mask
    of one.
    """
    cats = (box(0, 0, 20, 10), 1), (box(50, 0, 70, 10), 1)
    image = annotated(*cats, (box(0, 50, 40, 90), 2), void=box(0, 0, 0, 0) if void else None)
    masks = [
        ScoredMask(box(0, 0, 12, 10), 0.9, 1),
        ScoredMask(box(0, 50, 40, 90), 0.8, 2),
        ScoredMask(box(0, 50, 40, 90), 0.7, 5),
    ]
    labels = measured([(image, masks)], CATEGORIES).labels
    assert labels
    return labels


def printed(table: Table, width: int = 80) -> str:
    file = io.StringIO()
    Console(file=file, width=width).print(to_rich(table))
    return file.getvalue()


def test_the_tables_by_hand() -> None:
    # 11 points: a cat is found at recall up to 0.5, 6 of 11 points. COCO has 101 points, 51 of them
    # up to 0.5, and ten IoUs of which 0.50, 0.55 and 0.60 are reached.
    assert category_table("ours", report(), DATA).rows == (
        ("cat", "2", "1", "54.5", "0.0", "50.0", "0.0", "15.1", "50.5", "0.0"),
        ("dog", "1", "1", "100.0", "100.0", "100.0", "100.0", "100.0", "100.0", "100.0"),
        ("cow", "0", "1", "-", "-", "-", "-", "-", "-", "-"),
    )
    assert precision_table({"ours": report()}, DATA).rows == (
        ("ours", "77.3", "50.0", "75.0", "50.0", "57.6", "75.2", "50.0"),
    )


def test_every_table_says_what_was_measured_on_what() -> None:
    tables = precision_table({"ours": report()}, DATA), category_table("ours", report(), DATA)
    for table in tables:
        for text in (to_markdown(table), " ".join(printed(table, 200).split())):
            assert f"{DATA}: 1 images, 3 objects. Means are over the 2 of 3 categories" in text
            assert "SDS rules, 11-point" in text
            assert "SDS rules, mean precision at recall 0, 0.1 .. 1 (VOC 2007)" in text
            assert "the first 300 masks of each image" in text
            assert "by pycocotools, at most 100 masks of each category an image" in text
            assert "oid" not in text
    assert "Void pixels count as nothing" in precision_table({"a": report(void=True)}, DATA).caption


def test_the_terminal_shows_every_figure_in_80_columns() -> None:
    table = precision_table({"a method": report(), "another one": report()}, DATA)
    text = printed(table)
    assert "…" not in text
    assert all(cell in text.split() for row in table.rows for cell in row[1:])
    assert all(name in text.split() for name in table.header)


def test_json_holds_every_figure() -> None:
    content = json.loads(json.dumps(precision_to_json({"ours": report()}, DATA), allow_nan=False))
    assert (content["data"], content["images"], content["objects"]) == (DATA, 1, 3)
    assert (content["masks_of_an_image"], content["void_left_out"]) == (300, False)
    assert content["definitions"].keys() == {"11-point", "all-point", "COCO"}
    ours = content["methods"]["ours"]
    assert ours["mAP^r"]["all-point"] == {"0.5": 0.75, "0.7": 0.5}
    assert ours["COCO"]["AP75"] == pytest.approx(0.5)
    assert ours["COCO"]["APl"] is None
    cat, dog, cow = ours["categories"]
    assert (cat["id"], cat["name"], cat["objects"], cat["masks"]) == (1, "cat", 2, 1)
    assert cat["AP^r"]["11-point"] == {"0.5": pytest.approx(6 / 11), "0.7": 0}
    assert dog["COCO"]["APm"] == pytest.approx(1)
    assert (cow["AP^r"]["11-point"]["0.5"], cow["COCO"]["AP"]) == (None, None)
