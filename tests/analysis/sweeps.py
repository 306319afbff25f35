"""A sweep of learned labels and two baselines, as the driver records it, with curves of known shape."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from analysis.frames.sweep_frame import SweepFrame, read
from harness.results import Confirmation
from harness.tracking.spool.events import EpochMetrics, Event, SweepEnded, SweepStarted, TrialEnded, TrialStarted
from harness.tracking.spool.spooled_sweep import SpooledSweep
from harness.training.config.run_config import RunConfig
from tests.support.results import comparison, configuration, confirmation, gain
from tests.tracking.sweeps import send, write_events

BEGIN = 1_700_000_000_000  # milliseconds since the epoch


def trial_events(
    number: int, arm: str, config: RunConfig, state: str = "complete", stop: int | None = None
) -> Iterator[Event]:
    """A trial of `arm` that ends in `state` after epoch `stop` (default: its last).

    Learned labels do best at a label_lr of 0.3 and put right more of the wrong labels with every epoch; baselines
    are at their best at epoch 4 and get worse from there.
    """
    stop = stop or config.epochs
    learned = config.method == "learned"
    start, time = BEGIN + 60_000 * number, BEGIN + 60_000 * number
    name, tags = f"{arm}-{number}", {"arm": arm, "study": "label_lr"}
    yield TrialStarted(trial=number, name=name, params=config.model_dump(), tags=tags, time=time)
    label_lr, meta_interval = (config.label_lr, config.meta_interval) if learned else (math.nan, math.nan)
    distance = abs(math.log10(label_lr / 0.3))
    for epoch in range(1, stop + 1):
        time = start + 500 * epoch
        rise = 1 - math.exp(-epoch / 2)
        metrics = {"train_loss": 2.0 / epoch, "lr": config.lr}
        if learned:
            metrics["val_accuracy"] = (0.96 - 0.08 * distance - 0.002 * meta_interval) * rise
        else:
            metrics["val_accuracy"] = 0.94 * rise - 0.03 * max(0, epoch - 4)
        if config.noise != "none":
            right = (1 - math.exp(-epoch * label_lr / meta_interval)) if learned else 0.0
            metrics |= {"noisy_labels_corrected": right, "clean_labels_kept": 1 - 0.05 * right}
            metrics["label_accuracy"] = 0.6 + 0.4 * right * 0.95
        yield EpochMetrics(trial=number, step=epoch, metrics=metrics, time=time)
    reason = {"complete": "", "pruned": f"pruned after epoch {stop}", "failed": "diverged"}[state]
    yield TrialEnded(trial=number, state=state, reason=reason, time=time + 1)  # type: ignore[arg-type]


def search_events(noise: bool = True) -> Iterator[Event]:
    """Twelve learned trials (a third of them pruned, one failed) and three of each baseline."""
    common = RunConfig(noise="symmetric", noise_rate=0.4, epochs=12) if noise else RunConfig(epochs=12)
    for number in range(12):
        settings = {"label_lr": 10 ** (number / 4 - 2), "meta_interval": 1 + number % 5}
        state, stop = ("failed", 2) if number == 11 else ("pruned", 4) if number % 3 == 1 else ("complete", None)
        yield from trial_events(number, "learned", common.model_copy(update=settings), state, stop)
    for number, epochs in enumerate((4, 8, 12), start=12):
        yield from trial_events(number, "one_hot", common.model_copy(update={"method": "one_hot", "epochs": epochs}))
    for number, smoothing in enumerate((0.1, 0.3, 0.5), start=15):
        settings = {"method": "label_smoothing", "label_smoothing": smoothing, "epochs": 5}
        yield from trial_events(number, "label_smoothing", common.model_copy(update=settings))


IMAGES, CLASSES, WRONG = 200, 4, 80
EPOCHS = (0, 3, 6, 9, 12)


def learned_files(
    folder: Path, seed: int = 0, history: bool = True, names: Sequence[str] = tuple("01234")
) -> tuple[str, ...]:
    """What a learned trial leaves of its labels in `folder`, and their paths.

    The first 80 of 200 labels are wrong. Of these the first 60 are put right, a quarter of them at each snapshot after
    the start, the next 10 move to a third class, and 10 stay as given. Of the right ones the last 5 are lost.
    """
    folder.mkdir(parents=True)
    draw = np.random.default_rng(seed)
    truth = np.arange(IMAGES) % CLASSES
    given = np.where(np.arange(IMAGES) < WRONG, (truth + 1) % CLASSES, truth)
    largest = np.tile(given, (len(EPOCHS), 1))
    for image in range(60):
        largest[1 + image % 4 :, image] = truth[image]
    largest[2:, 60:70] = (truth[60:70] + 2) % CLASSES
    largest[4, 195:] = (truth[195:] + 1) % CLASSES
    labels = np.full((IMAGES, CLASSES), 0.0)
    mass = draw.uniform(0.55, 0.95, IMAGES)
    labels[np.arange(IMAGES), given] += 1 - mass * (largest[-1] != given)
    labels[np.arange(IMAGES), largest[-1]] += mass * (largest[-1] != given)
    np.savez_compressed(
        folder / "labels.npz", labels=labels.astype(np.float32), given=given, truth=truth, class_names=names[:CLASSES]
    )
    if not history:
        return (str(folder / "labels.npz"),)
    moved = np.linspace(0, 1, len(EPOCHS))[:, None] * (1 - labels[np.arange(IMAGES), given])
    shown = np.argsort(-moved[-1], kind="stable")[:48]
    np.savez_compressed(
        folder / "label_history.npz",
        epochs=np.array(EPOCHS),
        rows=np.arange(IMAGES),
        largest=largest.astype(np.uint8),
        moved=moved.astype(np.float16),
        shown=shown,
        pixels=draw.integers(0, 256, (48, 1, 8, 8), dtype=np.uint8),
    )
    return (str(folder / "labels.npz"), str(folder / "label_history.npz"))


ALIKE = ((0, 3, 0.2), (1, 4, 0.1))
"""Classes that give each other mass, and how much."""


def class_files(folder: Path, seed: int = 0, names: Sequence[str] = tuple("01234")) -> tuple[str, ...]:
    """What a trial with class labels leaves in `folder`: five classes, 0 and 3 the most alike, then 1 and 4."""
    folder.mkdir(parents=True)
    draw = np.random.default_rng(seed)
    table = draw.uniform(0, 0.01, (5, 5))
    for one, other, mass in ALIKE:
        table[one, other] = table[other, one] = mass
    np.fill_diagonal(table, 0)
    np.fill_diagonal(table, 1 - table.sum(axis=1))
    truth = np.arange(60) % 5
    np.savez_compressed(
        folder / "labels.npz", labels=table[truth].astype(np.float32), given=truth, truth=truth, class_names=names
    )
    history = np.eye(5) + np.linspace(0, 1, 4)[:, None, None] * (table - np.eye(5))
    epochs = np.array([0, 4, 8, 12])
    np.savez_compressed(folder / "label_history.npz", epochs=epochs, class_labels=history.astype(np.float16))
    return (str(folder / "labels.npz"), str(folder / "label_history.npz"))


def with_labels(records: Iterable[Event], home: Path, history: bool = True) -> Iterator[Event]:
    """The same `records`, where every complete learned trial leaves the files of its labels under `home`."""
    return _with_files(records, home, lambda folder, seed: learned_files(folder, seed, history))


def with_class_labels(records: Iterable[Event], home: Path) -> Iterator[Event]:
    """The same `records`, where every learned trial has class labels."""
    return _with_files(records, home, class_files, {"labels": "class"})


def _with_files(
    records: Iterable[Event],
    home: Path,
    write_files: Callable[[Path, int], tuple[str, ...]],
    params: Mapping[str, str] = {},
) -> Iterator[Event]:
    learned = set()
    for record in records:
        if isinstance(record, TrialStarted) and record.params["method"] == "learned":
            learned.add(record.trial)
            record = replace(record, params={**record.params, **params})
        if isinstance(record, TrialEnded) and record.state == "complete" and record.trial in learned:
            record = replace(record, artifacts=write_files(home / "trials" / str(record.trial), record.trial))
        yield record


def confirmation_events(
    home: Path, seeds: int = 4, write_files: Callable[[Path, int], tuple[str, ...]] = class_files
) -> Iterator[Event]:
    """A confirmation of the sweep in `home`: its result as a file, and a run per seed that leaves labels.

    Another configuration of the arm, whose name begins alike, has a run too.
    """
    home.mkdir(parents=True, exist_ok=True)
    confirmation_result(seeds).save(home)
    yield SweepStarted(name=home.name, tags={"verdict": "…"}, artifacts=(str(home / "confirm.json"),), time=BEGIN)
    tags = {"harness.kind": "confirmation", "arm": "learned", "state": "running"}
    runs = [(1_000_000 * seed + 6, f"learned-6 seed {seed}") for seed in range(1, seeds + 1)]
    for number, name in [*runs, (1_000_060, "learned-60 seed 1")]:
        yield TrialStarted(trial=number, name=name, params={"method": "learned"}, tags=tags, time=BEGIN + 1)
        files = write_files(home / "confirm" / str(number), number)
        yield TrialEnded(trial=number, state="complete", artifacts=files, time=BEGIN + 2)


def confirmation_result(seeds: int = 4) -> Confirmation:
    """One learned configuration, two points above one baseline and four above another."""
    easy = [0.01 * (seed % 3) for seed in range(seeds)]
    baselines = {("one_hot", 12): 0.88, ("label_smoothing", 15): 0.90}
    learned = [0.92 + gain + 0.001 * (-1) ** i for i, gain in enumerate(easy)]
    arms = {"learned": configuration(6, learned)}
    arms |= {arm: configuration(trial, [level + gain for gain in easy]) for (arm, trial), level in baselines.items()}
    rows = [comparison(("learned", 6), baseline, 0.92 - level, seeds) for baseline, level in baselines.items()]
    verdict = "learned labels (learned-6) beat the best baseline (label_smoothing-15) by 2.0 points [1.8, 2.2], n = 4"
    return confirmation(arms, comparisons=rows, gain=gain(rows[1]), verdict=verdict)


def record(folder: Path, events: Iterable[Event]) -> SweepFrame:
    """Record a sweep of `events` in `folder`, named as it is, and read it back."""
    tags = {"study": "label_lr", "commit": "0123456789abcdef"}
    start = SweepStarted(name=folder.name, tags=tags, time=BEGIN)
    write_events(folder / "spool", [start, *events, SweepEnded(time=BEGIN + 10_000_000)])
    return read(SpooledSweep.read(folder))


def record_and_send(uri: str, runs: Path, events: Iterable[Event], name: str = "label_lr") -> None:
    """Record a sweep of `events` and send it to `uri`, as a sweep's driver and writer do."""
    record(runs / name, events)
    send(runs / name / "spool", uri)
