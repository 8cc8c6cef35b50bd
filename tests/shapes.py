"""Pictures of coloured rectangles on disk as a COCO data set, and a recipe that learns them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import yaml
from PIL import Image

SIDE = 64


def write_shapes(folder: Path, images: int = 6, seed: int = 0) -> Path:
    """A COCO JSON, its images beside it: two rectangles each, of random size and colour."""
    rng = np.random.default_rng(seed)
    content: dict[str, list[dict[str, object]]] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": 1, "name": "rectangle"}, {"id": 2, "name": "frame"}],
    }
    for i in range(1, images + 1):
        pixels = np.full((SIDE, SIDE, 3), 255, np.uint8)
        for j, left in enumerate((2, 34)):
            x0, y0 = left + int(rng.integers(6)), int(rng.integers(2, 20))
            x1, y1 = x0 + int(rng.integers(12, 22)), y0 + int(rng.integers(12, 40))
            pixels[y0:y1, x0:x1] = rng.integers(0, 150, 3)
            if j == 1:
                pixels[y0 + 3 : y1 - 3, x0 + 3 : x1 - 3] = 255
            content["annotations"].append(
                {
                    "id": 2 * i + j,
                    "image_id": i,
                    "category_id": 1 + j,
                    "iscrowd": 0,
                    "area": (x1 - x0) * (y1 - y0),
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "segmentation": [[x0, y0, x1, y0, x1, y1, x0, y1]],
                }
            )
        Image.fromarray(pixels).save(folder / f"{i}.png")
        content["images"].append({"id": i, "file_name": f"{i}.png", "height": SIDE, "width": SIDE})
    path = folder / "instances.json"
    path.write_text(json.dumps(content))
    return path


def write_recipe(folder: Path, annotations: Path) -> Path:
    """A recipe for a small network on these pictures: a few steps take seconds."""
    dataset = {
        "class_path": "instancefcn.formats.coco.CocoDataset",
        "init_args": {"annotations": str(annotations), "images": str(annotations.parent)},
    }
    network = {
        "class_path": "instancefcn.network.presets.PyramidNetwork",
        "init_args": {
            **{"encoder": "test_efficientnet", "channels": 16, "k": 3, "prior": 0.5},
            **{"sizes": [11], "maps": [[0, 1]], "centres": [[1, 1]]},
        },
    }
    recipe = {
        "network": network,
        "train": [dataset],
        "evaluate": [dataset],
        "augmentation": {
            "class_path": "instancefcn.data.augmentation.LargeScaleJitter",
            "init_args": {"size": SIDE},
        },
        "paste": 0.5,
        "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 0.001}},
        "schedule": {
            "class_path": "instancefcn.training.schedules.WarmupCosine",
            "init_args": {"warmup": 2},
        },
        "inference": {"sides": [SIDE]},
        "steps": 6,
        "batch": 4,
        "decay_average": 0.9,
        "save_every": 1,
        "evaluate_every": 3,
        "evaluate_images": 2,
        "workers": 1,
    }
    path = folder / "shapes.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


def write_label_recipe(
    folder: Path, annotations: Path, categories: Mapping[int, str] = MappingProxyType({})
) -> Path:
    """The same network with a labeller of these categories, or those of the pictures."""
    recipe = yaml.safe_load(write_recipe(folder, annotations).read_text())
    labeller = {
        "class_path": "instancefcn.labelling.mnc.MncLabeller",
        "init_args": {"reads": [0, 1], "width": 16, "hidden": 32},
    }
    recipe["network"] = {
        "class_path": "instancefcn.labelling.network.LabelledNetwork",
        "init_args": {
            "network": recipe["network"],
            "labeller": labeller,
            "categories": dict(categories),
        },
    }
    path = folder / "labels.yaml"
    path.write_text(yaml.safe_dump({**recipe, "paste": 0.0}))
    return path
