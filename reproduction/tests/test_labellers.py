"""The comparison of labellers, run really but on next to nothing; and what goes wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image
from voc_folder import PLACES, write_voc

from dev_sets import COCO, VOC, dev_sets
from instancefcn.data.dataset import Dataset
from instancefcn.data.images import read_image
from instancefcn.evaluation.measuring import measured, scored_masks
from instancefcn.inference.predictor import Predictor
from label_measuring import find_labels, measure_labels, pack, seconds_of_labelling, see, unpack
from reproduce import main
from system_picture import main as draw_picture_alone
from tiny_labeller import write_labelled_model

ROOT = Path(__file__).parents[2]
SHORT = ("--steps=1", "--batch=2", "--augmentation.size=64", "--workers=0")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_voc(tmp_path_factory.mktemp("labellers"))


@pytest.fixture(scope="module")
def dataset(folder: Path) -> Dataset:
    return dev_sets(folder / "data")[VOC].dataset


@pytest.fixture(scope="module")
def model(folder: Path, dataset: Dataset) -> Path:
    return write_labelled_model(folder / "tiny.safetensors", dataset.categories)


def reproduce(folder: Path, *words: str) -> None:
    voc = (
        "[{class_path: instancefcn.formats.voc.VocDataset, init_args: "
        f"{{root: {folder / 'data' / 'VOCdevkit' / 'VOC2012'}, split: dev}}}}]"
    )
    places = [word for name in PLACES for word in (f"--{name}", str(folder / name))]
    drawn = ["--model", str(folder / "tiny.safetensors")]
    overrides = ["--", *SHORT, f"--train={voc}", f"--evaluate={voc}"]
    main([*places, *drawn, "--seeds", "1", "--only", "labellers", *words, *overrides])


def test_from_data_to_tables_and_the_picture_and_once_only(
    folder: Path, model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    reproduce(folder, "--without-training")
    page = (folder / "output" / "docs" / "results.md").read_text()
    assert page.count("| not run yet | - |") == 6
    assert "#### Differences" not in page

    reproduce(folder)
    error = capfd.readouterr().err
    assert "label-mnc: 1 runs to train, about 10 minutes each on 2 CPU cores" in error
    page = (folder / "output" / "docs" / "results.md").read_text()
    assert page.count("<!-- labellers:begin -->") == 1
    assert "`reproduction/reproduce.py --only labellers --seeds 1 -- " in page
    for name in ("MNC's classifier", "R-FCN, over boxes", "R-FCN, over masks", "cats and dogs"):
        assert len(re.findall(rf"^\| {name} \| \[label-[a-z-]+\]\(.*\) \| 1 \| ", page, re.M)) == 1
    assert "the models' files list as trained on: 1." in page, "fit and dev are one image here"
    assert page.count("| not run yet | - |") == 2, "VGG-16 and COCO's categories"
    assert page.count("| R-FCN, over masks, less R-FCN, over boxes | ") == 1
    assert page.count("| overlap 0.3, voting at 0.5 | ") == 1
    assert "1 images, 4 objects; crowds and void pixels count as nothing." in page
    assert "Means are over the 2 of 20 categories" in page
    assert "| InstanceFCN (Dai et al. 2016) | 61.5 | 43.0 |" in page
    with Image.open(folder / "output" / "docs" / "images" / "system.png") as picture:
        assert picture.width == 1600

    before = {path: path.stat().st_mtime_ns for path in (folder / "runs").rglob("*.safetensors")}
    reproduce(folder)
    assert "label-mnc: trained" in capfd.readouterr().err
    after = {path: path.stat().st_mtime_ns for path in (folder / "runs").rglob("*.safetensors")}
    assert after == before


def test_labels_are_measured_as_evaluate_does(dataset: Dataset, model: Path) -> None:
    """Oracle: the predictor itself, by the package's own measuring."""
    predictor = Predictor.from_pretrained(model)
    options = {"own": {}, "voting": {"voting": 0.5, "overlap": 0.9}}
    found = measure_labels(find_labels(predictor, dataset, options), dataset.categories)
    for name, changes in options.items():
        changed = predictor.with_labelling(**changes)
        masks = scored_masks(changed(dataset[0].path), dataset.categories)
        expected = measured([(dataset[0], masks)], dataset.categories).labels
        assert expected is not None
        (judgement,) = found[name].judgements
        assert judgement.scores.tolist() == [mask.score for mask in masks] != []
        assert found[name].coco.tolist() == [100 * expected.coco.mean(f) for f in ("AP", "AP50")]


def test_labels_come_back_from_tensors(dataset: Dataset, model: Path) -> None:
    found = find_labels(Predictor.from_pretrained(model), dataset, {"own": {}})
    labels = measure_labels(found, dataset.categories)["own"]
    back = unpack(pack(labels), labels.categories, labels.commit)
    (one,), (other,) = labels.judgements, back.judgements
    assert one.categories.tolist() == other.categories.tolist()
    assert one.scores.tolist() == other.scores.tolist()
    assert one.verdicts.tolist() == other.verdicts.tolist()
    assert {8: 2, 12: 2} == dict(one.objects) == {k: n for k, n in other.objects.items() if n}
    assert (one.void, back.coco.tolist()) == (other.void, labels.coco.tolist())


def test_labelling_is_timed_alone(dataset: Dataset, model: Path) -> None:
    photo = dataset[0].path
    predictor = Predictor.from_pretrained(model)
    seen = see(predictor, read_image(photo))
    assert 0 < len(seen.proposals) <= predictor.settings.labelling.proposals
    seconds = seconds_of_labelling({"one": model, "other": model}, [photo] * 3)
    assert list(seconds) == ["one", "other"]
    assert all(0 < each < 5 for each in seconds.values())


def test_a_part_does_not_replace_the_whole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    part = f"--seeds, 1, {dev_sets(folder / 'data')[COCO].label}"
    expected = f"^{re.escape(part)}: a part of the comparison of labellers would replace all of it"
    with pytest.raises(ValueError, match=expected):
        main(["--only", "labellers", "--data", str(folder / "data"), "--seeds", "1"])


def test_without_voc_or_the_model_to_draw_it_is_told_at_once(folder: Path, tmp_path: Path) -> None:
    words = ["--only", "labellers", "--output", str(tmp_path), "--runs", str(tmp_path)]
    with pytest.raises(ValueError, match=r"VOC2012: not there, labellers are compared on it; give"):
        main([*words, "--data", str(tmp_path)])
    missing = tmp_path / "nothing.safetensors"
    with pytest.raises(ValueError, match=r"nothing\.safetensors: no such model"):
        main([*words, "--data", str(folder / "data"), "--model", str(missing)])


def test_a_photo_that_is_not_there_is_told_in_one_line(folder: Path) -> None:
    words = ["--data", str(folder / "data"), "--photo", "holiday"]
    with pytest.raises(ValueError, match=r"^--photo holiday: not of VOC's dev split; give one"):
        draw_picture_alone(words)
