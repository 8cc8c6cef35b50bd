"""Tables, JSON and plots: all of them say what was measured, on what, and how."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor
from rich.console import Console

from instancefcn.core.rle import encode
from instancefcn.core.types import AnnotatedImage, Instance, Rle
from instancefcn.evaluation.plots import BOTTOM, COLOURS, HEIGHT, TOP, plot_average, plot_recall
from instancefcn.evaluation.recall import AREAS, IOUS, RecallReport, match, summarize
from instancefcn.evaluation.report import (
    Table,
    average_table,
    describe,
    recall_table,
    to_json,
    to_markdown,
    to_rich,
)

DATA = "VOC2012 dev"


def box(x0: int, y0: int, x1: int, y1: int) -> Rle:
    mask = np.zeros((60, 80), np.bool_)
    mask[y0:y1, x0:x1] = True
    return encode(mask)


def report(void: bool = False, counts: tuple[int, ...] = (1, 1000)) -> RecallReport:
    """Two objects, small and medium; the small one found first, the other with an IoU of 0.7."""
    objects = Instance(box(0, 0, 20, 10), 1), Instance(box(30, 0, 70, 40), 1)
    nothing = box(0, 0, 0, 0) if void else None
    image = AnnotatedImage(1, Path("1.jpg"), 60, 80, objects, nothing)
    return summarize([match(image, [box(0, 0, 20, 10), box(30, 0, 70, 28)])], counts)


NOTHING = summarize([])


def printed(table: Table, width: int = 80) -> str:
    file = io.StringIO()
    Console(file=file, width=width).print(to_rich(table))
    return file.getvalue()


def test_the_average_table_by_hand() -> None:
    # Found by one: half of the objects at every IoU. By all: both at 0.50 .. 0.70, then half.
    assert average_table({"ours": report()}, DATA).rows == (
        ("ours", "1", "50.0", "100.0", "0.0", "-", "50.0"),
        ("ours", "1,000", "75.0", "100.0", "50.0", "-", "72.5"),
    )


def test_the_recall_table_by_hand() -> None:
    table = recall_table({"ours": report()}, DATA)
    assert " ".join(table.header[2:]) == "0.50 0.55 0.60 0.65 0.70 0.75 0.80 0.85 0.90 0.95 1.00"
    assert table.rows == (
        ("ours", "1", *["50.0"] * 11),
        ("ours", "1,000", *["100.0"] * 5, *["50.0"] * 6),
    )


def test_every_table_says_what_was_measured_on_what() -> None:
    for table in (average_table({"ours": report()}, DATA), recall_table({"ours": report()}, DATA)):
        for text in (to_markdown(table), " ".join(printed(table).split())):
            assert "class-agnostic" in text
            assert f"{DATA}: 1 images, 2 objects (1 small, 1 medium, 0 large)" in text
            assert "void" not in text
    text = to_markdown(average_table({"ours": report()}, DATA))
    assert "AR: mean recall over IoU 0.50:0.05:0.95 (COCO)" in text
    assert "AR-area: twice the area under recall over IoU 0.5 to 1 (Hosang et al.)" in text


def test_void_is_named_where_it_was_left_out() -> None:
    assert "void pixels count as nothing" in describe(report(void=True), DATA)


def test_markdown_is_a_table_of_equal_rows() -> None:
    table = average_table({"a|b": report(), "c": NOTHING}, DATA)
    lines = [line for line in to_markdown(table).splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(table.rows)
    assert {line.replace("\\|", "").count("|") for line in lines} == {len(table.header) + 1}


def test_the_terminal_shows_every_figure_in_80_columns() -> None:
    tables = (
        average_table({"a method": report(), "b": report()}, DATA),
        recall_table({"selective search": report(counts=(10, 100, 1000))}, DATA),
    )
    for table in tables:
        text = printed(table)
        assert "…" not in text
        for row in table.rows:
            assert all(cell in text.split() for cell in row[1:])


def test_the_terminal_names_each_method_once_and_takes_names_literally() -> None:
    text = printed(average_table({"[red]x": report(), "y": report()}, "set [1]"))
    assert text.count("[red]x") == 1
    assert "set [1]: 1 images" in text


def test_json_holds_every_figure() -> None:
    content = json.loads(json.dumps(to_json({"ours": report()}, DATA), allow_nan=False))
    assert content["data"] == DATA
    assert content["images"] == 1
    assert content["objects"] == {"all": 2, "small": 1, "medium": 1, "large": 0}
    assert content["void_left_out"] is False
    assert content["definitions"].keys() == {"AR", "AR-area"}
    assert content["ious"] == [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0]
    first, all_ = content["methods"]["ours"]
    assert (first["proposals"], all_["proposals"]) == (1, 1000)
    assert all_["AR"] == {"all": 0.75, "small": 1.0, "medium": 0.5, "large": None}
    assert all_["AR-area"]["all"] == pytest.approx(0.725)
    assert all_["recall"]["large"] == [None] * len(IOUS)
    assert all_["recall"].keys() == AREAS.keys()


@pytest.mark.parametrize("plot", [plot_recall, plot_average])
@pytest.mark.parametrize("methods", [["ours"], ["ours", "theirs", "$_nobody's"]])
def test_plots_are_drawn(
    tmp_path: Path, plot: Callable[[Path, dict[str, RecallReport], str], None], methods: list[str]
) -> None:
    path = tmp_path / "new" / "plot.png"
    plot(path, {method: report() for method in methods}, DATA)
    with Image.open(path) as image:
        colours = np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)
        assert image.width > 600
    assert len(colours) > 100
    assert [p.name for p in path.parent.iterdir()] == ["plot.png"]


@pytest.mark.parametrize("plot", [plot_recall, plot_average])
def test_long_names_are_whole(
    tmp_path: Path, plot: Callable[[Path, dict[str, RecallReport], str], None]
) -> None:
    """The picture is wide enough for them: its right edge is white."""
    for name in ("InstanceFCN, k = 5, crops, few images", 60 * "W"):
        plot(tmp_path / "plot.png", {"ours": report(), name: report()}, DATA)
        with Image.open(tmp_path / "plot.png") as image:
            assert np.asarray(image.convert("L"))[:, -10:].min() == 255


@pytest.mark.parametrize("plot", [plot_recall, plot_average])
def test_a_method_has_its_line_whoever_else_is_there(
    tmp_path: Path, plot: Callable[..., None]
) -> None:
    """The last of three has the third colour, though the first is not there."""
    order = ["ours", "theirs", "others"]
    plot(tmp_path / "plot.png", {name: report() for name in order[1:]}, DATA, order)
    with Image.open(tmp_path / "plot.png") as image:
        drawn = set(map(tuple, np.asarray(image.convert("RGB")).reshape(-1, 3).tolist()))
    present = [ImageColor.getrgb(colour) in drawn for colour in COLOURS[:3]]
    assert present == [False, True, True]


def test_plots_of_no_objects_are_drawn(tmp_path: Path) -> None:
    plot_recall(tmp_path / "recall.png", {"ours": NOTHING}, DATA)
    plot_average(tmp_path / "average.png", {"ours": NOTHING, "theirs": NOTHING}, DATA)
    assert len(list(tmp_path.iterdir())) == 2


def test_the_curve_is_where_recall_is(tmp_path: Path) -> None:
    # Recall by one proposal is one half at every IoU: a blue line half way up the panel.
    plot_recall(tmp_path / "recall.png", {"ours": report(counts=(1,))}, DATA)
    with Image.open(tmp_path / "recall.png") as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    blue = pixels[..., 2] - pixels[..., 0] > 50
    rows = np.flatnonzero(blue[:, round(image.width * 0.8)])
    top, bottom = TOP / HEIGHT, 1 - BOTTOM / HEIGHT
    assert rows.mean() / image.height == pytest.approx((top + bottom) / 2, abs=0.005)
