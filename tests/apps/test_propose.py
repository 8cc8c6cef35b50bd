"""The command as a user runs it: images in, files out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from instancefcn.apps.cli import main
from instancefcn.core.rle import decode, rle_from_coco
from instancefcn.data.images import read_image
from instancefcn.formats.coco import CocoDataset
from instancefcn.formats.ledger import LEDGER
from instancefcn.formats.prediction import short_score
from instancefcn.inference.predictor import Predictor
from tiny_model import write_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of two photos: coffee.png, and within "more" another coffee.png."""
    data: Any = skimage.data
    coffee, cat = data.coffee(), data.chelsea()
    save(tmp_path / "photos" / "coffee.png", coffee[::5, ::5])
    save(tmp_path / "photos" / "more" / "coffee.png", cat[::5, ::5])
    return tmp_path / "photos"


def save(path: Path, pixels: NDArray[np.uint8]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def noise(height: int = 40, width: int = 60, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def propose(model: Path, output: Path, *words: str | Path) -> int:
    return main(["propose", *map(str, words), "--model", str(model), "--output", str(output)])


def read(path: Path) -> Any:
    return json.loads(path.read_bytes())


def files(folder: Path) -> set[str]:
    """What lies in a folder, the notes for --resume left out."""
    names = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    return names - {LEDGER}


# What the command leaves.


def test_a_data_set_and_pictures(
    model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert propose(model, out, photos, photos / "more") == 0
    assert files(out) == {"proposals.json", "overlays/coffee.png", "overlays/more/coffee.png"}
    content = read(out / "proposals.json")
    assert [(i["id"], i["file_name"]) for i in content["images"]] == [
        (1, "coffee.png"),
        (2, "more/coffee.png"),
    ]
    printed = capsys.readouterr()
    count = len(content["annotations"])
    assert printed.out.startswith(f"2 of 2 images, {count} masks, ")
    assert printed.out.splitlines()[1:] == [str(out / "proposals.json"), str(out / "overlays")]
    assert printed.err == ""


def test_the_masks_are_those_of_the_predictor(model: Path, photos: Path, tmp_path: Path) -> None:
    propose(model, tmp_path / "out", photos / "coffee.png")
    annotations = read(tmp_path / "out" / "proposals.json")["annotations"]
    proposals = Predictor.from_pretrained(model)(photos / "coffee.png")
    expected = [
        (short_score(score), mask)
        for score, mask in zip(proposals.scores.tolist(), proposals.masks(), strict=True)
        if decode(mask).any()
    ]
    assert len(expected) > 50
    assert [(a["score"], rle_from_coco(a["segmentation"])) for a in annotations] == expected


def test_the_data_set_is_one_to_train_on(model: Path, photos: Path, tmp_path: Path) -> None:
    propose(model, tmp_path / "out", photos, photos / "more")
    dataset = CocoDataset(tmp_path / "out" / "proposals.json", photos)
    assert [p for p in dataset.problems(decode=True) if p.severity == "error"] == []
    assert read_image(dataset[1].path).shape[:2] == (dataset[1].height, dataset[1].width)


def test_all_formats_agree(model: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ("--formats", "png", "labelme-masks", "coco", "png")
    assert propose(model, out, photos, photos / "more", *words) == 0
    assert files(out) == {
        "proposals.json",
        *("labels/coffee.png", "labels/more/coffee.png"),
        *("labelme-masks/coffee.json", "labelme-masks/more/coffee.json"),
    }
    annotations = read(out / "proposals.json")["annotations"]
    second = [a for a in annotations if a["image_id"] == 2]
    shapes = read(out / "labelme-masks" / "more" / "coffee.json")["shapes"]
    assert [s["score"] for s in shapes] == [a["score"] for a in second]
    with Image.open(out / "labels" / "more" / "coffee.png") as png:
        labels = np.array(png)
    best = decode(rle_from_coco(second[0]["segmentation"]))
    np.testing.assert_array_equal(labels == 1, best)
    image = read(out / "labelme-masks" / "more" / "coffee.json")["imagePath"]
    assert (out / "labelme-masks" / "more" / image).resolve() == photos / "more" / "coffee.png"


def test_two_runs_write_the_same_bytes(model: Path, photos: Path, tmp_path: Path) -> None:
    words = (
        photos,
        photos / "more",
        "--top",
        "30",
        "--formats",
        "coco",
        "overlay",
        "png",
        "labelme",
    )
    for run in ("a", "b"):
        propose(model, tmp_path / run, *words)
    assert len(files(tmp_path / "a")) == 7
    for name in files(tmp_path / "a"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_images_that_differ_in_their_suffix_have_each_their_picture(
    model: Path, tmp_path: Path
) -> None:
    for name in ("x.png", "x.bmp", "y.png"):
        save(tmp_path / "photos" / name, noise())
    propose(model, tmp_path / "out", tmp_path / "photos", "--formats", "overlay")
    assert files(tmp_path / "out") == {
        *("overlays/x.png.png", "overlays/x.bmp.png", "overlays/y.png.png")
    }


def test_an_output_beside_the_images_leaves_them_alone(
    model: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (photos / "coffee.png").read_bytes()
    for _ in range(2):
        assert propose(model, photos, photos, "--formats", "overlay", "png", "coco") == 0
        assert capsys.readouterr().out.startswith("1 of 1 image, ")
    assert (photos / "coffee.png").read_bytes() == before


def test_fewer_masks_where_asked(model: Path, photos: Path, tmp_path: Path) -> None:
    def scores(*words: str) -> list[float]:
        assert propose(model, tmp_path / "out", photos, "--formats", "coco", *words) == 0
        return [a["score"] for a in read(tmp_path / "out" / "proposals.json")["annotations"]]

    everything = scores()
    assert scores("--top", "10") == everything[:10]
    least = everything[20]
    assert scores("--min-score", str(least - 1e-6)) == [s for s in everything if s >= least]
    assert scores("--min-score", "1") == []
    assert scores("--top", "3", "--min-score", "0") == everything[:3]


def test_more_masks_than_the_model_gives_by_itself(
    model: Path, photos: Path, tmp_path: Path
) -> None:
    propose(model, tmp_path, photos, "--formats", "coco", "--sides", "192", "--top", "1500")
    assert 1000 < len(read(tmp_path / "proposals.json")["annotations"]) <= 1500


def test_sides_take_the_place_of_the_models(model: Path, photos: Path, tmp_path: Path) -> None:
    words = ("--formats", "coco", "--sides", "32", "96")
    propose(model, tmp_path / "out", photos / "coffee.png", *words)
    annotations = read(tmp_path / "out" / "proposals.json")["annotations"]
    proposals = Predictor.from_pretrained(model, sides=(32, 96))(photos / "coffee.png")
    best = proposals.masks()[0]
    assert rle_from_coco(annotations[0]["segmentation"]) == best


@pytest.mark.parametrize(
    "words",
    [
        ("--top", "0"),
        ("--top", "many"),
        ("--min-score", "2"),
        ("--min-score", "nan"),
        ("--sides", "-5"),
        ("--formats", "jpg"),
    ],
)
def test_a_wrong_word_is_an_error_of_usage(
    model: Path, tmp_path: Path, words: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as info:
        propose(model, tmp_path / "out", "x.png", *words)
    assert info.value.code == 2
    assert f"argument {words[0]}: " in capsys.readouterr().err


# Results for annotated images.


@pytest.fixture
def listing(tmp_path: Path, photos: Path) -> Path:
    path = tmp_path / "instances.json"
    images = [
        {"id": 70, "file_name": str(photos / "more" / "coffee.png"), "width": 91, "height": 60},
        {"id": 3, "file_name": "./coffee.png", "width": 120, "height": 80},
    ]
    path.write_text(json.dumps({"images": images, "annotations": [], "categories": []}))
    return path


def test_results_have_the_ids_of_the_annotations(
    model: Path, photos: Path, listing: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = ("--annotations", listing, "--formats", "coco", "--top", "20")
    assert propose(model, out, photos, photos / "more", *words) == 0
    assert files(out) == {"results.json"}
    results = read(out / "results.json")
    assert [r["image_id"] for r in results] == [3] * 20 + [70] * 20
    assert all(set(r) == {"image_id", "category_id", "segmentation", "score"} for r in results)


def test_an_image_that_is_not_annotated_is_an_error_and_the_others_are_done(
    model: Path,
    photos: Path,
    listing: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = save(photos / "other.png", noise())
    out = tmp_path / "out"
    assert propose(model, out, photos, "--annotations", listing, "--top", "5") == 2
    assert [r["image_id"] for r in read(out / "results.json")] == [3] * 5
    assert files(out) == {"results.json", "overlays/coffee.png"}
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"instancefcn propose: error: {other}: {listing} lists no image")


# Mistakes and the terminal.


@pytest.mark.parametrize("name", ["empty", "empty/*", "missing/**/*.png"])
def test_no_images_is_an_error(
    model: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").touch()
    assert propose(model, tmp_path / "out", tmp_path / name) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"instancefcn propose: error: {tmp_path / name}: no images there; ")
    assert not (tmp_path / "out").exists()


def test_a_terminal_shows_progress(
    model: Path,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    (photos / "bad.png").touch()
    assert propose(model, tmp_path / "out", photos, photos / "more", "--formats", "coco") == 2
    printed = capsys.readouterr()
    assert "proposing" in printed.err
    assert "100%" in printed.err
    assert "bad.png: the file is empty" in "".join(printed.err.splitlines())
    assert "proposing" not in printed.out


def test_batches_give_the_same_masks(model: Path, photos: Path, tmp_path: Path) -> None:
    """But for the last digits of their scores."""
    save(photos / "cup.png", read_image(photos / "coffee.png")[::-1])
    (photos / "bad.png").touch()
    found = []
    for batch in ("1", "2", "5"):
        assert propose(model, tmp_path / batch, photos, "--batch", batch, "--device", "cpu") == 2
        annotations = read(tmp_path / batch / "proposals.json")["annotations"]
        found.append(np.array([(a["image_id"], a["score"]) for a in annotations]))
    assert len(found[0]) > 100
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], atol=1e-4)
