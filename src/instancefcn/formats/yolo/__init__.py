"""YOLO's segmentation format, https://docs.ultralytics.com/datasets/segment/: a text file an
image, a line an object.
"""

from instancefcn.formats.yolo.dataset import FORMAT, YoloDataset
from instancefcn.formats.yolo.writing import WRITER

__all__ = ["FORMAT", "WRITER", "YoloDataset"]
