"""Files made to kill the reader. They run in a process of their own, all together."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from instancefcn.core.rle import decode, encode, polygons_to_rle
from instancefcn.core.types import AnnotatedImage
from instancefcn.data.image_files import MAX_PIXELS
from instancefcn.evaluation.recall import match
from instancefcn.formats.coco import CocoDataset

MEMORY = 1 << 30
"""Bytes that reading any of them may take beyond what the process had."""

ATTACKS: dict[str, tuple[int, int, Any]] = {
    # pycocotools asks for 4,000 * 200,000,000 * 5 places, which overflows, and writes beyond them.
    "to and fro, high": (MAX_PIXELS, 1, [[0, 0, 0, MAX_PIXELS] * 2000]),
    "to and fro, wide": (1, MAX_PIXELS, [[0, 0, MAX_PIXELS, 0] * 2000]),
    "to and fro, square": (14_000, 14_000, [[0, 0, 28_000, 0, 28_000, 28_000] * 700]),
    "one long edge": (1, MAX_PIXELS, [[0, 0, 2**20 - 1, 0, 0, 1]]),
    "60,000 outlines": (2000, 2000, [[i, 0, i + 1, 0, i, 1] for i in range(2000)] * 30),
    "more runs than pixels": (1, 1, {"size": [1, 1], "counts": [0] * 100_000 + [1]}),
    "more runs than pixels, packed": (1, 1, {"size": [1, 1], "counts": "0" * 100_000 + "1"}),
    "a long string": (1, 1, {"size": [1, 1], "counts": "0" * 30_000_000}),
    "a number of 35 bits": (9, 9, {"size": [9, 9], "counts": "PPPPPP1"}),
    "2 ** 62 pixels": (2, 2, {"size": [2**31 - 1] * 2, "counts": [2**31 - 1] * 9}),
    "numbers past all floats": (9, 9, [[0, 0, 10**400, 0, 9, 9]]),
    "nan": (9, 9, [[float("nan"), 0, 9, 0, 9, 9]]),
}  # fmt: skip


def attack(folder: Path) -> None:
    """Reads every file; prints what was refused or read."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    for name, (height, width, segmentation) in ATTACKS.items():
        image = {"id": 1, "file_name": "x.png", "height": height, "width": width}
        record = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": segmentation}
        content = {"images": [image], "annotations": [record], "categories": []}
        path = folder / "attack.json"
        path.write_text(json.dumps(content))
        kinds = [problem.kind for problem in CocoDataset(path, folder).problems()]
        if "bad mask" in kinds:
            with pytest.raises(ValueError, match=r"attack\.json: annotation 1 of image 1"):
                CocoDataset(path, folder)[0]
            print("refused", name)
            continue
        item = CocoDataset(path, folder)[0]
        if height * width <= 2000 * 2000:
            void = encode(np.zeros((height, width), np.bool_))
            masks = [instance.mask for instance in item.instances]
            match(AnnotatedImage(1, path, height, width, item.instances, void), masks)
        print("read", name)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert peak - before < MEMORY, f"{(peak - before) >> 20} MB"


def test_no_file_kills_the_reader(tmp_path: Path) -> None:
    command = [sys.executable, __file__, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    answers = dict(line.split(" ", 1)[::-1] for line in done.stdout.splitlines())
    assert list(answers) == list(ATTACKS)
    assert {name for name, answer in answers.items() if answer == "read"} == {
        "60,000 outlines",
        "more runs than pixels",
        "more runs than pixels, packed",
    }


def test_many_outlines_are_united_as_by_pycocotools() -> None:
    random = np.random.default_rng(0)
    outlines = random.uniform(-5, 45, (100, 8)).tolist()
    ours = polygons_to_rle(outlines, 40, 30)
    theirs = coco_mask.merge(coco_mask.frPyObjects(outlines, 40, 30))
    assert ours.counts == theirs["counts"]
    assert decode(ours).any()


if __name__ == "__main__":
    attack(Path(sys.argv[1]))
