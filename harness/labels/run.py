"""The function `labels`: from the soft labels of a sweep to a ranking and its page."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from harness.common.atomic_files import write_text
from harness.common.errors import InputError
from harness.common.urls import Url
from harness.labels.label_runs import find_label_runs, mean_labels
from harness.labels.ranking import LabelRanking, rank_labels
from harness.results.sweep_data import check_data
from harness.train import read_trial
from harness.training.config.run_config import RunConfig
from harness.training.data.arrays import data_config, load_arrays
from harness.training.data.readers.formats.label_tables import find_table
from harness.training.data.readers.raw_part import Array
from harness.training.data.readers.reader import user_path
from harness.tuning.storage.sweep_folder import find_sweep
from harness.tuning.storage.workspace import SweepAccess, Workspace, open_workspace

PAGE = "labels.html"
"""Name of the page in the sweep's folder."""
MAX_PICTURES = 1000


def labels(
    name: str,
    *,
    arm: str | None = None,
    trial: int | None = None,
    runs_dir: Workspace | Path | Url | str = "runs",
    page: Path | str | None = None,
    pictures: int = MAX_PICTURES,
    log: Callable[[str], None] = lambda text: None,
) -> LabelRanking:
    """Rank the labels of a data set by the margin of a sweep's soft labels, the most suspicious first; write the page.

    Args:
        name: the sweep, a folder in `runs_dir`.
        arm: whose labels are read; by default those of the best arm.
        trial: a trial of the search whose labels are read, in place of the best one.
        page: the file of the page; by default `labels.html` in the sweep's folder.
        pictures: the most labels on the page, each with its picture.
        log: called with what was read of the data.

    Raises:
        FolderError: there is no such sweep.
        NothingCompleted: no trial is complete, or it left no labels.
        InputError: there is no such arm or trial, its labels say nothing of single images, the page cannot be written,
            or the data are not those of the sweep.
        DataError: the data cannot be read.
    """
    if page is not None:
        check_output("--html", page)
    with open_workspace(runs_dir, SweepAccess(name, writes=False)) as workspace:
        folder = find_sweep(workspace.local, name)
        source = find_label_runs(folder, arm, trial)
        mean = mean_labels(source.files)
        config, _, _ = read_trial(folder, source.trial)
        data = check_data([config], folder, log).data_sets[0]
        arrays = load_arrays(data_config(config))
        pool_rows = np.full(1 + int(arrays["pool_index"].max()), -1)
        pool_rows[arrays["pool_index"]] = np.arange(len(arrays["pool_index"]))
        paths = arrays.get("pool_paths")
        ranking = rank_labels(
            name,
            source,
            mean,
            dataset=data.dataset,
            noun=data.noun,
            images=len(arrays["pool_index"]),
            paths=None if paths is None else [path.decode() for path in paths[pool_rows[mean.index]]],
            noise=config.noise,
        )
        from analysis.report.labels_page import labels_page  # PIL and pandas take half a second to import

        shown = None
        if data.noun == "images":
            training = next(part for part in data.parts if part.name == "training")
            most_suspicious = pool_rows[ranking.table["index"].head(pictures)]
            shown = scaled_pixels(arrays["pool_images"][most_suspicious], training.low, training.high)
        file = Path(page or folder / PAGE)
        text, on_page = labels_page(ranking, shown, pictures, _given_labels(config, arrays))
        try:
            write_text(file, text)
        except OSError as error:
            raise InputError(f"--html: expected a file that can be written, got: {error}; name another") from error
    return dataclasses.replace(ranking, page=file, on_page=on_page)


def check_output(flag: str, file: Path | str) -> None:
    """Raise InputError if the folder of a file that an option names does not exist."""
    if not Path(file).absolute().parent.is_dir():
        raise InputError(f"{flag}: expected a file in a folder that exists, got '{file}'; make it first")


def scaled_pixels(images: Array, low: float, high: float) -> Array:
    """Pixels as bytes, from 0 for `low` to 255 for `high`."""
    if images.dtype == np.uint8 and (low, high) == (0, 255):
        return images
    scaled = (images.astype(np.float32) - low) * (255 / max(high - low, 1e-12))
    return np.asarray(scaled.clip(0, 255).round().astype(np.uint8))


def _given_labels(config: RunConfig, arrays: Mapping[str, Array]) -> list[tuple[str, int]] | None:
    """(path, class) of each image whose row in given.csv a corrected file has to repeat; None of data without paths.

    Without a row an image keeps the class of its folder. Where a fifth of the images is set aside as the test part, the
    rows of those are repeated too; their pictures are not read.
    """
    if "pool_paths" not in arrays:
        return None
    if find_table(user_path(config), "given") is None:
        return []
    repeated: list[tuple[str, int]] = []
    for part in ("pool", "test"):
        if f"{part}_given" in arrays:
            given, truth, paths = (arrays[f"{part}_{name}"] for name in ("given", "truth", "paths"))
            rows = np.flatnonzero((given != truth) | config.require_given_labels)
            repeated += [(paths[row].decode(), int(given[row])) for row in rows]
    return repeated
