"""Image files of every mode and depth: read without loss of range, or refused in words."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from harness.training.data.arrays import load_summary
from harness.training.data.pool import load_pool
from harness.training.errors import DataError
from tests.training import data_files as files
from tests.training.conftest import forget_data

pytestmark = pytest.mark.usefixtures("empty_cache")

Array = NDArray[Any]

GREY = np.array([[0, 90, 180], [30, 120, 255]], np.uint8)
COLOUR = np.stack([GREY, GREY[::-1], GREY // 2], axis=2)
DEEP = GREY.astype(np.uint16) * 257 - GREY // 50  # no multiple of 257, so that 8 bits could not hold it


def encoded(image: Image.Image, image_format: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


def png(pixels: Array, bits: int, colour_type: int) -> bytes:
    """A PNG as PIL cannot write it: several channels of 16 bits."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], bits, colour_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(f">u{bits // 8}").tobytes() for row in pixels)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff(pixels: Array, photometric: int, sample_format: int) -> bytes:
    """A TIFF as PIL cannot write it; tags: white is zero 0, black is zero 1, RGB 2; unsigned 1, signed 2."""
    height, width, channels = (*pixels.shape, 1)[:3]
    bits, data = 8 * pixels.dtype.itemsize, pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    data += bytes(-len(data) % 2)
    more = struct.pack(f"<{channels}H", *[bits] * channels)  # what does not fit into a tag's own four bytes
    in_tag = channels == 1
    tags = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, channels, bits if in_tag else 8 + len(data)), (259, 3, 1, 1),
        (262, 3, 1, photometric), (273, 4, 1, 8), (277, 3, 1, channels), (278, 4, 1, height),
        (279, 4, 1, pixels.nbytes), (284, 3, 1, 1), (339, 3, 1, sample_format),
    ]  # fmt: skip
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + len(data) + len(more)) + data + more + directory


def jpeg_2000_of_12_bits() -> bytes:
    """A JPEG 2000 in colour whose header says 12 bits for each channel."""
    content = bytearray(encoded(Image.fromarray(COLOUR), "JPEG2000", no_jp2=True))
    for channel in range(3):
        content[42 + 3 * channel] = 11
    return bytes(content)


def stored(folder: Path, *contents: bytes, **settings: Any) -> Array:
    """The training images [N, channels, height, width] of a set of these files, each named `N.img`."""
    for part in ("train", "test"):
        for name in ("cat", "dog"):
            (folder / part / name).mkdir(parents=True, exist_ok=True)
            for number, content in enumerate(contents):
                (folder / part / name / f"{number}.img").write_bytes(content)
    forget_data()
    pool = load_pool(files.config(f"folder:{folder}", **settings))
    return pool.pixels.stored[: len(contents)].numpy()


def one(folder: Path, content: bytes, **settings: Any) -> Array:
    """An image [height, width] or [height, width, channels] as it is stored."""
    [image] = stored(folder, content, **settings)
    return image[0] if len(image) == 1 else image.transpose(1, 2, 0)


