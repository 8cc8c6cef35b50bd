"""How precision of labelled masks is reported: tables and JSON.

Each says what was measured, on which data, and by which definition of AP.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from instancefcn.evaluation.coco_precision import FIGURES, MAX_MASKS
from instancefcn.evaluation.measuring import LabelReport
from instancefcn.evaluation.precision import INTERPOLATIONS, THRESHOLDS, Interpolation
from instancefcn.evaluation.report import Table, or_none, percent

DEFINITIONS: Mapping[str, str] = {
    "11-point": "SDS rules, mean precision at recall 0, 0.1 .. 1 (VOC 2007)",
    "all-point": "SDS rules, area under precision over recall",
    "COCO": f"by pycocotools, at most {MAX_MASKS} masks of each category an image; AP: mean over "
    "IoU 0.50:0.05:0.95",
}
SHOWN = ("AP", "AP50", "AP75")

LabelReports = Mapping[str, LabelReport]
"""By method. All of the same images and categories."""


def precision_table(reports: LabelReports, data: str) -> Table:
    """mAP^r and COCO's AP in percent, by method; ``data`` names data set and split."""
    return Table(
        title="Labelled masks in percent: mAP^r (SDS rules, 11-point, all-point), COCO AP",
        caption=describe_labels(next(iter(reports.values())), data),
        header=("method", *_header("mAP^r")),
        rows=tuple((method, *_cells(report)) for method, report in reports.items()),
    )


def category_table(method: str, report: LabelReport, data: str) -> Table:
    """AP^r and COCO's AP of a method in percent, by category; a dash where there is no object."""
    rows = [
        (name, f"{objects:,}", f"{masks:,}", *_cells(report, category))
        for (category, name), objects, masks in zip(
            report.sds.categories.items(),
            report.sds.objects.tolist(),
            report.sds.masks.tolist(),
            strict=True,
        )
    ]
    return Table(
        title=f"{method}, by category in percent: AP^r (SDS rules, 11-point, all-point), COCO AP",
        caption=describe_labels(report, data),
        header=("category", "objects", "masks", *_header("AP^r")),
        rows=tuple(rows),
    )


def _header(name: str) -> tuple[str, ...]:
    at = [f"@{iou}" for iou in THRESHOLDS]
    return (*(name + iou for iou in at), *(f"all-pt{iou}" for iou in at), *SHOWN)


def _cells(report: LabelReport, category: int | None = None) -> list[str]:
    sds, coco = _figures(report, category)
    values = [value for of_interpolation in sds.values() for value in of_interpolation.values()]
    return list(map(percent, [*values, *(coco[name] for name in SHOWN)]))


def _figures(
    report: LabelReport, category: int | None
) -> tuple[dict[Interpolation, dict[str, float]], dict[str, float]]:
    """By interpolation and IoU, and by COCO's names: of one category, or the mean over all."""
    sds, coco = report.sds.mean, report.coco.mean
    if category is not None:
        sds, coco = partial(report.sds.of, category), partial(report.coco.of, category)
    of_sds = {i: {str(iou): sds(iou, i) for iou in THRESHOLDS} for i in INTERPOLATIONS}
    return of_sds, {name: coco(name) for name in FIGURES}


def describe_labels(report: LabelReport, data: str) -> str:
    """A few sentences on the data and the protocol."""
    sds = report.sds
    with_objects = int((sds.objects > 0).sum())
    void = " Void pixels count as nothing." if sds.void else ""
    return (
        f"{data}: {sds.images:,} images, {sds.objects.sum():,} objects. Means are over the "
        f"{with_objects:,} of {len(sds.categories):,} categories that have objects. At IoU 0.5 and "
        f"0.7: {DEFINITIONS['11-point']}; all-pt: {DEFINITIONS['all-point']}; the first "
        f"{sds.count:,} masks of each image count. AP, AP50, AP75: COCO's, {DEFINITIONS['COCO']}. "
        f"Crowds are no objects, and masks that match only a crowd do not count.{void}"
    )


def precision_to_json(reports: LabelReports, data: str) -> dict[str, object]:
    """All figures, as fractions; null where there is no object (of that size)."""
    sds = next(iter(reports.values())).sds
    return {
        "data": data,
        "images": sds.images,
        "objects": int(sds.objects.sum()),
        "void_left_out": sds.void,
        "masks_of_an_image": sds.count,
        "definitions": DEFINITIONS,
        "methods": {method: _to_json(report) for method, report in reports.items()},
    }


def _to_json(report: LabelReport) -> dict[str, object]:
    counts = zip(report.sds.objects.tolist(), report.sds.masks.tolist(), strict=True)
    by_category = [
        {"id": key, "name": name, "objects": objects, "masks": masks, **_named("AP^r", report, key)}
        for (key, name), (objects, masks) in zip(report.sds.categories.items(), counts, strict=True)
    ]
    return {**_named("mAP^r", report), "categories": by_category}


def _named(name: str, report: LabelReport, category: int | None = None) -> dict[str, object]:
    sds, coco = _figures(report, category)
    at = {i: {iou: or_none(value) for iou, value in of.items()} for i, of in sds.items()}
    return {name: at, "COCO": {figure: or_none(value) for figure, value in coco.items()}}
