"""What is published: facts that a slip would break, and sums by hand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from instancefcn.data.archives import (
    COCO,
    SBD,
    SETS,
    VOC,
    Archive,
    bytes_to_fetch,
    file_size,
    missing,
    space_needed,
)

ALL = [archive for archives in SETS.values() for archive in archives]
FIRST = Archive("http://x/first.zip", "md5:0", size=30, unpacked=100, member="a")
SECOND = Archive("http://x/second.tar", "md5:0", size=50, unpacked=60, member="b/c", into="d")


@pytest.mark.parametrize("archive", ALL, ids=[archive.name for archive in ALL])
def test_addresses_and_checksums_have_their_form(archive: Archive) -> None:
    assert re.fullmatch(r"https?://[\w.]+/.+\.(tar|tgz|zip)", archive.url)
    assert re.fullmatch(r"md5:[0-9a-f]{32}", archive.checksum)
    assert archive.size <= archive.unpacked < 4 * archive.size


def test_each_goes_where_the_recipes_look() -> None:
    data = Path("data")
    assert VOC.target(data) == data / "VOCdevkit" / "VOC2012"
    assert SBD.target(data) == data / "benchmark_RELEASE" / "dataset"
    targets = {archive.target(data).as_posix() for archive in COCO}
    assert targets == {"data/coco/annotations", "data/coco/train2017", "data/coco/val2017"}
    assert len({archive.name for archive in ALL}) == len({a.target(data) for a in ALL}) == len(ALL)


def test_missing_is_what_has_no_folder(tmp_path: Path) -> None:
    (tmp_path / "d" / "b" / "c").mkdir(parents=True)
    assert missing([FIRST, SECOND], tmp_path) == [FIRST]
    assert missing([], tmp_path) == []


def test_what_has_arrived_is_not_fetched_again(tmp_path: Path) -> None:
    assert bytes_to_fetch(FIRST, tmp_path) == 30
    FIRST.part(tmp_path).write_bytes(b"x" * 12)
    assert bytes_to_fetch(FIRST, tmp_path) == 18
    FIRST.part(tmp_path).write_bytes(b"x" * 31)
    assert bytes_to_fetch(FIRST, tmp_path) == 0
    (tmp_path / SECOND.name).touch()
    assert bytes_to_fetch(SECOND, tmp_path) == 0


def test_space_is_that_of_the_worst_moment(tmp_path: Path) -> None:
    """Unpacking the first takes 100 + 30; then the second 100 + 60 + 50."""
    assert space_needed([], tmp_path) == 0
    assert space_needed([FIRST], tmp_path) == 130
    assert space_needed([FIRST, SECOND], tmp_path) == 210
    SECOND.part(tmp_path).write_bytes(b"x" * 45)
    assert space_needed([FIRST, SECOND], tmp_path) == 165


def test_a_file_that_is_not_there_has_no_bytes(tmp_path: Path) -> None:
    assert file_size(tmp_path / "none") == 0
