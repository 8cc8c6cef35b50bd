from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from instancefcn.data.images import image_size, read_image, read_labels, to_rgb

HEIGHT, WIDTH = 20, 30
ORIENTATION = 0x0112


@pytest.fixture
def rgb() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def one_line_error(read: Callable[[], object], path: Path) -> str:
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: ") as info:
        read()
    message = str(info.value)
    assert "\n" not in message
    assert ";" in message, "the way out"
    return message


# Files that are images.


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "ppm"])
def test_rgb_files_come_back_as_they_were(
    tmp_path: Path, rgb: NDArray[np.uint8], suffix: str
) -> None:
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(rgb).save(path)
    image = read_image(path)
    np.testing.assert_array_equal(image, rgb)
    assert image.flags.writeable
    assert image_size(str(path)) == (HEIGHT, WIDTH)


def test_a_jpeg_comes_back_nearly_as_it_was(tmp_path: Path) -> None:
    Image.new("RGB", (WIDTH, HEIGHT), (200, 100, 50)).save(tmp_path / "x.jpg", quality=95)
    image = read_image(tmp_path / "x.jpg")
    np.testing.assert_allclose(image, np.full((HEIGHT, WIDTH, 3), (200, 100, 50)), atol=3)


def test_grey_becomes_three_equal_channels(tmp_path: Path, rgb: NDArray[np.uint8]) -> None:
    Image.fromarray(rgb[..., 0]).save(tmp_path / "x.png")
    np.testing.assert_array_equal(read_image(tmp_path / "x.png"), rgb[..., [0, 0, 0]])


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_grey_of_more_than_8_bits_is_scaled_by_the_bits_it_uses(tmp_path: Path, bits: int) -> None:
    white = 2**bits - 1
    grey = np.array([[0, round(white / 255), round(white * 100 / 255), white]])
    for dtype, suffix in ((np.uint16, "png"), (np.uint16, "tif"), (np.int32, "tif")):
        Image.fromarray(grey.astype(dtype)).save(tmp_path / f"x.{suffix}")
        image = read_image(tmp_path / f"x.{suffix}")
        np.testing.assert_array_equal(image[0, :, 1], [0, 1, 100, 255])
    np.testing.assert_array_equal(to_rgb(grey.astype(np.uint16))[0, :, 2], [0, 1, 100, 255])


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
@pytest.mark.parametrize("name", ["x.png", "raw.tif", "packed.tif"])
def test_colours_are_scaled_by_the_bits_they_use(tmp_path: Path, name: str, bits: int) -> None:
    white = 2**bits - 1
    colours = np.random.default_rng(bits).integers(0, white + 1, (HEIGHT, WIDTH, 3))
    colours[0, 0] = white
    packed = [cv2.IMWRITE_TIFF_COMPRESSION, 8 if name == "packed.tif" else 1]
    bgr = np.ascontiguousarray(colours.astype(np.uint16)[..., ::-1])
    assert cv2.imwrite(str(tmp_path / name), bgr, packed if name != "x.png" else [])
    found = read_image(tmp_path / name)
    np.testing.assert_array_equal(found, (colours * 255 + white // 2) // white)


def test_16_bits_are_rounded_to_8(tmp_path: Path) -> None:
    every = np.arange(65536, dtype=np.uint16)[None]
    np.testing.assert_array_equal(to_rgb(every)[0, :, 0], np.rint(every[0] / 257))


def test_32_bit_grey_counts_as_16_bit(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    for beyond in (65536, -1):
        Image.fromarray(np.array([[0, beyond]], np.int32)).save(path)
        assert "65535" in one_line_error(partial(read_image, path), path)


def test_floating_grey_goes_from_0_to_1(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 0.5, 1]], np.float32)).save(tmp_path / "x.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "x.tif")[0, :, 0], [0, 128, 255])
    Image.fromarray(np.array([[0, 300]], np.float32)).save(tmp_path / "x.tif")
    path = tmp_path / "x.tif"
    assert "0 to 1" in one_line_error(partial(read_image, path), path)
    Image.fromarray(np.array([[-98, 138]], np.float32)).save(path)
    assert "subtract its minimum, then divide" in one_line_error(partial(read_image, path), path)


def test_cmyk_is_converted(tmp_path: Path) -> None:
    Image.new("CMYK", (WIDTH, HEIGHT), (0, 255, 255, 0)).save(tmp_path / "x.jpg", quality=95)
    image = read_image(tmp_path / "x.jpg")
    np.testing.assert_allclose(image, np.full((HEIGHT, WIDTH, 3), (255, 0, 0)), atol=5)


def test_a_palette_is_looked_up(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "x.png")
    np.testing.assert_array_equal(read_image(tmp_path / "x.png")[0], [[10, 20, 30], [200, 100, 50]])


def test_one_bit_is_black_and_white(tmp_path: Path) -> None:
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "x.png")
    np.testing.assert_array_equal(read_image(tmp_path / "x.png")[0], [[255] * 3, [0] * 3])


