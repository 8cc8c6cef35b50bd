"""Downloads from a real server on loopback, well behaved and not, and archives of every sort."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from instancefcn.data.archives import SBD, VOC, Archive
from instancefcn.data.dataset import Dataset
from instancefcn.data.download import CHUNK, get, require_space, unpack, write_splits
from instancefcn.data.splits import read_split, shipped_split
from instancefcn.formats.coco import CocoDataset
from instancefcn.formats.sbd import SbdDataset
from instancefcn.formats.voc import VocDataset
from published import IN_SBD, TRAIN, VAL, Site, sbd_files, serving, tar, voc_files, zipped

TAR = tar(voc_files())
HALF = 3 * CHUNK  # so that a cut loses nothing
PATH = f"/{VOC.name}"
ZIP = Archive("http://x/x.zip", "md5:0", 1, 1, member="data")


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as site:
        yield site


@pytest.fixture
def voc(site: Site) -> Archive:
    return site.offer(VOC, TAR)


def quiet(what: str, done: int, total: int) -> None:
    assert what
    assert done >= 0
    assert total


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def refusal(archive: Archive, folder: Path) -> str:
    with pytest.raises(ValueError, match=";") as caught:
        get([archive], folder, quiet)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def opened(name: str, folder: Path) -> Dataset:
    if name == "voc2012":
        return VocDataset(folder / "VOCdevkit" / "VOC2012", "val")
    if name == "sbd":
        return SbdDataset(folder / "benchmark_RELEASE", "train")
    coco = folder / "coco"
    return CocoDataset(coco / "annotations" / "instances_val2017.json", coco / "val2017")


@pytest.mark.parametrize(("name", "images"), [("voc2012", 3), ("sbd", 3), ("coco2017", 1)])
def test_the_loaders_open_what_was_got(site: Site, tmp_path: Path, name: str, images: int) -> None:
    archives = site.offer_sets()[name]
    get(archives, tmp_path / "data", quiet)
    dataset = opened(name, tmp_path / "data")
    assert len(dataset) == images
    assert len(dataset[0].instances) == 1
    assert list(dataset.problems(decode=True)) == []
    assert site.requests == [(f"/{archive.name}", None) for archive in archives]
    assert entries(tmp_path / "data") == [Path(archives[0].into or archives[0].member).parts[0]]


def test_progress_ends_at_all_bytes(voc: Archive, tmp_path: Path) -> None:
    told: dict[str, list[tuple[int, int]]] = {}
    get([voc], tmp_path, lambda what, done, total: told.setdefault(what, []).append((done, total)))
    assert list(told) == [f"{verb} {VOC.name}" for verb in ("downloading", "checking", "unpacking")]
    assert told[f"downloading {VOC.name}"][-1] == (len(TAR), len(TAR))
    files = sum(map(len, voc_files().values()))
    assert told[f"unpacking {VOC.name}"][-1] == (files, len(TAR))


def test_a_cut_connection_is_taken_up_again(site: Site, voc: Archive, tmp_path: Path) -> None:
    site.cuts[PATH] = [HALF, CHUNK]
    get([voc], tmp_path, quiet)
    assert site.requests == [
        (PATH, None),
        (PATH, f"bytes={HALF}-"),
        (PATH, f"bytes={HALF + CHUNK}-"),
    ]
    assert site.sent == [HALF, CHUNK, len(TAR) - HALF - CHUNK]
    assert len(opened("voc2012", tmp_path)) == 3


def test_a_cut_is_noticed_without_a_length(site: Site, voc: Archive, tmp_path: Path) -> None:
    site.lengths = False
    site.cuts[PATH] = [HALF, 0]
    assert "the connection ended early" in refusal(voc, tmp_path)
    assert voc.part(tmp_path).read_bytes() == TAR[:HALF]
    get([voc], tmp_path, quiet)
    assert (site.requests[-1], site.sent[-1]) == ((PATH, f"bytes={HALF}-"), len(TAR) - HALF)


def test_a_cut_within_a_chunk_loses_no_more(site: Site, voc: Archive, tmp_path: Path) -> None:
    site.cuts[PATH] = [HALF + CHUNK // 2]
    get([voc], tmp_path, quiet)
    assert site.requests == [(PATH, None), (PATH, f"bytes={HALF}-")]
    assert len(opened("voc2012", tmp_path)) == 3


def test_another_run_goes_on(site: Site, voc: Archive, tmp_path: Path) -> None:
    site.cuts[PATH] = [HALF, 0]
    assert "the connection broke" in refusal(voc, tmp_path)
    assert entries(tmp_path) == [f"{VOC.name}.part"]
    assert voc.part(tmp_path).read_bytes() == TAR[:HALF]
    get([voc], tmp_path, quiet)
    assert (site.requests[-1], site.sent[-1]) == ((PATH, f"bytes={HALF}-"), len(TAR) - HALF)
    assert len(opened("voc2012", tmp_path)) == 3


def test_a_server_without_ranges_sends_all_again(site: Site, voc: Archive, tmp_path: Path) -> None:
    site.ranges = False
    site.cuts[PATH] = [HALF]
    get([voc], tmp_path, quiet)
    assert site.requests == [(PATH, None), (PATH, f"bytes={HALF}-")]
    assert site.sent == [HALF, len(TAR)]
    assert len(opened("voc2012", tmp_path)) == 3


def test_a_server_without_ranges_that_always_cuts_is_given_up(
    site: Site, voc: Archive, tmp_path: Path
) -> None:
    site.ranges = False
    site.cuts[PATH] = [HALF, HALF, HALF]
    refusal(voc, tmp_path)
    assert site.sent == [HALF, HALF]


def test_a_moved_archive_is_followed(site: Site, voc: Archive, tmp_path: Path) -> None:
    site.files["/elsewhere"] = TAR
    site.moved[PATH] = f"{site.url}/elsewhere"
    voc.part(tmp_path).write_bytes(TAR[:HALF])
    get([voc], tmp_path, quiet)
    assert site.requests[-1] == ("/elsewhere", f"bytes={HALF}-")
    assert len(opened("voc2012", tmp_path)) == 3


def test_an_archive_stays_packed_whatever_the_server_calls_it(site: Site, tmp_path: Path) -> None:
    site.encoding = "x-gzip"
    sbd = site.offer(SBD, tar(sbd_files(), "w:gz"))
    site.cuts[f"/{SBD.name}"] = [HALF]
    get([sbd], tmp_path, quiet)
    assert site.sent == [HALF, sbd.size - HALF]
    assert len(opened("sbd", tmp_path)) == 3


def test_what_arrived_before_the_check_is_not_asked_for(
    site: Site, voc: Archive, tmp_path: Path
) -> None:
    voc.part(tmp_path).write_bytes(TAR)
    get([voc], tmp_path, quiet)
    assert site.requests == []
    assert entries(tmp_path) == ["VOCdevkit"]


def test_a_server_that_has_no_more_bytes_is_believed(
    site: Site, voc: Archive, tmp_path: Path
) -> None:
    """The size is for bars and the disk; whether a file is whole its checksum says."""
    voc.part(tmp_path).write_bytes(TAR)
    get([replace(voc, size=2 * voc.size)], tmp_path, quiet)
    assert site.requests == [(PATH, f"bytes={len(TAR)}-")]
    assert len(opened("voc2012", tmp_path)) == 3


def test_a_wrong_checksum_leaves_nothing(site: Site, voc: Archive, tmp_path: Path) -> None:
    site.files[PATH] = TAR[:-1] + b"x"
    message = refusal(voc, tmp_path)
    assert voc.url in message
    assert voc.checksum in message
    assert entries(tmp_path) == []


def test_an_own_archive_is_used_and_stays(site: Site, voc: Archive, tmp_path: Path) -> None:
    (tmp_path / VOC.name).write_bytes(TAR)
    get([voc], tmp_path, quiet)
    assert site.requests == []
    assert entries(tmp_path) == ["VOCdevkit", VOC.name]


def test_an_own_archive_with_another_checksum_is_named(
    site: Site, voc: Archive, tmp_path: Path
) -> None:
    (tmp_path / VOC.name).write_bytes(TAR[:HALF])
    assert refusal(voc, tmp_path).startswith(f"{tmp_path / VOC.name}: the checksum is not md5:")
    assert (entries(tmp_path), site.requests) == ([VOC.name], [])


def test_a_server_without_the_archive(site: Site, voc: Archive, tmp_path: Path) -> None:
    del site.files[PATH]
    message = refusal(voc, tmp_path)
    assert message.startswith(f"{voc.url}: the server answers 404 Not Found; ")
    assert f"put it into {tmp_path}" in message
    assert entries(tmp_path) == []


def test_no_server(tmp_path: Path) -> None:
    with serving() as site:
        voc = site.offer(VOC, TAR)
    assert "the connection broke (ConnectionError)" in refusal(voc, tmp_path)


def test_what_is_there_is_not_got_again(site: Site, voc: Archive, tmp_path: Path) -> None:
    """Nor touched, and what a kill after unpacking left of the download goes."""
    voc.target(tmp_path).mkdir(parents=True)
    voc.part(tmp_path).write_bytes(TAR)
    get([voc], tmp_path, quiet)
    assert site.requests == []
    assert entries(tmp_path) == ["VOCdevkit"]
    assert entries(voc.target(tmp_path)) == []


def test_a_set_of_several_keeps_what_is_complete(site: Site, tmp_path: Path) -> None:
    """And no downloaded archive takes space while the next one is fetched."""
    archives = site.offer_sets()["coco2017"]
    annotations, val, _ = (f"/{archive.name}" for archive in archives)
    content = site.files.pop(val)
    with pytest.raises(ValueError, match="404"):
        get(archives, tmp_path, quiet)
    assert (entries(tmp_path), entries(tmp_path / "coco")) == (["coco"], ["annotations"])
    site.files[val] = content
    get(archives, tmp_path, quiet)
    assert [path for path, _ in site.requests].count(annotations) == 1
    assert len(opened("coco2017", tmp_path)) == 1


def test_other_years_beside_it_stay(voc: Archive, tmp_path: Path) -> None:
    (tmp_path / "VOCdevkit" / "VOC2007").mkdir(parents=True)
    get([voc], tmp_path, quiet)
    assert entries(tmp_path / "VOCdevkit") == ["VOC2007", "VOC2012"]


def test_no_archives_are_nothing(tmp_path: Path) -> None:
    get([], tmp_path / "none", quiet)
    assert not (tmp_path / "none").exists()


def test_a_disk_that_is_too_small_is_refused_before_the_start(
    site: Site, voc: Archive, tmp_path: Path
) -> None:
    message = refusal(replace(voc, unpacked=10**18), tmp_path / "new" / "data")
    assert "1000000000.0 GB needed" in message
    assert (entries(tmp_path), site.requests) == ([], [])
    require_space(1, tmp_path / "new" / "data")


def test_an_output_that_is_a_file(voc: Archive, tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    assert refusal(voc, tmp_path / "data").startswith(f"{tmp_path / 'data'}: cannot be written")


# Unpacking.


@pytest.mark.parametrize("content", [TAR[:HALF], b"no archive at all", tar({"other/a": b""})])
def test_a_broken_archive_leaves_no_folder(site: Site, tmp_path: Path, content: bytes) -> None:
    """Though its checksum is right."""
    voc = site.offer(VOC, content)
    assert str(voc.part(tmp_path)) in refusal(voc, tmp_path)
    assert entries(tmp_path) == [f"{VOC.name}.part"]


@pytest.mark.parametrize("cut", [30, 100])
def test_a_broken_zip_leaves_no_folder(tmp_path: Path, cut: int) -> None:
    content = zipped({"data/a": b"x" * 100})
    path = tmp_path / "x.zip"
    path.write_bytes(content[:40] + b"y" + content[41:] if cut == 100 else content[:cut])
    with pytest.raises(ValueError, match=r"x\.zip: cannot be unpacked \(BadZipFile\); "):
        unpack(ZIP, path, tmp_path, quiet)
    assert entries(tmp_path) == ["x.zip"]


NAMES = ("../escaped", "data/../../escaped", "/escaped", "C:/escaped", "data\\..\\..\\escaped")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("suffix", ["zip", "tar"])
def test_no_path_leaves_the_folder(tmp_path: Path, name: str, suffix: str) -> None:
    files = {"data/good": b"1", name: b"2"}
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / f"x.{suffix}"
    path.write_bytes(zipped(files) if suffix == "zip" else tar(files))
    with pytest.raises(ValueError, match=r"escaped leads out of the folder; "):
        unpack(replace(ZIP, url=f"http://x/x.{suffix}"), path, folder, quiet)
    assert (entries(folder), entries(tmp_path)) == ([f"x.{suffix}"], ["folder"])


def test_links_are_not_written(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, kind in (("symbolic", tarfile.SYMTYPE), ("hard", tarfile.LNKTYPE)):
            link = tarfile.TarInfo(f"data/{name}")
            link.type, link.linkname = kind, "/etc/passwd"
            archive.addfile(link)
        archive.addfile(tarfile.TarInfo("data/file"))
    (tmp_path / "x.tar").write_bytes(packed.getvalue())
    unpack(replace(ZIP, url="http://x/x.tar"), tmp_path / "x.tar", tmp_path, quiet)
    assert entries(tmp_path / "data") == ["file"]


KILLED = """
import resource, signal, sys
from pathlib import Path
from instancefcn.data.archives import VOC
from instancefcn.data.download import unpack

signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # the kernel kills who writes a larger file
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
folder = Path(sys.argv[1])
unpack(VOC, folder / VOC.name, folder, lambda what, done, total: None)
"""


def test_a_kill_in_the_middle_leaves_no_folder(tmp_path: Path) -> None:
    pytest.importorskip("resource", reason="is killed by a limit of the system's")
    (tmp_path / VOC.name).write_bytes(tar(voc_files() | {"VOCdevkit/VOC2012/z": b"x" * 2000}))
    run = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert run.returncode < 0
    assert not VOC.target(tmp_path).exists()
    left = tmp_path / f".{VOC.name}.unpacking"
    assert (left / VOC.member / "ImageSets" / "Main" / "train.txt").exists()
    (left / VOC.member / "of an older archive").touch()
    unpack(VOC, tmp_path / VOC.name, tmp_path, quiet)
    assert entries(tmp_path) == ["VOCdevkit", VOC.name]
    assert "of an older archive" not in entries(VOC.target(tmp_path))
    assert len(opened("voc2012", tmp_path)) == 3


# The lists that recipes read.


def test_the_papers_images_are_vocs_in_sbd(site: Site, tmp_path: Path) -> None:
    sets = site.offer_sets()
    get(sets["voc2012"], tmp_path, quiet)
    assert not [path for path in write_splits(tmp_path) if path.stem.startswith("voc2012")]
    get(sets["sbd"], tmp_path, quiet)
    folder = SBD.target(tmp_path)
    written = write_splits(tmp_path)
    for split, names in (("voc2012_train", TRAIN), ("voc2012_val", VAL)):
        kept = [name for name in names if name in IN_SBD]
        path = folder / f"{split}.txt"
        assert path.read_text().split() == kept
        assert written[path] == len(kept)
    dataset = SbdDataset(tmp_path / "benchmark_RELEASE", "voc2012_train")
    assert [dataset[i].image_id for i in range(len(dataset))] == [2008000002, 2009000001]
    again = write_splits(tmp_path)
    assert again == {path: number for path, number in written.items() if path in again}
    assert again.keys() == {folder / "voc2012_train.txt", folder / "voc2012_val.txt"}


def test_the_lists_to_train_and_measure_on_are_the_packages(site: Site, tmp_path: Path) -> None:
    """On the official data as on ours: VOC's own train and val would be other images."""
    get(site.offer_sets()["voc2012"], tmp_path, quiet)
    folder = VOC.target(tmp_path) / "ImageSets" / "Segmentation"
    assert write_splits(tmp_path) == {folder / "fit.txt": 1279, folder / "dev.txt": 150}
    for name in ("fit", "dev"):
        assert read_split(folder / f"{name}.txt") == shipped_split(f"voc2012_{name}")


