"""What is opened, and how much memory a file may take, however small it is."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import SpooledTemporaryFile

import numpy as np
import pytest
from PIL import Image

from instancefcn.core.errors import UserError
from instancefcn.data.image_files import AnyFile, laid_down
from instancefcn.data.images import image_size, read_image, read_labels

LIMIT = 30_000_000
"""Bytes, for the files that are measured: small ones, so that the test is quick."""

MEASURE = """
import json, sys
from pathlib import Path
from instancefcn.core.errors import UserError
from instancefcn.data.images import read_image

def memory(line):
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split(line + ":")[1].split()[0])

read_image(sys.argv[1])
peaks = {}
for path in sys.argv[1:]:
    file = GIVEN
    Path("/proc/self/clear_refs").write_text("5")
    before = memory("VmHWM")
    try:
        shape = read_image(file).shape
    except UserError as error:
        shape = str(error)
    peaks[Path(path).name] = [shape, memory("VmHWM") - before]
print(json.dumps(peaks))
"""


def error_of(path: Path) -> str:
    messages = []
    for read in (read_image, image_size, read_labels):
        with pytest.raises(UserError, match=f"^{re.escape(str(path))}: .*; ") as info:
            read(path)
        messages.append(str(info.value))
    assert len(set(messages)) == 1
    assert "\n" not in messages[0]
    return messages[0]


def tiff(path: Path, width: int, height: int, **tags: int) -> Path:
    """A grey TIFF without pixels: tags by number, of one long each."""
    entries = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 277: 1}
    entries |= {int(name[1:]): value for name, value in tags.items()}
    body = b"".join(struct.pack("<HHII", tag, 4, 1, entries[tag]) for tag in sorted(entries))
    path.write_bytes(b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + body + bytes(4))
    return path


def write_good_files(folder: Path) -> list[Path]:
    """One of each format and of each mode that takes another way, all of them just small enough."""
    noise = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    rgb = Image.fromarray(noise).resize((1200, 1200))
    large = Image.fromarray(noise).resize((2000, 2000))
    grey = large.convert("L")
    alpha = large.convert("RGBA")
    alpha.putalpha(grey)
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    images = {
        "rgb.png": large, "grey.png": grey, "la.png": alpha.convert("LA"), "rgba.png": alpha,
        "16.png": deep, "palette.gif": large.convert("P"), "rgb.jpg": large, "rgb.bmp": large,
        "rgb.ppm": large, "raw.tif": large.resize((1900, 1900)), "16.tif": deep,
        "f.tif": Image.new("F", (1900, 1900), 0.5),
    }  # fmt: skip
    for name, image in images.items():
        image.save(folder / name, compress_level=1) if "png" in name else image.save(folder / name)
    half = large.resize((1700, 1700))
    half.save(folder / "progressive.jpg", progressive=True, subsampling=0)
    half.save(folder / "packed.tif", compression="tiff_adobe_deflate")
    exif = Image.Exif()
    exif[0x0112] = 6
    large.save(folder / "turned.jpg", exif=exif)
    rgb.save(folder / "rgb.webp")
    rgb.save(folder / "rgb.jp2")
    if ".avif" in Image.registered_extensions():
        rgb.save(folder / "rgb.avif", speed=10)
    return sorted(folder.iterdir())


def write_attacks(folder: Path) -> list[Path]:
    """Small files that are decoded into much; most were taken before there was a limit."""
    Image.new("L", (5000, 5000)).save(folder / "bomb.png")
    Image.new("LA", (2200, 2200)).save(folder / "la_bomb.png")
    Image.new("RGB", (2200, 2200)).save(folder / "bomb.webp")
    Image.new("RGB", (1300, 1300)).save(folder / "bomb.jp2")
    tiff(folder / "tile.tif", 64, 64, _322=30_000, _323=30_000, _324=8, _325=100)
    header = struct.pack("<2sIHHIIII", b"BM", 26, 0, 0, 26, 40, 200_000, 200_000)
    (folder / "bomb.bmp").write_bytes(header + struct.pack("<HHIIIIII", 1, 24, 0, 0, 0, 0, 0, 0))
    return sorted(folder.iterdir())


@pytest.mark.parametrize("given", ["path", "Path(path).read_bytes()"])
def test_no_file_takes_more_memory_than_the_limit(tmp_path: Path, given: str) -> None:
    (tmp_path / "good").mkdir()
    (tmp_path / "attacks").mkdir()
    good, attacks = write_good_files(tmp_path / "good"), write_attacks(tmp_path / "attacks")
    done = subprocess.run(
        [sys.executable, "-c", MEASURE.replace("GIVEN", given), *map(str, good + attacks)],
        env={**os.environ, "INSTANCEFCN_MAX_BYTES": str(LIMIT)},
        check=True,
        capture_output=True,
        text=True,
    )
    peaks = json.loads(done.stdout)
    for path in good:
        shape, peak = peaks[path.name]
        assert shape[2] == 3, (path.name, shape)
        assert peak < LIMIT + 5_000_000 + path.stat().st_size, path.name
    for path in attacks:
        message, peak = peaks[path.name]
        assert "INSTANCEFCN_MAX_" in message, path.name
        assert peak < 5_000_000, path.name


def test_formats_that_decode_while_they_open_or_start_programs_are_not_images(
    tmp_path: Path,
) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.ico")
    Image.new("RGB", (8, 8)).save(tmp_path / "b.eps")
    Image.new("RGB", (8, 8)).save(tmp_path / "c.icns")
    for path in sorted(tmp_path.iterdir()):
        renamed = path.rename(path.with_suffix(".jpg"))
        assert "not an image" in error_of(renamed)


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"\0\0\0\x1cftypheic\0\0\0\0mif1", "HEIC"),
        (b"\xff\x0a\xfa\x7f", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"8BPS\0\1", "PSD"),
    ],
)
def test_photos_of_kinds_that_are_not_read_are_called_by_their_names(
    start: bytes, name: str, tmp_path: Path
) -> None:
    (tmp_path / "x.jpg").write_bytes(start + bytes(100))
    assert error_of(tmp_path / "x.jpg").endswith(f"x.jpg: {name} is not read; convert to JPEG")


def test_a_limit_says_how_it_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.png"
    Image.new("L", (400, 300)).save(path)
    monkeypatch.setattr("instancefcn.data.image_files.MAX_PIXELS", 120_000)
    monkeypatch.setattr("instancefcn.data.image_files.MAX_BYTES", 480_000)
    assert read_image(path).shape == (300, 400, 3)
    monkeypatch.setattr("instancefcn.data.image_files.MAX_BYTES", 479_999)
    assert "INSTANCEFCN_MAX_BYTES=480000" in error_of(path)
    monkeypatch.setattr("instancefcn.data.image_files.MAX_PIXELS", 119_999)
    assert "400 x 300" in error_of(path)
    assert "INSTANCEFCN_MAX_PIXELS=120000" in error_of(path)


def test_tiffs_of_a_rare_kind_are_named(tmp_path: Path) -> None:
    floating = tiff(tmp_path / "f.tif", 8, 8, _258=64, _339=3, _273=8, _279=64)
    assert "1 channel of 64-bit floating values" in error_of(floating)
    five = tiff(tmp_path / "five.tif", 8, 8, _277=5, _273=8, _279=64)
    assert "5 channels of 8-bit unsigned values" in error_of(five)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_array_laid_down_and_turned_upright_is_itself(orientation: int) -> None:
    upright = np.arange(12).reshape(3, 4)
    lying = Image.fromarray(laid_down(upright, orientation).astype(np.uint8))
    turns: dict[int, Image.Transpose] = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    turned = lying.transpose(turns[orientation]) if orientation > 1 else lying
    np.testing.assert_array_equal(np.asarray(turned), upright)


def test_all_ways_to_read_refuse_alike(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    for content in (b"P", b"GIF89a", b"II*\0", b"\xff\xd8\xff", b"RIFF", b"BM" + bytes(99)):
        path.write_bytes(content)
        error_of(path)


# --- Files given as bytes, or open


@pytest.fixture
def ways(tmp_path: Path) -> Iterator[Callable[[bytes], list[AnyFile]]]:
    """A file of this content, x.png, given in each way; open ones have been read to their ends."""
    with ExitStack() as opened:

        def given(content: bytes) -> list[AnyFile]:
            path = tmp_path / "x.png"
            path.write_bytes(content)
            stream = opened.enter_context(path.open("rb"))
            upload = opened.enter_context(SpooledTemporaryFile(len(content) + 1))
            upload.write(stream.read())
            return [path, stream, content, upload]

        yield given


def test_a_file_is_read_however_it_is_given(
    tmp_path: Path, ways: Callable[[bytes], list[AnyFile]]
) -> None:
    """Of every format and mode: Pillow maps some files into memory, if it knows their paths."""
    (tmp_path / "good").mkdir()
    for path in write_good_files(tmp_path / "good"):
        expected = read_image(path)
        for file in ways(path.read_bytes())[1:]:
            np.testing.assert_array_equal(read_image(file), expected)
            assert image_size(file) == expected.shape[:2]
            assert not getattr(file, "closed", False)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty; copy or export it again"),
        (b"no image at all", "not an image; give a JPEG, PNG, TIFF, WebP or BMP"),
        (b"\x89PNG\r\n\x1a\n", "a broken PNG"),
    ],
)
def test_what_is_no_image_is_told_alike_however_it_is_given(
    tmp_path: Path, ways: Callable[[bytes], list[AnyFile]], content: bytes, words: str
) -> None:
    names = [str(tmp_path / "x.png")] * 2 + ["an image given as bytes"] * 2
    for file, name in zip(ways(content), names, strict=True):
        with pytest.raises(UserError, match=r"; copy or export|; give") as info:
            read_image(file)
        assert str(info.value).startswith(f"{name}: {words}")
        assert "\n" not in str(info.value)


def test_a_file_that_is_not_open_for_bytes_is_told_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    Image.new("RGB", (4, 4)).save(path)
    with path.open("r", encoding="latin-1") as text, pytest.raises(UserError) as info:
        read_image(text)  # type: ignore[arg-type]
    assert str(info.value) == f'{path}: a file opened as text; open it with open(path, "rb")'
    with subprocess.Popen(["cat", path], stdout=subprocess.PIPE) as process:
        assert process.stdout
        with pytest.raises(UserError, match=r"^an image given as bytes: it .*; give its bytes"):
            read_image(process.stdout)
        assert read_image(process.stdout.read()).shape == (4, 4, 3)
