"""The commands that measure, run really but on next to nothing; and the page that they write."""

from __future__ import annotations

import socket
import subprocess
import sys
from dataclasses import replace
from itertools import starmap
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from numpy.typing import NDArray
from PIL import Image

import accuracy
from instancefcn.core.proposals import Proposals
from instancefcn.core.rle import decode
from instancefcn.data.identity import KEY, entry, thumbnails
from instancefcn.evaluation.measuring import find
from instancefcn.evaluation.recall import match, summarize
from instancefcn.evaluation.report import average_table, to_markdown
from instancefcn.formats.coco import CocoDataset
from instancefcn.formats.voc import VocDataset
from instancefcn.inference.predictor import Predictor
from instancefcn.network.models import Model, build, load_model
from pasting import relative_to_boxes
from results_page import conditions, write_section
from shapes import SIDE, write_recipe, write_shapes

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
VOC = "VOC 2012 images, reconstructed instance masks, dev split"


def command(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, BENCHMARKS / f"{name}.py", *arguments]
    return subprocess.run([str(w) for w in words], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random model and, under data/, a VOC folder of two images and Penn-Fudan's."""
    folder = tmp_path_factory.mktemp("benchmarks")
    pictures = folder / "data" / "pennfudan" / "dev"
    pictures.mkdir(parents=True)
    annotations = write_shapes(pictures, images=2)
    write_voc(folder / "data" / "VOCdevkit" / "VOC2012", pictures)
    recipe = yaml.safe_load(write_recipe(folder, annotations).read_text())
    annotations.rename(folder / "data" / "pennfudan" / "instances_dev.json")
    network = recipe["network"]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Model(build(network, "the tests"), network, {"sides": [32, SIDE]}, {})
    model.save(folder / "tiny.safetensors")
    return folder


def write_voc(root: Path, pictures: Path) -> None:
    """The pictures, not white being an object and the rim void."""
    for part in ("JPEGImages", "SegmentationObject", "SegmentationClass", "ImageSets/Segmentation"):
        (root / part).mkdir(parents=True)
    for path in sorted(pictures.glob("*.png")):
        pixels: NDArray[np.uint8] = np.array(Image.open(path))
        labels = np.where((pixels < 200).all(2), 1, 0).astype(np.uint8)
        labels[:2] = 255
        Image.fromarray(pixels).save(root / "JPEGImages" / f"{path.stem}.jpg")
        Image.fromarray(labels).save(root / "SegmentationObject" / f"{path.stem}.png")
        Image.fromarray(labels).save(root / "SegmentationClass" / f"{path.stem}.png")
    (root / "ImageSets" / "Segmentation" / "dev.txt").write_text("1\n2\n")


def rows(page: str, first: str) -> list[list[str]]:
    """The cells of the table whose first header is this, without header and rule."""
    lines = page.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {first} |"))
    table = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.strip("|").split("|")])
    return table


# --- the commands


def test_bench_measures_every_stage_of_every_configuration(folder: Path) -> None:
    page = folder / "bench.md"
    page.write_text("# Mine\n\n<!-- bench:begin -->\nreplace me\n<!-- bench:end -->\n\nkept\n")
    size = ("--images", 2, "--paper-images", 1, "--paper-sides", 32, "--side", 32, "--masks", 20)
    done = command(
        *("bench", "--model", folder / "tiny.safetensors", "--repeats", 1, "--page", page),
        *("--objects", 2),
        *("--data", folder / "data" / "VOCdevkit" / "VOC2012", *size),
    )
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    assert text.startswith("# Mine\n\n<!-- bench:begin -->\n## Speed")
    assert text.endswith("<!-- bench:end -->\n\nkept\n")
    assert "replace me" not in text
    table = rows(text, "network")
    assert [row[1] for row in table] == ["32", "32 64", "32"]
    for row in table:
        *stages, total, masks, memory = (float(cell.replace(",", "")) for cell in row[2:])
        assert len(stages) == 4
        assert 0 < max(stages) <= total + 1
        assert masks > 0
        assert 100 < memory < 10_000
    vgg, tiny = float(table[2][-1].replace(",", "")), float(table[0][-1].replace(",", ""))
    assert vgg > tiny + 50, "VGG-16's convolutions alone are 59 MB"
    assert [len(row) for row in rows(text, "ratio")] == [4, 4]


