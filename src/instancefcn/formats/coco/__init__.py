"""COCO's format, all of it: records, data sets, their checks, results, writing."""

from instancefcn.formats.coco.dataset import CocoDataset

__all__ = ["CocoDataset"]