def test_a_folders_own_splits_are_kept(site: Site, tmp_path: Path) -> None:
    """Else images to measure on would come among those that a model has learnt from."""
    get(site.offer_sets()["voc2012"], tmp_path, quiet)
    folder = VOC.target(tmp_path) / "ImageSets" / "Segmentation"
    (folder / "dev.txt").write_text("2008_000007\n")
    assert write_splits(tmp_path) == {folder / "fit.txt": 1279}
    assert (folder / "dev.txt").read_text() == "2008_000007\n"


def test_a_split_that_cannot_be_written_is_one_line(site: Site, tmp_path: Path) -> None:
    sets = site.offer_sets()
    get([*sets["voc2012"], *sets["sbd"]], tmp_path, quiet)
    (SBD.target(tmp_path) / "voc2012_train.txt").mkdir()
    with pytest.raises(ValueError, match=r"voc2012_train\.txt\S*: cannot be written"):
        write_splits(tmp_path)


def test_without_vocs_lists_there_are_none(site: Site, tmp_path: Path) -> None:
    get(site.offer_sets()["sbd"], tmp_path, quiet)
    VOC.target(tmp_path).mkdir(parents=True)
    assert write_splits(tmp_path) == {}
    assert not (SBD.target(tmp_path) / "voc2012_train.txt").exists()
