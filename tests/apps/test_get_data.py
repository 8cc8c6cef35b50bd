"""The command, with a server on loopback in the place of the official ones."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from instancefcn.apps.get_data import add_arguments, run
from instancefcn.data.archives import SETS, VOC
from instancefcn.formats.opening import open_dataset
from published import Site, serving


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as site:
        yield site


def parsed(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(words)


def test_data_is_the_default_and_the_sets_are_the_choices(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert parsed(["sbd"]).output == Path("data")
    with pytest.raises(SystemExit):
        parsed(["voc2007"])
    error = capsys.readouterr().err
    assert all(name in error for name in SETS)


def test_says_what_it_takes_and_where_it_is(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sets = site.offer_sets()
    (voc,) = sets["voc2012"]
    assert run(parsed(["voc2012", "--output", str(tmp_path)]), sets) == 0
    printed, bars = capsys.readouterr()
    first, second, *lists = printed.splitlines()
    assert [line.split(": ")[1] for line in lists] == [
        f"a list of {number} images, for recipes" for number in ("1,279", "150")
    ]
    assert first == (
        f"voc2012: {voc.size / 1000:.1f} kB to download, {2 * voc.size / 1000:.1f} kB of disk "
        f"while it is unpacked, {voc.size / 1000:.1f} kB in the end"
    )
    assert second == f"{tmp_path / 'VOCdevkit' / 'VOC2012'}: done"
    assert all(f"{verb} {VOC.name}" in bars for verb in ("downloading", "checking", "unpacking"))
    assert len(open_dataset(tmp_path / "VOCdevkit" / "VOC2012", "val")) == 3


def test_a_second_time_gets_nothing(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sets = site.offer_sets()
    words = ["coco2017", "--output", str(tmp_path)]
    assert run(parsed(words), sets) == 0
    requests = len(site.requests)
    capsys.readouterr()
    assert run(parsed(words), sets) == 0
    assert len(site.requests) == requests == 3
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all(line.endswith(": already there") for line in lines)


@pytest.mark.parametrize("order", [("voc2012", "sbd"), ("sbd", "voc2012")])
def test_both_sets_make_the_papers_splits(
    site: Site, tmp_path: Path, order: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    sets = site.offer_sets()
    for name in order:
        assert "voc2012_train.txt" not in capsys.readouterr().out
        assert run(parsed([name, "--output", str(tmp_path)]), sets) == 0
    assert "voc2012_train.txt: a list of 2 images, for recipes" in capsys.readouterr().out
    assert len(open_dataset(tmp_path / "benchmark_RELEASE", "voc2012_train")) == 2


def test_a_server_that_fails_is_one_line(site: Site, tmp_path: Path) -> None:
    sets = site.offer_sets()
    site.files.clear()
    with pytest.raises(ValueError, match="404 Not Found; ") as caught:
        run(parsed(["sbd", "--output", str(tmp_path)]), sets)
    assert "\n" not in str(caught.value)
