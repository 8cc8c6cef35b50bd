"""labelme's format, https://github.com/wkentaro/labelme: a JSON file beside each image."""

from instancefcn.formats.labelme.dataset import FORMAT, LabelmeDataset
from instancefcn.formats.labelme.writing import MASKS, POLYGONS

__all__ = ["FORMAT", "MASKS", "POLYGONS", "LabelmeDataset"]
