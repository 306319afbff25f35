"""Images of a data set as pictures: the order of their axes, and small ones as text for a page."""

import base64
import io

import numpy as np
from numpy.typing import NDArray

MAX_SIDE = 96
"""Pixels of a thumbnail's longer side."""
EXACT_SIDE = 32
"""Pixels of the longer side up to which a thumbnail is kept exactly, as PNG."""
JPEG_QUALITY = 80


def as_drawn(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[height, width] or [height, width, colours] of [channels, height, width].

    Of four channels the last is taken for transparency and left out; another number is drawn in grey, as its mean.
    """
    channels = len(image)
    if channels in (3, 4):
        return np.moveaxis(image[:3], 0, 2)
    return image[0] if channels == 1 else np.asarray(image.mean(axis=0), dtype=np.uint8)


def thumbnail(image: NDArray[np.uint8]) -> str:
    """The data URI of an image [channels, height, width], scaled down to `MAX_SIDE`."""
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(as_drawn(image)))
    picture.thumbnail((MAX_SIDE, MAX_SIDE))
    kind = "PNG" if max(picture.size) <= EXACT_SIDE else "JPEG"
    held = io.BytesIO()
    picture.save(held, kind, optimize=True, **({"quality": JPEG_QUALITY} if kind == "JPEG" else {}))
    return f"data:image/{kind.lower()};base64,{base64.b64encode(held.getvalue()).decode()}"
