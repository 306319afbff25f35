"""Image files as arrays: whatever PIL recognises by its content, read without loss of range or refused with a reason.

| picture | array |
| --- | --- |
| grey, black and white | uint8 [height, width] |
| colour: RGB, palette, CMYK, YCbCr | uint8 [height, width, 3] |
| transparent | laid over white; over black where white would hide all of it; without its alpha where that hides all |
| grey of 16 bits (of 9 to 15: as stored, in PGM scaled to 16) | uint16 [height, width] |
| grey of 32 bits, real numbers | float32 [height, width], as stored |
| colour of 16 bits, LAB, signed 8 bits, 16 bits with white as zero | refused: PIL would lose bits or turn values over |
| several pictures: animated, pages | the first |
| turned by EXIF | as viewers show it |

In one data set 8 bits are brought onto the scale of 16 where both occur; real numbers have no scale to bring others to.
"""

import errno
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from harness.common.formatting import format_list
from harness.training.data.readers.formats.image_listing import printable
from harness.training.data.readers.raw_part import Array, stack_images
from harness.training.errors import DataError

NOT_PICTURES = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
"""What PIL recognises but cannot decode by itself: data, film, and what another program would have to draw."""
ORIENTATION, PHOTOMETRIC, SAMPLE_FORMAT = 274, 262, 339
"""Tags of EXIF and TIFF."""
WHITE_IS_ZERO, SIGNED = 0, 2
"""Values of these tags."""
EXACT = 2**24
"""Whole numbers up to this are exact in float32."""


class _Refused(ValueError):
    """A picture that cannot be read without loss; the message says what it is and what to do."""


@dataclass(frozen=True)
class ReadImages:
    """Images that were read: their array, which of the files they are, and what there is to say of the others."""

    images: Array  # [N, height, width] or [N, height, width, 3]; uint8, uint16 or float32
    kept: Array  # [N] int64: indices of the files
    remarks: tuple[str, ...]


def read_images(name: str, files: Sequence[Path], size: int, max_pixels: int) -> ReadImages:
    """Read image files into one array, each scaled to `size` × `size` unless that is 0.

    A file that is no image is left out, unless its ending is one of an image. A DataError tells of all broken files.

    Args:
        name: of the data set, with which a DataError about all of them begins.
        max_pixels: limit of height times width; a larger image is refused.
    """
    arrays, kept, broken = [], [], []
    left_out: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    with _pixel_limit(max_pixels):
        for index, file in enumerate(files):
            try:
                array = _read(file, size, counts)
            except DataError as error:
                broken.append((file, error))
                continue
            if array is None:
                left_out[printable(file.suffix.lower()) or "without ending"] += 1
            else:
                arrays.append(array)
                kept.append(index)
    if broken:
        first, *others = broken
        more = f" (as with {format_list((printable(file) for file, _ in others), 4)})" if others else ""
        raise DataError(f"{first[1]}{more}") from first[1]
    remarks = [f"left out, as no images: {_count_words(left_out)}"] if left_out else []
    remarks += [f"{_files(count)} {words}" for words, count in counts.items()]
    if not arrays:
        got = f"none ({remarks[0]})" if remarks else "none"
        raise DataError(f"{name}: expected images in its folders, got {got}; add them")
    scaled = _on_one_scale(name, arrays)
    if scaled is not arrays:
        eight = sum(array.dtype == np.uint8 for array in arrays)
        remarks.append(f"{_files(eight)} of 8 bits brought onto the scale of the 16 bits of the others")
    return ReadImages(stack_images(name, scaled), np.array(kept), tuple(remarks))


