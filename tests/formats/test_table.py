"""What holds for all formats: names of categories are the same when they are read again."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from instancefcn.formats.format import Writer
from instancefcn.formats.opening import open_dataset
from instancefcn.formats.table import WRITERS
from predictions import NAMES, labelled, predicted

WITHOUT_NAMES = {"overlay", "png"}


@pytest.mark.parametrize(
    "writer", [w for w in WRITERS if w.name not in WITHOUT_NAMES], ids=lambda writer: writer.name
)
def test_labels_that_are_written_are_read_back(tmp_path: Path, writer: Writer) -> None:
    prediction = predicted(labelled())
    assert writer.write(tmp_path / "out", prediction) == {}
    image = tmp_path / prediction.source.path
    image.parent.mkdir(parents=True)
    Image.fromarray(prediction.pixels).save(image)
    dataset = open_dataset(tmp_path / "out", images=tmp_path / "photos")
    assert list(dataset.problems()) == []
    read = [dataset.categories[instance.category] for instance in dataset[0].instances]
    assert read == prediction.proposals.names
    assert sorted(dataset.categories.values()) == sorted(NAMES.values())


def test_a_format_without_names_says_that_they_are_lost(tmp_path: Path) -> None:
    (png,) = (writer for writer in WRITERS if writer.name == "png")
    assert png.write(tmp_path, predicted(labelled())) == {"names": 10}