def test_what_is_transparent_shows_white(tmp_path: Path) -> None:
    rgba = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 0, 0, 51]]], np.uint8)
    Image.fromarray(rgba).save(tmp_path / "rgba.png")
    expected = [[10, 20, 30], [255, 255, 255], [204, 204, 204]]
    np.testing.assert_array_equal(read_image(tmp_path / "rgba.png")[0], expected)

    grey = np.array([[[10, 255], [10, 0]]], np.uint8)
    Image.merge("LA", [Image.fromarray(grey[..., c]) for c in (0, 1)]).save(tmp_path / "la.png")
    np.testing.assert_array_equal(read_image(tmp_path / "la.png")[0], [[10] * 3, [255] * 3])

    palette = Image.new("P", (2, 1), 1)
    palette.putpalette([10, 20, 30, 200, 100, 50])
    palette.putpixel((0, 0), 0)
    palette.save(tmp_path / "p.png", transparency=bytes([255, 0]))
    np.testing.assert_array_equal(read_image(tmp_path / "p.png")[0], [[10, 20, 30], [255] * 3])


@pytest.mark.parametrize("suffix", ["png", "tif", "webp", "jpg"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_the_image_upright(tmp_path: Path, suffix: str, orientation: int) -> None:
    quarters = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    quarters[:10, :15] = 255
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(quarters).save(path, exif=exif)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    np.testing.assert_array_equal(read_image(path), expected)
    assert image_size(path) == expected.shape[:2]
    assert (image_size(path) == (WIDTH, HEIGHT)) == (orientation >= 5)


def test_xmp_turns_a_tiff_upright_once(tmp_path: Path) -> None:
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[:10, :15] = 255
    tags = ImageFileDirectory_v2()
    tags[700] = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description '
        b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></x:xmpmeta>'
    )
    Image.fromarray(pixels).save(tmp_path / "xmp.tif", tiffinfo=tags)
    tags[ORIENTATION] = 6
    Image.fromarray(pixels).save(tmp_path / "both.tif", tiffinfo=tags)
    for name in ("xmp.tif", "both.tif"):
        np.testing.assert_array_equal(read_image(tmp_path / name), np.rot90(pixels, -1))
        assert image_size(tmp_path / name) == (WIDTH, HEIGHT)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("exif", [b"Exif\0\0" + b"garbage" * 10, b"Exif\0\0II*\0\x08\0\0\0"])
def test_exif_that_says_nothing_turns_nothing(tmp_path: Path, exif: bytes) -> None:
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "x.jpg", exif=exif)
    assert read_image(tmp_path / "x.jpg").shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize("size", [(1, 1), (1, HEIGHT), (WIDTH, 1), (1, 5000)])
def test_an_image_may_be_one_pixel_wide(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size).save(tmp_path / "x.png")
    assert read_image(tmp_path / "x.png").shape == (size[1], size[0], 3)


def test_an_animation_shows_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(read_image(tmp_path / "x.gif")[0, 0], [255, 0, 0])


def test_a_file_of_several_pages_shows_its_first_and_says_so(tmp_path: Path) -> None:
    pages = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue", "blue")]
    pages[0].save(tmp_path / "x.tif", save_all=True, append_images=pages[1:])
    with pytest.warns(UserWarning, match="x.tif: a file of several pages, the first is used"):
        image = read_image(tmp_path / "x.tif")
    np.testing.assert_array_equal(image[0, 0], [255, 0, 0])


def test_an_image_is_converted_in_bands_as_in_one_piece(rgb: NDArray[np.uint8]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("instancefcn.data.images.BAND_PIXELS", 3 * WIDTH)
        for image in (Image.fromarray(rgb).convert(mode) for mode in ("L", "LA", "P", "CMYK")):
            expected = np.asarray(image.convert("RGB"))
            np.testing.assert_array_equal(to_rgb(image), expected)
        np.testing.assert_array_equal(to_rgb(rgb / 255), rgb)


def test_100_megapixels_are_read_without_a_warning(tmp_path: Path) -> None:
    Image.new("L", (10_000, 10_000)).save(tmp_path / "x.png", compress_level=1)
    assert read_image(tmp_path / "x.png").shape == (10_000, 10_000, 3)


def test_more_than_200_megapixels_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    Image.new("1", (20_000, 10_000)).save(path)
    assert image_size(path) == (10_000, 20_000)
    Image.new("1", (20_000, 10_001)).save(path)
    assert "20000 x 10001" in one_line_error(partial(image_size, path), path)
    assert "200 megapixels" in one_line_error(partial(read_image, path), path)


def test_threads_read_at_once_and_pillows_own_limit_is_left_alone(tmp_path: Path) -> None:
    limit = Image.MAX_IMAGE_PIXELS
    paths = [tmp_path / f"{i}.png" for i in range(20)]
    for path in paths:
        Image.new("RGB", (8, 8)).save(path)
    with ThreadPoolExecutor(8) as pool:
        assert len(list(pool.map(read_image, paths))) == 20
    assert limit == Image.MAX_IMAGE_PIXELS


# Files that are not.


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "x.png", tmp_path, tmp_path / ("x" * 5000)):
        assert "no such file" in one_line_error(partial(read_image, path), path)


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.touch()
    assert "empty" in one_line_error(partial(read_image, path), path)