def test_accuracy_is_that_of_evaluate(folder: Path) -> None:
    page = folder / "accuracy.md"
    model = folder / "tiny.safetensors"
    done = command(
        *("accuracy", "--model", model, "--side", 32, "--data", folder / "data", "--page", page),
        *("--summaries", folder / "summary.md"),
    )
    assert done.returncode == 0, done.stderr
    assert "coco is not there, left out" in done.stderr
    assert (folder / "summary.md").read_text().count("| tiny, ") == 4
    text = page.read_text()
    assert "VOC 2012 val" not in text
    assert "The model's file does not say on which images it was trained." in text
    assert "**COCO val2017, dev split**: not measured" in text
    assert "Penn-Fudan pedestrians, dev split: 2 images, 4 objects" in text
    voc = VocDataset(folder / "data" / "VOCdevkit" / "VOC2012", "dev")
    reports = {
        f"tiny, {sides}": summarize(starmap(match, find(method, voc, [0, 1])))
        for sides in ([32], [32, 64])
        for method in [Predictor.from_pretrained(model, sides).masks]
    }
    assert text.count("void pixels count as nothing") == 1  # in the last table: as background
    expected = to_markdown(average_table(reports, VOC))
    for brackets in "[],":
        text, expected = text.replace(brackets, ""), expected.replace(brackets, "")
    assert expected in text


def test_accuracy_leaves_out_what_the_model_was_trained_on(folder: Path, tmp_path: Path) -> None:
    """All there is here; of a part the tables say how many, as ``evaluate`` does."""
    model, data = load_model(folder / "tiny.safetensors"), folder / "data"
    pedestrians = data / "pennfudan"
    seen = (
        VocDataset(data / "VOCdevkit" / "VOC2012", "dev"),
        CocoDataset(pedestrians / "instances_dev.json", pedestrians / "dev"),
    )
    trained, page = tmp_path / "trained.safetensors", tmp_path / "page.md"
    replace(model, card={KEY: [entry(each, thumbnails(each)) for each in seen]}).save(trained)
    words = ["--model", str(trained), "--side", "32", "--data", str(data), "--page", str(page)]
    accuracy.main([*words, "--summaries"])
    text = page.read_text()
    for label in (VOC, "Penn-Fudan pedestrians, dev split"):
        assert f"**{label}**: not measured, the model was trained on its images." in text
    assert "Images were left out where a table says so: they are among the 4 pictures" in text


def test_a_wrong_model_is_one_line(tmp_path: Path, folder: Path) -> None:
    page, model = tmp_path / "page.md", tmp_path / "none"
    data = folder / "data" / "VOCdevkit" / "VOC2012"
    done = command("bench", "--model", model, "--data", data, "--page", page)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"bench.py: error: {model}: no such model")
    assert not page.exists()


# --- masks relative to their boxes


def test_masks_relative_to_their_boxes_are_the_same_masks() -> None:
    m = 21
    y, x = np.mgrid[:m, :m] - m // 2
    ellipses = [36 - (x / a) ** 2 - (y / b) ** 2 for a, b in ((1, 1), (1.5, 0.8), (0.7, 1.4))]
    logits = np.stack(ellipses).astype(np.float32)
    corners = [[10, 20, 94, 104], [100, 30, 184, 114], [40, 110, 124, 194]]
    scores, windows = np.ones(3, np.float32), np.array(corners, np.float32)
    level = np.zeros(3, np.int64)
    masks = Proposals(scores, windows, logits, level, 200, 200)
    relative = relative_to_boxes(masks)
    assert relative.shape == (3, 28, 28)
    again = Proposals(masks.scores, masks.boxes, relative, level, 200, 200)
    drawn, drawn_again = (list(map(decode, p.masks())) for p in (masks, again))
    for mask, other in zip(drawn, drawn_again, strict=True):
        assert (mask & other).sum() / (mask | other).sum() > 0.93


# --- the page


def test_a_section_is_begun_then_replaced_and_the_rest_is_kept(tmp_path: Path) -> None:
    page = tmp_path / "results.md"
    write_section(page, "bench", "one")
    write_section(page, "accuracy", "two")
    begun = page.read_text()
    assert begun.startswith("# Results\n")
    assert begun.index("one") < begun.index("two")
    page.write_bytes(begun.encode() + "\r\nüml\n".encode())
    write_section(page, "bench", "\nthree\n\nfour\n")
    assert page.read_bytes().decode() == begun.replace("one", "three\n\nfour") + "\r\nüml\n"
    write_section(page, "bench", "one")
    assert page.read_bytes().decode() == begun + "\r\nüml\n"
    assert list(tmp_path.iterdir()) == [page]


@pytest.mark.parametrize("order", [["begin"], ["end"], ["end", "begin"], ["end", "begin", "end"]])
def test_a_lone_marker_is_an_error_and_nothing_is_written(tmp_path: Path, order: list[str]) -> None:
    page = tmp_path / "results.md"
    page.write_text(" ".join(f"<!-- bench:{word} -->" for word in order))
    old = page.read_text()
    with pytest.raises(ValueError, match=r"results\.md: one of the markers"):
        write_section(page, "bench", "text")
    assert page.read_text() == old


def test_the_conditions_name_no_host() -> None:
    words = conditions()
    assert "torch threads" in words
    assert torch.__version__.split("+")[0] in words
    assert socket.gethostname() not in words