def image_array(image: Any, size: int) -> Array:
    """Return a decoded image of PIL as an array, see the table above, scaled to `size` × `size` unless that is 0."""
    from PIL import Image  # takes 0.1 s to import, and folders and torchvision's sets alone need it

    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        array = np.asarray(image).astype(np.uint16)
    elif image.mode in ("I", "F"):
        array = np.asarray(image, np.float32)
    else:
        image = image if image.mode in ("L", "RGB") else image.convert("L" if image.mode == "1" else "RGB")
        return np.asarray(image.resize((size, size), resample=2, reducing_gap=3.0) if size else image)
    if size:
        real = Image.fromarray(array.astype(np.float32)).resize((size, size), resample=2, reducing_gap=3.0)
        array = np.asarray(real).round().astype(array.dtype) if array.dtype == np.uint16 else np.asarray(real)
    return array


def _read(file: Path, size: int, counts: Counter[str]) -> Array | None:
    """The array of an image file; None if it is none. What is remarkable about it is counted."""
    from PIL import Image

    ending = file.suffix.lower()
    too_large = (Image.DecompressionBombError, Image.DecompressionBombWarning)
    # PIL's decoders raise what they please on damaged files, so that each error but those above means such a file.
    try:
        image = Image.open(file, formats=_formats(ending))
    except too_large as error:
        raise _too_large(file) from error
    except Exception as error:
        is_unreadable = isinstance(error, OSError) and error.errno not in (None, errno.ENOENT)
        if ending not in _image_endings() and not is_unreadable:
            return None
        raise _no_image(file, error) from error
    with image:
        try:
            _check_depth(image)
            several = getattr(image, "is_animated", False)
            image.load()
            _check_whole_numbers(image)
            array = image_array(_without_alpha(_turned(image)), size)
        except too_large as error:
            raise _too_large(file) from error
        except Exception as error:
            raise _no_image(file, error) from error
    if several:
        counts["with several pictures, of which the first is read"] += 1
    return array


def _no_image(file: Path, error: Exception) -> DataError:
    from PIL import UnidentifiedImageError

    if isinstance(error, _Refused):
        return DataError(f"{printable(file)}: {error}")
    got = "other content" if isinstance(error, UnidentifiedImageError) else f"the error: {error}"
    return DataError(f"{printable(file)}: expected an image, got {got}; replace or remove it")


def _too_large(file: Path) -> DataError:
    from PIL import Image

    return DataError(
        f"{printable(file)}: expected an image of at most {Image.MAX_IMAGE_PIXELS:,} pixels, got a larger one; "
        "make it smaller, or raise max_image_pixels"
    )


def _check_depth(image: Any) -> None:
    """Raise `_Refused` if PIL would read other values than the file holds; from the header alone."""
    arguments = [item for tile in image.tile for item in (tile[3] if isinstance(tile[3], tuple) else (tile[3],))]
    tags = getattr(image, "tag_v2", {})
    is_deep = any(isinstance(item, str) and ";16" in item for item in arguments)
    is_deep |= image.format == "PPM" and isinstance(arguments[-1], int) and arguments[-1] > 255
    if image.format == "JPEG2000":
        image.fp.seek(0)
        sizes = image.fp.read().partition(b"\xff\x4f\xff\x51")[2]  # what follows the marker of the image's sizes
        is_deep = len(sizes) > 38 and sizes[38] & 0x7F >= 8  # bits of the first channel, less one
    if is_deep and len(image.getbands()) > 1:
        raise _Refused(
            "expected 8 bits for each colour, got more, of which PIL reads 8; save it with 8, in grey with 16, or use "
            "an npz file"
        )
    if image.mode == "L" and SIGNED in _tag(tags, SAMPLE_FORMAT):
        raise _Refused("expected 8 bits from 0 to 255, got signed ones; save it unsigned")
    if image.mode.startswith("I;16") and WHITE_IS_ZERO in _tag(tags, PHOTOMETRIC):
        raise _Refused("expected 16 bits with black as 0, got white as 0; save it with black as 0")
    if image.mode == "LAB":
        raise _Refused("expected grey or colour, got the colour space LAB; save it as RGB")


