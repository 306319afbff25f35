"""How well wrong labels are found: learned labels against cleanlab, on the same images and network.

    python -m benchmarks.label_errors
    python -m benchmarks.label_errors --data digits --seeds 1 --trainings 2      # toy size

A seed draws the images, the clean meta set and the wrong labels. Both methods then train the same network five times:

    learned     each training on all images, with other initial weights and another order; the mean of the soft labels,
                ranked by margin, as `harness.labels` does
    cleanlab    5-fold cross-validation with one-hot labels; each fold trains on the clean meta set too, as the learned
                labels do. Its predictions are ranked by cleanlab's label quality (self-confidence, normalised margin),
                and by `find_label_issues`: its issues in their order, then all others by self-confidence

All settings, for both, are those that the study of the same data and noise confirmed (digits_noise_*, fashion_noise_*):
of labels that follow the model and take label steps through the last layer, and of one-hot labels. Fashion-MNIST with
instance-dependent noise has no study: there both have those of symmetric noise. No seed is one of a search's.
cleanlab's method: Northcutt, Jiang and Chuang (2021), arXiv:1911.00068.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold

from harness.common.seeds import derive_seed
from harness.labels.ranking import margins
from harness.statistics import FixedSample, estimate_mean
from harness.tracking.provenance import collect
from harness.training.config.run_config import RunConfig
from harness.training.data.images import DataSplits
from harness.training.data.splits import load_splits
from harness.training.metrics import logits_in_batches
from harness.training.run import Run

NOISES = ("symmetric", "asymmetric", "instance")
DATA: dict[str, dict[str, Any]] = {
    "digits": {"dataset": "digits"},
    "fashion": {"dataset": "FashionMNIST", "train_size": 10000, "meta_size": 500, "val_size": 500},
}
NETWORK = {"model": "mlp", "width": 128, "train_on_meta": True}
DIGITS_LEARNED: dict[str, Any] = {  # both studies confirmed the same configuration
    "label_lr": 1.17, "meta_interval": 2, "label_follow": 0.111, "label_sharpen": 3.22, "label_follow_after": 1,
    "label_smoothing": 0.258, "epochs": 42, "lr": 0.147,
}  # fmt: skip
LEARNED: dict[tuple[str, str], dict[str, Any]] = {
    ("digits", "symmetric"): DIGITS_LEARNED,
    ("digits", "asymmetric"): DIGITS_LEARNED,
    ("digits", "instance"): {
        "label_lr": 2.78, "meta_interval": 5, "label_follow": 0.432, "label_sharpen": 1.18, "label_follow_after": 0,
        "label_smoothing": 0.145, "epochs": 51, "lr": 0.0505,
    },
    ("fashion", "symmetric"): {
        "label_lr": 0.0812, "meta_interval": 4, "label_follow": 0.182, "label_sharpen": 3.39, "label_follow_after": 8,
        "label_smoothing": 0.0907, "epochs": 37, "lr": 0.0424,
    },
    ("fashion", "asymmetric"): {
        "label_lr": 0.625, "meta_interval": 4, "label_follow": 0.0646, "label_sharpen": 1.38, "label_follow_after": 2,
        "label_smoothing": 0.426, "epochs": 34, "lr": 0.0555,
    },
}  # fmt: skip
ONE_HOT: dict[tuple[str, str], dict[str, Any]] = {
    ("digits", "symmetric"): {"epochs": 6, "lr": 0.0729},
    ("digits", "asymmetric"): {"epochs": 8, "lr": 0.175},
    ("digits", "instance"): {"epochs": 13, "lr": 0.0158},
    ("fashion", "symmetric"): {"epochs": 21, "lr": 0.00549},
    ("fashion", "asymmetric"): {"epochs": 14, "lr": 0.0378},
}
"""Early stopping under noise included: the number of epochs is the one that validation images chose."""

for _settings in (LEARNED, ONE_HOT):
    _settings["fashion", "instance"] = _settings["fashion", "symmetric"]

CLEANLAB = ("self_confidence", "normalized_margin", "find_label_issues")
METHODS = ("learned", "learned, one training", *CLEANLAB)

Scores = dict[str, dict[str, float]]
"""Method → average_precision, auroc, precision and recall of its own cut (NaN where it has none), seconds."""


def measure(data: str, noise: str, noise_rate: float, seed: int, trainings: int) -> Scores:
    """Every method on one draw of images, meta set and wrong labels."""
    torch.set_num_threads(1)
    settings = {**DATA[data], **NETWORK, "noise": noise, "noise_rate": noise_rate, "seed": seed}
    splits = load_splits(RunConfig(**settings))
    given = splits.noisy.numpy()
    wrong = given != splits.train.targets.numpy()

    began = time.perf_counter()
    learned = RunConfig(**settings, label_form="exponentiated", label_layers="head", **LEARNED[data, noise])
    soft = list(_learned_labels(learned, splits, trainings))
    seconds = time.perf_counter() - began
    margin, first = margins(np.mean(soft, axis=0), given), margins(soft[0], given)
    scores = {
        "learned": _scores(wrong, -margin, margin < 0, seconds),
        "learned, one training": _scores(wrong, -first, first < 0, seconds / trainings),
    }
    began = time.perf_counter()
    one_hot = RunConfig(**settings, method="one_hot", **ONE_HOT[data, noise])
    predicted = _predictions(one_hot, splits, trainings)
    return scores | _cleanlab(wrong, given, predicted, time.perf_counter() - began)


def _learned_labels(config: RunConfig, splits: DataSplits, trainings: int) -> Iterator[NDArray[np.float64]]:
    for number in range(trainings):
        yield _trained(config, splits, number).soft_labels.double().numpy()


def _predictions(config: RunConfig, splits: DataSplits, folds: int) -> NDArray[np.float64]:
    """Class probabilities of each training image, [N, classes], by the network that did not train on it."""
    given = splits.noisy.numpy()
    predicted = np.zeros((len(given), splits.train.classes))
    drawn = StratifiedKFold(folds, shuffle=True, random_state=config.seed).split(given, given)
    for number, (kept, left_out) in enumerate(drawn):
        rows = torch.from_numpy(kept)
        fold = replace(splits, train=splits.train[rows], noisy=splits.noisy[rows])
        run = _trained(config, fold, number)
        images = splits.train[torch.from_numpy(left_out)]
        with torch.no_grad():
            batches = logits_in_batches(run.model, len(images), images.batch)
            logits = torch.cat([logits_of_batch for _, logits_of_batch in batches])
        predicted[left_out] = logits.double().softmax(1).numpy()
    return predicted


def _trained(config: RunConfig, splits: DataSplits, number: int) -> Run:
    """A run at its end; `number` draws initial weights and order, the splits stay."""
    seed = derive_seed(config.seed, f"label errors:{number}") % 2**31
    run = Run(config.model_copy(update={"seed": seed}), splits)
    while not run.done:
        run.train_epoch()
    return run


def _cleanlab(
    wrong: NDArray[np.bool_], given: NDArray[np.int64], predicted: NDArray[np.float64], seconds: float
) -> Scores:
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    quality = {name: get_label_quality_scores(given, predicted, method=name) for name in CLEANLAB[:2]}
    issues = find_label_issues(given, predicted, return_indices_ranked_by="self_confidence", n_jobs=1)
    order = np.argsort(quality["self_confidence"], kind="stable")
    ranked = np.concatenate([issues, order[~np.isin(order, issues)]])
    rank = np.empty(len(given))
    rank[ranked] = np.arange(len(given))
    is_issue = np.zeros(len(given), bool)
    is_issue[issues] = True
    return {
        **{name: _scores(wrong, -score, None, seconds) for name, score in quality.items()},
        "find_label_issues": _scores(wrong, -rank, is_issue, seconds),
    }


def _scores(
    wrong: NDArray[np.bool_], suspicion: NDArray[np.float64], cut: NDArray[np.bool_] | None, seconds: float
) -> dict[str, float]:
    return {
        "average_precision": float(average_precision_score(wrong, suspicion)),
        "auroc": float(roc_auc_score(wrong, suspicion)),
        "precision": float("nan") if cut is None or not cut.any() else float(wrong[cut].mean()),
        "recall": float("nan") if cut is None else float(cut[wrong].mean()),
        "seconds": seconds,
    }


def rows(results: Sequence[Scores]) -> Iterator[list[str]]:
    """A row per method: means over the seeds, and the paired difference of the learned labels from it."""
    ours = [scores["learned"]["average_precision"] for scores in results]
    for method in METHODS:
        values = {name: [scores[method][name] for scores in results] for name in results[0][method]}
        gains = [a - b for a, b in zip(ours, values["average_precision"], strict=True)]
        gain = estimate_mean(gains, FixedSample(), 0.05)
        difference = f"{gain.mean:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]" if method != "learned" else ""
        means = [float(np.mean(values[name])) for name in ("average_precision", "auroc", "precision", "recall")]
        shown = [
            "" if np.isnan(mean) else f"{mean:.{digits}f}" for mean, digits in zip(means, (4, 4, 3, 3), strict=True)
        ]
        yield [method, shown[0], difference, *shown[1:], f"{np.mean(values['seconds']):.1f}"]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.label_errors", description="Wrong labels found.")
    parser.add_argument("--data", nargs="+", choices=list(DATA), default=list(DATA), help="default: all")
    parser.add_argument("--noise", nargs="+", choices=NOISES, default=NOISES, help="default: all")
    parser.add_argument("--noise-rate", type=float, default=0.4, help="share of labels that are wrong (default 0.4)")
    parser.add_argument("--seeds", type=int, default=5, help="draws of images and noise (default 5)")
    parser.add_argument("--trainings", type=int, default=5, help="of each method, on each draw (default 5)")
    parser.add_argument("--jobs", type=int, default=1, help="processes, of one core each (default 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep all numbers there")
    options = parser.parse_args(arguments)
    record: list[dict[str, Any]] = []
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        for data in options.data:
            for noise in options.noise:
                task = partial(measure, data, noise, options.noise_rate, trainings=options.trainings)
                results = list(pool.map(task, range(options.seeds)))
                record += [
                    {"data": data, "noise": noise, "noise_rate": options.noise_rate, "seed": seed, "methods": scores}
                    for seed, scores in enumerate(results)
                ]
                print(f"\n### {data}, {noise} noise of {options.noise_rate:g}, n = {options.seeds}\n")
                print("| method | average precision | learned minus it | AUROC | precision | recall | seconds |")
                print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
                for row in rows(results):
                    print(f"| {' | '.join(row)} |", flush=True)
    if options.json is not None:
        content = {"results": record, "provenance": collect().model_dump(mode="json")}
        options.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
