"""Summarise a data set as its reader returned it, and refuse parts that are not on one scale. Imports no torch.

The digest covers everything that was read, in its order: pixels, true classes, given and reference labels, class names.
Equal digests mean equal data.
"""

import hashlib

import numpy as np

from harness.training.config.run_config import RunConfig
from harness.training.data.readers.raw_part import Array, RawDataset, RawPart
from harness.training.data_summary import DATA_SETTINGS, DataSummary, PartName, PartSummary
from harness.training.errors import DataError

SAMPLED_IMAGES = 1000
"""Images of a part, spread evenly, from which its standard deviation is estimated."""
MAX_DEVIATION_RATIO = 8.0
"""Largest ratio of the standard deviations of two parts of one scale; 0–255 beside 0–1 is 255, dark photographs
beside bright ones below 4."""
MIN_NEGATIVE_SHARE = 0.01
"""Share of negative pixels from which a part counts as centred around zero."""


def summarise(config: RunConfig, dataset: RawDataset) -> DataSummary:
    """Summarise a data set as its reader returned it."""
    parts: list[tuple[PartName, RawPart]] = [("training", dataset.train)]
    parts += [("validation", dataset.validation)] if dataset.validation is not None else []
    parts += [("test", dataset.test)] if dataset.test is not None else []
    digest = hashlib.blake2b(repr(dataset.class_names).encode(), digest_size=8)
    training_rows: Array | None = None
    summaries = []
    for name, part in parts:
        rows = _row_digests(part.images)
        digest.update(repr((name, part.images.shape, str(part.images.dtype))).encode())
        for key, array in (("rows", rows), ("truth", part.truth), ("given", part.given), ("ref", part.reference)):
            digest.update(key.encode() if array is not None else b"-")
            digest.update(b"" if array is None else np.ascontiguousarray(array).tobytes())
        summaries.append(_summarise_part(name, part, len(dataset.class_names), rows, training_rows))
        training_rows = rows if training_rows is None else training_rows
    return DataSummary(
        **config.model_dump(include=set(DATA_SETTINGS)),
        class_names=list(dataset.class_names),
        shape=list(dataset.train.images.shape[1:]),
        parts=summaries,
        remarks=list(dataset.remarks),
        digest=digest.hexdigest(),
    )


def check_scale(summary: DataSummary) -> None:
    """Raise DataError unless all parts store pixels in one type and on one scale.

    A part that is only a bit brighter passes: what counts are the type, the spread of the pixels, and whether a part is
    centred around zero while another has no pixel below it.
    """
    first, *others = summary.parts
    for part in others:
        low, high = sorted((first.deviation, part.deviation))
        shares = sorted((first.negative_share, part.negative_share))
        if (
            part.dtype != first.dtype
            or high > MAX_DEVIATION_RATIO * low
            or (shares[0] == 0 and shares[1] >= MIN_NEGATIVE_SHARE)
        ):
            raise DataError(
                f"{summary.dataset}: expected {first.name} and {part.name} images of one type and scale, got "
                f"{first.pixel_range} and {part.pixel_range}; store both alike"
            )


def _summarise_part(
    name: PartName, part: RawPart, classes: int, rows: Array, training_rows: Array | None
) -> PartSummary:
    known = part.truth >= 0
    sample = part.images[np.linspace(0, len(part.images) - 1, min(SAMPLED_IMAGES, len(part.images))).astype(int)]
    return PartSummary(
        name=name,
        images=len(part.truth),
        class_counts=np.bincount(part.truth[known], minlength=classes).tolist(),
        given=0 if part.given is None else len(part.given),
        given_wrong=0 if part.given is None else int((part.given != part.truth)[known].sum()),
        reference=0 if part.reference is None else len(part.reference),
        dtype=str(part.images.dtype),
        low=float(part.images.min()),
        high=float(part.images.max()),
        deviation=float(sample.std(dtype=np.float64)),
        negative_share=float((sample < 0).mean()),
        copies=len(rows) - len(np.unique(rows)),
        copies_of_training=0 if training_rows is None else int(np.isin(rows, training_rows).sum()),
    )


def _row_digests(images: Array) -> Array:
    """A digest of 64 bits of each image, [N]."""
    rows = (hashlib.blake2b(image, digest_size=8).digest() for image in np.ascontiguousarray(images))
    return np.frombuffer(b"".join(rows), dtype=np.uint64)