def test_a_file_that_is_not_an_image(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    path.write_text("a,b\n1,2\n" * 100)
    assert "not an image" in one_line_error(partial(read_image, path), path)
    assert "not an image" in one_line_error(partial(image_size, path), path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp", "bmp", "gif"])
@pytest.mark.parametrize("part", [0.05, 0.5, 0.9])
def test_a_truncated_file(tmp_path: Path, rgb: NDArray[np.uint8], suffix: str, part: float) -> None:
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(rgb).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    one_line_error(partial(read_image, path), path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp", "bmp", "gif"])
def test_damage_anywhere_never_raises_anything_else(
    tmp_path: Path, rgb: NDArray[np.uint8], suffix: str
) -> None:
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(rgb).save(path)
    content, random = path.read_bytes(), Random(0)
    for _ in range(50):
        damaged = bytearray(content)
        for _ in range(random.randint(1, 8)):
            damaged[random.randrange(min(200, len(damaged)))] = random.randrange(256)
        path.write_bytes(damaged)
        with suppress(ValueError):
            assert read_image(path).dtype == np.uint8


# Arrays and PIL images.


def test_an_rgb_array_is_returned_as_is(rgb: NDArray[np.uint8]) -> None:
    assert to_rgb(rgb) is rgb


def test_arrays_of_other_types_are_scaled(rgb: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(to_rgb(rgb.astype(np.uint16) * 257), rgb)
    np.testing.assert_array_equal(to_rgb(rgb / 255), rgb)
    np.testing.assert_array_equal(to_rgb((rgb / 255).astype(np.float32)), rgb)
    np.testing.assert_array_equal(to_rgb(rgb > 99), (rgb > 99) * np.uint8(255))
    assert to_rgb(rgb / 255).dtype == np.uint8


def test_arrays_of_other_shapes_get_three_channels(rgb: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(to_rgb(rgb[..., 1]), rgb[..., [1, 1, 1]])
    np.testing.assert_array_equal(to_rgb(rgb[..., 1:2]), rgb[..., [1, 1, 1]])
    opaque = np.dstack([rgb, np.full((HEIGHT, WIDTH), 255, np.uint8)])
    np.testing.assert_array_equal(to_rgb(opaque), rgb)
    np.testing.assert_array_equal(to_rgb(opaque[::2, ::-1]), rgb[::2, ::-1])
    opaque[..., 3] = 0
    assert (to_rgb(opaque) == 255).all()


def test_a_pil_image_is_taken_as_it_lies(tmp_path: Path, rgb: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(to_rgb(Image.fromarray(rgb)), rgb)
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    Image.fromarray(rgb).save(tmp_path / "x.png", exif=exif)
    with Image.open(tmp_path / "x.png") as image:
        np.testing.assert_array_equal(to_rgb(image), rgb)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "YCbCr", "HSV", "I"])
def test_pil_images_of_any_mode_become_rgb(mode: str) -> None:
    black = Image.new("RGB", (3, 2)).convert("L" if mode in ("I", "LA") else "RGB").convert(mode)
    np.testing.assert_array_equal(to_rgb(black), np.zeros((2, 3, 3), np.uint8))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((0, 5), np.uint8), "shape"),
        (np.zeros((5, 0, 3), np.uint8), "shape"),
        (np.zeros(5, np.uint8), "shape"),
        (np.zeros((3, 8, 9), np.uint8), "channels come last"),
        (np.zeros((1, 2, 2, 3), np.uint8), "shape"),
        (np.zeros((2, 2), np.int64), "int64; convert it"),
        (np.zeros((2, 2), np.complex64), "complex64"),
        (np.full((2, 2), 1.1), "0 to 1"),
        (np.full((2, 2), -0.1), "0 to 1"),
        (np.full((2, 2), np.nan), "0 to 1"),
    ],
)
def test_arrays_that_are_no_image_are_refused(array: NDArray[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as info:
        to_rgb(array)
    assert "\n" not in str(info.value)


# Label maps.


def test_labels_are_a_palettes_indices_not_its_colours(tmp_path: Path) -> None:
    labels = np.array([[0, 1, 255], [2, 2, 0]], np.uint8)
    image = Image.fromarray(labels)
    image.putpalette(list(range(255, -1, -1)) * 3)
    image.save(tmp_path / "palette.png")
    Image.fromarray(labels).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "palette.png"), labels)
    np.testing.assert_array_equal(read_labels(tmp_path / "grey.png"), labels)


def test_labels_of_16_bits_keep_their_values(tmp_path: Path) -> None:
    labels = np.array([[0, 1, 255, 256], [300, 65535, 7, 8]], np.uint16)
    for suffix in ("png", "tif"):
        Image.fromarray(labels).save(tmp_path / f"x.{suffix}")
        found = read_labels(tmp_path / f"x.{suffix}")
        assert found.dtype == np.uint16
        np.testing.assert_array_equal(found, labels)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "1", "LA"])
def test_labels_have_one_channel(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "x.png"
    Image.new(mode, (3, 2)).save(path)
    assert mode in one_line_error(partial(read_labels, path), path)
