"""COCO's format, all of it: records, data sets, their checks, results, writing, finding."""

from instancefcn.formats.coco.dataset import CocoDataset
from instancefcn.formats.coco.finding import FORMAT

__all__ = ["FORMAT", "CocoDataset"]