def palette_image() -> Image.Image:
    image = Image.fromarray(np.array([[0, 1, 2], [2, 1, 0]], np.uint8), "P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    return image


PALETTE = np.array([[[10, 20, 30], [40, 50, 60], [70, 80, 90]], [[70, 80, 90], [40, 50, 60], [10, 20, 30]]])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (encoded(Image.fromarray(GREY)), GREY),
        (encoded(Image.fromarray(GREY), "TIFF"), GREY),
        (encoded(Image.fromarray(GREY > 100)), np.where(GREY > 100, 255, 0)),
        (encoded(Image.fromarray(COLOUR)), COLOUR),
        (encoded(Image.fromarray(COLOUR), "BMP"), COLOUR),
        (encoded(Image.fromarray(COLOUR), "PPM"), COLOUR),
        (encoded(Image.fromarray(COLOUR), "WEBP", lossless=True), COLOUR),
        (encoded(Image.fromarray(COLOUR), "JPEG2000"), COLOUR),
        (encoded(palette_image()), PALETTE),
        (encoded(palette_image(), "GIF"), PALETTE),
        (encoded(Image.fromarray(COLOUR).convert("CMYK"), "TIFF"), COLOUR),
        (encoded(Image.fromarray(DEEP)), DEEP),
        (encoded(Image.fromarray(DEEP), "TIFF"), DEEP),
        (encoded(Image.frombytes("I;16B", (3, 2), DEEP.astype(">u2").tobytes()), "TIFF"), DEEP),
        (encoded(Image.fromarray(DEEP), "JPEG2000"), DEEP),
        (b"P5 3 2 65535\n" + DEEP.astype(">u2").tobytes(), DEEP),
        (b"P5 3 2 4095\n" + (DEEP // 16).astype(">u2").tobytes(), np.rint(DEEP // 16 * (65535 / 4095))),
        (tiff(DEEP, 1, 1), DEEP),
        (tiff(DEEP.astype(np.int16) // 2, 1, 2), DEEP.astype(np.int16) // 2),
        (encoded(Image.fromarray(DEEP.astype(np.int32) - 30_000), "TIFF"), DEEP.astype(np.int32) - 30_000),
        (encoded(Image.fromarray(DEEP / np.float32(7)), "TIFF"), DEEP / np.float32(7)),
        (b"Pf\n3 2\n-1.0\n" + (DEEP[::-1] / np.float32(7)).astype("<f4").tobytes(), DEEP / np.float32(7)),
    ],
)  # fmt: skip
def test_every_depth_is_read_whole(tmp_path: Path, content: bytes, expected: Array) -> None:
    image = one(tmp_path, content)
    assert image.dtype == (np.uint8 if expected.max() <= 255 else np.float32)
    assert np.array_equal(image, expected)


def test_colour_of_other_spaces_is_read_as_rgb(tmp_path: Path) -> None:
    uniform = np.full((8, 8, 3), (200, 30, 90), np.uint8)
    for mode, image_format in (("YCbCr", "TIFF"), ("YCbCr", "JPEG"), ("CMYK", "JPEG")):
        content = encoded(Image.fromarray(uniform).convert(mode), image_format)
        assert np.abs(one(tmp_path, content).astype(int) - uniform).max() <= 3, mode  # of JPEG's rounding


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (png(np.repeat(DEEP[..., None], 3, 2), 16, 2), "expected 8 bits for each colour, got more, .*; save it with 8"),
        (png(np.repeat(DEEP[..., None], 4, 2), 16, 6), "expected 8 bits for each colour, got more"),
        (png(np.repeat(DEEP[..., None], 2, 2), 16, 4), "expected 8 bits for each colour, got more"),
        (tiff(np.repeat(DEEP[..., None], 3, 2), 2, 1), "expected 8 bits for each colour, got more"),
        (b"P6 3 2 65535\n" + np.repeat(DEEP[..., None], 3, 2).astype(">u2").tobytes(), "expected 8 bits for each"),
        (jpeg_2000_of_12_bits(), "expected 8 bits for each colour, got more, .*; save it with 8"),
        (encoded(Image.new("LAB", (3, 2)), "TIFF"), "got the colour space LAB; save it as RGB"),
        (tiff((GREY // 2).astype(np.int8), 1, 2), "expected 8 bits from 0 to 255, got signed ones; save it unsigned"),
        (tiff(DEEP, 0, 1), "expected 16 bits with black as 0, got white as 0"),
        (tiff(DEEP.astype(np.uint32) * 60_000, 1, 1), "expected whole numbers up to 16,777,216, got larger ones"),
        (tiff(np.full((2, 3), 2**32 - 5, np.uint32), 1, 1), "expected whole numbers up to 16,777,216, got larger ones"),
        (encoded(Image.fromarray(np.full((2, 3), np.nan, np.float32)), "TIFF"), "nan"),
    ],
)
def test_what_pil_would_cut_or_turn_over_is_refused_in_words(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(DataError, match=words):
        stored(tmp_path, content)


def test_16_bits_are_trained_on_as_their_copy_of_8_bits_is(tmp_path: Path) -> None:
    images = [files.pictures(1, 6, 5, seed=seed)[0] for seed in range(3)]
    inputs = []
    for depth, scale in (("8", 1), ("16", 257)):
        typed = [(image * scale if scale == 1 else image.astype(np.uint16) * 257) for image in images]
        stored(tmp_path / depth, *(encoded(Image.fromarray(image)) for image in typed))
        inputs.append(load_pool(files.config(f"folder:{tmp_path / depth}")).inputs)
    assert torch.allclose(*inputs, atol=1e-5)


class TestOneScale:
    def test_8_bits_beside_16_are_brought_onto_their_scale(self, tmp_path: Path) -> None:
        small, deep, colour = (encoded(Image.fromarray(pixels)) for pixels in (GREY, DEEP, COLOUR))
        images = stored(tmp_path, small, deep, colour)
        assert np.array_equal(images[0], np.stack([GREY.astype(int) * 257] * 3))
        assert np.array_equal(images[1], np.stack([DEEP] * 3))
        assert np.array_equal(images[2], COLOUR.astype(int).transpose(2, 0, 1) * 257)
        summary = load_summary(files.config(f"folder:{tmp_path}"))
        assert "8 files of 8 bits brought onto the scale of the 16 bits of the others" in summary.remarks

    def test_parts_of_8_and_of_16_bits_are_on_one_scale(self, tmp_path: Path) -> None:
        stored(tmp_path, encoded(Image.fromarray(GREY)))
        for name in ("cat", "dog"):
            (tmp_path / "test" / name / "0.img").write_bytes(encoded(Image.fromarray(DEEP)))
        forget_data()
        pool = load_pool(files.config(f"folder:{tmp_path}"))
        assert np.array_equal(pool.pixels.stored[0, 0].numpy(), GREY.astype(int) * 257)

    def test_real_numbers_beside_others_are_refused_in_words(self, tmp_path: Path) -> None:
        real, grey = encoded(Image.fromarray(GREY / np.float32(255)), "TIFF"), encoded(Image.fromarray(GREY))
        with pytest.raises(DataError, match=r"images of one depth, got 4 8 bits, 4 real numbers, which have no common"):
            stored(tmp_path, real, grey)


class TestTransparency:
    def layers(self, mode: str, colour: int) -> Image.Image:
        """An image whose picture is in its alpha channel alone."""
        grey = Image.fromarray(np.full_like(GREY, colour))
        image = grey.convert(mode)
        image.putalpha(Image.fromarray(GREY))
        return image

    @pytest.mark.parametrize("mode", ["LA", "RGBA"])
    @pytest.mark.parametrize("image_format", ["PNG", "TIFF"])
    def test_a_picture_in_the_alpha_channel_is_seen(self, tmp_path: Path, mode: str, image_format: str) -> None:
        dark = one(tmp_path / "dark", encoded(self.layers(mode, 0), image_format)).astype(int)
        light = one(tmp_path / "light", encoded(self.layers(mode, 255), image_format)).astype(int)
        expected = GREY.astype(int) if mode == "LA" else np.stack([GREY.astype(int)] * 3, axis=2)
        assert np.array_equal(dark, 255 - expected)  # on white
        assert np.array_equal(light, expected)  # on black, as white would hide it

    @pytest.mark.parametrize("alpha", [0, 255])
    def test_an_alpha_channel_that_shows_all_or_nothing_is_left_out(self, tmp_path: Path, alpha: int) -> None:
        image = Image.fromarray(COLOUR)
        image.putalpha(alpha)
        assert np.array_equal(one(tmp_path, encoded(image)), COLOUR)

    @pytest.mark.parametrize("image_format", ["PNG", "GIF"])
    def test_a_transparent_entry_of_a_palette_is_white(self, tmp_path: Path, image_format: str) -> None:
        image = one(tmp_path, encoded(palette_image(), image_format, transparency=1))
        expected = np.where((PALETTE == (40, 50, 60)).all(2, keepdims=True), 255, PALETTE)
        assert np.array_equal(image, expected)

    def test_a_transparent_grey_level_or_colour_is_white(self, tmp_path: Path) -> None:
        grey = one(tmp_path / "grey", encoded(Image.fromarray(GREY), transparency=90))
        assert np.array_equal(grey, np.where(GREY == 90, 255, GREY))
        colour = one(tmp_path / "colour", encoded(Image.fromarray(COLOUR), transparency=tuple(map(int, COLOUR[0, 0]))))
        assert np.array_equal(colour[0, 0], (255, 255, 255))
        assert np.array_equal(colour[1], COLOUR[1])


class TestExif:
    @pytest.mark.parametrize("image_format", ["PNG", "TIFF", "WEBP"])
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_images_are_turned_as_viewers_show_them(self, tmp_path: Path, image_format: str, orientation: int) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        options = {"lossless": True} if image_format == "WEBP" else {}
        image = one(tmp_path, encoded(Image.fromarray(COLOUR), image_format, exif=exif, **options))
        # From the definition (TIFF 6.0): which side of the picture the first row and the first column are.
        turned = [
            COLOUR, COLOUR[:, ::-1], COLOUR[::-1, ::-1], COLOUR[::-1], COLOUR.transpose(1, 0, 2),
            np.rot90(COLOUR, -1), COLOUR[::-1, ::-1].transpose(1, 0, 2), np.rot90(COLOUR),
        ]  # fmt: skip
        assert np.array_equal(image, turned[orientation - 1])

    def test_a_phone_s_jpeg_is_turned(self, tmp_path: Path) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        halves = np.zeros((16, 32), np.uint8)
        halves[:, 16:] = 255  # light on the right, so at the bottom once it is turned to the right
        image = one(tmp_path, encoded(Image.fromarray(halves), "JPEG", exif=exif))
        assert image.shape == (32, 16)
        assert image[:16].max() < 20
        assert image[16:].min() > 235

    def test_damaged_exif_data_say_nothing(self, tmp_path: Path) -> None:
        content = encoded(Image.fromarray(GREY), "JPEG", exif=b"Exif\0\0 no exif at all")
        assert one(tmp_path, content).shape == GREY.shape


@pytest.mark.parametrize("image_format", ["GIF", "PNG", "TIFF", "WEBP"])
def test_of_several_pictures_the_first_is_read_and_that_is_said(tmp_path: Path, image_format: str) -> None:
    frames = [Image.new("RGB", (4, 4), (60 * i, 10, 0)) for i in range(1, 4)]
    options = {"lossless": True} if image_format == "WEBP" else {}
    content = encoded(frames[0], image_format, save_all=True, append_images=frames[1:], **options)
    assert (one(tmp_path, content) == (60, 10, 0)).all()
    summary = load_summary(files.config(f"folder:{tmp_path}"))
    assert summary.remarks == ["4 files with several pictures, of which the first is read"]


@pytest.mark.parametrize("pixels", [DEEP, DEEP.astype(np.float32) / 7, GREY], ids=["16 bits", "real", "8 bits"])
def test_every_depth_is_scaled_to_a_size(tmp_path: Path, pixels: Array) -> None:
    contents = [encoded(Image.fromarray(np.full((8, 6), level)), "TIFF") for level in pixels[0]]
    images = stored(tmp_path, *contents, image_size=4)
    assert np.array_equal(images, np.broadcast_to(pixels[0][:, None, None, None], (3, 1, 4, 4)))
