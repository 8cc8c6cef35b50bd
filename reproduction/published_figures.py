"""Figures that others published, to stand beside ours: not measured here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from instancefcn.evaluation.report import markdown_table

HEADER = ("published", "AR@10", "AR@100", "AR@1000")

VOC2012: dict[str, tuple[float, float, float]] = {
    "Selective Search": (7.0, 23.5, 43.3),
    "MCG": (18.9, 36.8, 49.5),
    "~DeepMask, trained on crops": (31.2, 42.9, 47.0),
    "MNC": (33.4, 48.5, 53.8),
    "InstanceFCN, k = 5, trained on crops": (37.4, 48.4, 51.4),
    "InstanceFCN, k = 3": (38.3, 49.2, 52.1),
    "InstanceFCN, k = 5": (38.9, 49.7, 52.6),
    "InstanceFCN, k = 7": (38.8, 49.7, 52.7),
}
"""AR in percent on VOC 2012 val; of Dai et al., ECCV 2016, section 4.1, whose networks were trained
on 5,623 images with SBD's masks."""

MS_COCO: dict[str, tuple[float | None, float, float]] = {
    "GOP": (2.3, 12.3, 25.3),
    "RIGOR": (None, 9.4, 25.3),
    "Selective Search": (2.5, 9.5, 23.0),
    "MCG": (7.7, 18.6, 29.9),
    "DeepMask": (12.6, 24.5, 33.1),
    "DeepMaskZoom": (12.7, 26.1, 36.6),
    "InstanceFCN, k = 5": (16.6, 31.7, 39.2),
}
"""AR in percent on the first 5,000 images of MS COCO val2014, None where none was published; of
Dai et al., section 4.1, trained on 80,000."""


def published_tables() -> str:
    """Both tables, each under a line that says what its figures are of."""
    coco = (
        "As published, on the first 5,000 images of **MS COCO val2014** (Dai et al. 2016); "
        "networks were trained on 80,000 images:"
    )
    return f"{published_on_voc()}\n\n{coco}\n\n{_table(MS_COCO)}"


def published_on_voc() -> str:
    voc = (
        "As published, on **VOC 2012 val** (Dai et al. 2016), AR-area, as the paper describes it; "
        "its networks were trained on 5,623 images with SBD's masks:"
    )
    return f"{voc}\n\n{_table(VOC2012)}"


def _table(figures: Mapping[str, Sequence[float | None]]) -> str:
    rows = [(method, *map(_cell, averages)) for method, averages in figures.items()]
    return markdown_table(HEADER, rows)


def _cell(average: float | None) -> str:
    return "-" if average is None else f"{average:.1f}"
