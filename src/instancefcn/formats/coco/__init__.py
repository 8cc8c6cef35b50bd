"""COCO's format, all of it: records, data sets, their checks, results, writing, finding."""

from instancefcn.formats.coco.dataset import CocoDataset
from instancefcn.formats.coco.finding import FORMAT
from instancefcn.formats.coco.writing import WRITER

__all__ = ["FORMAT", "WRITER", "CocoDataset"]