def _check_whole_numbers(image: Any) -> None:
    """Raise `_Refused` for numbers of 32 bits that float32 cannot hold, or that PIL turned over to negative ones."""
    if image.mode != "I":
        return
    low, high = image.getextrema()
    is_turned = image.format == "TIFF" and low < 0 and SIGNED not in _tag(image.tag_v2, SAMPLE_FORMAT)
    if is_turned or max(-low, high) > EXACT:
        raise _Refused(
            f"expected whole numbers up to {EXACT:,}, got larger ones; save it with 16 bits, or real numbers"
        )


def _tag(tags: Any, number: int) -> tuple[int, ...]:
    value = tags.get(number, ())
    return value if isinstance(value, tuple) else (value,)


def _turned(image: Any) -> Any:
    """The image as its EXIF data say it is to be shown. Damaged EXIF data say nothing."""
    from PIL import Image

    try:
        orientation = image.getexif().get(ORIENTATION, 1)
    except Exception:
        return image
    turn = Image.Transpose
    turns = {
        2: turn.FLIP_LEFT_RIGHT,
        3: turn.ROTATE_180,
        4: turn.FLIP_TOP_BOTTOM,
        5: turn.TRANSPOSE,
        6: turn.ROTATE_270,
        7: turn.TRANSVERSE,
        8: turn.ROTATE_90,
    }
    return image.transpose(turns[orientation]) if orientation in turns else image


def _without_alpha(image: Any) -> Any:
    """A transparent image as it looks on white, or on black where white would hide all of it.

    An alpha channel that hides the whole image, on any ground, is left out: the colours are the picture then.
    """
    from PIL import Image

    if image.mode.startswith(("I", "F")) or not image.has_transparency_data:
        return image
    is_grey = image.mode in ("1", "L", "LA", "La")
    image = image.convert("LA" if is_grey else "RGBA")
    alpha, colours = image.getchannel("A"), image.convert("L" if is_grey else "RGB")
    lowest, highest = alpha.getextrema()
    if lowest == 255 or highest == 0:
        return colours
    for ground in ("white", "black"):
        laid = Image.new(colours.mode, colours.size, ground)
        laid.paste(colours, mask=alpha)
        if np.ptp(np.asarray(laid), axis=(0, 1)).any():
            break
    return laid


def _on_one_scale(name: str, arrays: list[Array]) -> list[Array]:
    """Images of 8 bits on the scale of 16 where there are both; DataError for real numbers beside others."""
    kinds = {np.dtype(np.uint8): "8 bits", np.dtype(np.uint16): "16 bits", np.dtype(np.float32): "real numbers"}
    counts = Counter(kinds[array.dtype] for array in arrays)
    if len(counts) > 1 and "real numbers" in counts:
        raise DataError(
            f"{name}: expected images of one depth, got {_count_words(counts)}, which have no common scale; save them "
            "alike"
        )
    if len(counts) == 1:
        return arrays
    return [array.astype(np.uint16) * 257 if array.dtype == np.uint8 else array for array in arrays]


def _count_words(counts: Counter[str]) -> str:
    """`3 .txt, 1 without ending`, the most frequent first."""
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


@contextmanager
def _pixel_limit(pixels: int) -> Iterator[None]:
    """Let PIL refuse images of more pixels, and be silent on blemishes that it reads past."""
    from PIL import Image

    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = pixels
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


@cache
def _formats(ending: str) -> list[str]:
    """Formats to try, that of the ending first. Those without a signature take almost any content: by ending alone."""
    from PIL import Image

    Image.init()
    known = Image.EXTENSION.get(ending)
    formats = [name for name in Image.ID if name not in NOT_PICTURES and (Image.OPEN[name][1] or name == known)]
    return sorted(formats, key=lambda name: name != known)


@cache
def _image_endings() -> frozenset[str]:
    """Endings of files that ought to be images."""
    from PIL import Image

    Image.init()
    formats = {*Image.OPEN, "MPO"} - NOT_PICTURES
    return frozenset(ending for ending, name in Image.EXTENSION.items() if name in formats)
