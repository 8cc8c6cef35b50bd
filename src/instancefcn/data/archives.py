"""The files of the published data sets: addresses, checksums, sizes, and where each goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Archive:
    """One file of a published data set.

    url: its official address. checksum: as pooch takes it, "md5:...". size: its bytes.
    unpacked: about how many bytes it holds. member: the folder in it that is the data.
    into: the folder below the output that gets this folder, "" for the output itself.
    """

    url: str
    checksum: str
    size: int
    unpacked: int
    member: str
    into: str = ""

    @property
    def name(self) -> str:
        """The file's name, e.g. "val2017.zip"."""
        return PurePosixPath(urlsplit(self.url).path).name

    def target(self, folder: Path) -> Path:
        """Where its data lies. The folder is there only when it is complete."""
        return folder / self.into / self.member

    def part(self, folder: Path) -> Path:
        """Where the download lies, from its first byte until it is unpacked."""
        return folder / f"{self.name}.part"


VOC = Archive(
    "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
    "md5:6cd6e144f989b92b3379bac3b3de84fd",
    size=1_999_639_040,
    unpacked=2_000_000_000,
    member="VOCdevkit/VOC2012",
)
SBD = Archive(
    "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/"
    "benchmark.tgz",
    "md5:82b4d87ceb2ed10f6038a1cba92111cb",
    size=1_419_539_633,
    unpacked=1_600_000_000,
    member="benchmark_RELEASE/dataset",
)
COCO = (
    Archive(
        "http://images.cocodataset.org/annotations/annotations_trainval2017.zip",
        "md5:f4bbac642086de4f52a3fdda2de5fa2c",
        size=252_907_541,
        unpacked=810_000_000,
        member="annotations",
        into="coco",
    ),
    Archive(
        "http://images.cocodataset.org/zips/val2017.zip",
        "md5:442b8da7639aecaf257c1dceb8ba8c80",
        size=815_585_330,
        unpacked=820_000_000,
        member="val2017",
        into="coco",
    ),
    Archive(
        "http://images.cocodataset.org/zips/train2017.zip",
        "md5:cced6f7f71b7629ddf16f17bbcfab6b2",
        size=19_336_861_798,
        unpacked=19_500_000_000,
        member="train2017",
        into="coco",
    ),
)
SETS = {"voc2012": (VOC,), "sbd": (SBD,), "coco2017": COCO}


def missing(archives: Sequence[Archive], folder: Path) -> list[Archive]:
    """The archives whose data is not in the folder yet."""
    return [archive for archive in archives if not archive.target(folder).is_dir()]


def bytes_to_fetch(archive: Archive, folder: Path) -> int:
    """How many bytes are still to be downloaded; 0 of an archive that lies in the folder."""
    if (folder / archive.name).is_file():
        return 0
    return max(archive.size - file_size(archive.part(folder)), 0)


def space_needed(archives: Sequence[Archive], folder: Path) -> int:
    """The bytes of disk that getting these takes at its worst moment.

    One after another is downloaded, unpacked and removed, so this is less than all archives and
    all they hold, and never less than what they hold.
    """
    kept = worst = 0
    for archive in archives:
        kept += archive.unpacked
        worst = max(worst, kept + bytes_to_fetch(archive, folder))
    return worst


def file_size(path: Path) -> int:
    """Its bytes, 0 where there is no file."""
    return path.stat().st_size if path.exists() else 0
