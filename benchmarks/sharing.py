"""How many trials should share a GPU: images a second of one trial, and of several side by side.

    python benchmarks/sharing.py                                     # a table, and sharing.json beside this file
    python benchmarks/sharing.py --beside 1 --graph off auto         # with and without CUDA graphs
    python benchmarks/sharing.py --beside 1 2 --width 4 --batch 32   # toy size, for a machine without a GPU

A trial is a process of its own, as in a sweep: a ResNet18 on random images of CIFAR-10's shape, cropped and flipped,
in bfloat16 and channels-last where there is a GPU, trained as a run trains, measuring after each pass included. After
two passes to warm up, in which steps are captured as CUDA graphs, all begin at once and each counts the passes it
finishes in the window. What a device holds for each process beside torch's own allocations is read off the device.
"""

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Sequence
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import torch

from harness.tracking.provenance import collect
from harness.training.config.run_config import RunConfig
from harness.training.data.images import DataSplits, Images
from harness.training.run import Run

HELD = 512  # images of the meta set, and of validation
MIB = 2**20
ARMS: dict[str, dict[str, Any]] = {
    "one_hot": {"method": "one_hot"},
    "learned, interval 1": {"method": "learned", "meta_interval": 1},
    "learned, interval 1, head": {"method": "learned", "meta_interval": 1, "label_layers": "head"},
    "learned, interval 5": {"method": "learned", "meta_interval": 5},
    "learned, interval 5, head": {"method": "learned", "meta_interval": 5, "label_layers": "head"},
}


def random_data(count: int) -> DataSplits:
    """So many random images, labels and all."""
    draws = torch.Generator().manual_seed(0)
    pixels = torch.randn(count, 3, 32, 32, generator=draws)
    train = Images.from_tensors(pixels, torch.randint(10, (count,), generator=draws), 10)
    held = Images(train.pixels, train.index[:HELD], train.targets[:HELD], train.class_names)
    return DataSplits(train, train.targets, held, held)


def config(arm: str, graph: str, options: argparse.Namespace) -> RunConfig:
    on_gpu = torch.cuda.is_available()
    return RunConfig(
        model=options.model,
        width=options.width,
        batch_size=options.batch,
        meta_size=HELD,
        augment="crop_flip",
        epochs=10_000,
        amp="bf16" if on_gpu else "none",
        channels_last=on_gpu,
        deterministic=not options.fast,
        graph=graph,
        **({"meta_batch_size": min(HELD, options.batch)} if "learned" in arm else {}),
        **ARMS[arm],
    )


def trial(config: RunConfig, options: argparse.Namespace, start: Barrier, results: "Queue[dict[str, float]]") -> None:
    """One process: what it did in the window."""
    torch.set_num_threads(1)
    run = Run(config, random_data(options.images))
    for _ in range(2):
        run.train_epoch()
    for warning in run.steps.warnings:
        print(warning, file=sys.stderr)
    held = torch.cuda.max_memory_reserved() if torch.cuda.is_available() else 0
    start.wait()
    passes, began = 0, time.perf_counter()
    while not passes or time.perf_counter() - began < options.seconds:
        run.train_epoch()
        passes += 1
    elapsed = time.perf_counter() - began
    outside = 0.0
    start.wait()  # all are still there, so what the device holds is theirs
    if torch.cuda.is_available():
        free, whole = torch.cuda.mem_get_info()
        outside = whole - free
    start.wait()
    results.put({"images": passes * options.images / elapsed, "reserved": held / MIB, "device": outside / MIB})


def run_side_by_side(config: RunConfig, count: int, options: argparse.Namespace) -> dict[str, float]:
    """Images a second of `count` trials together, and the memory of one in MiB."""
    spawn = multiprocessing.get_context("spawn")
    start, results = spawn.Barrier(count), spawn.Queue()
    processes = [spawn.Process(target=trial, args=(config, options, start, results)) for _ in range(count)]
    for process in processes:
        process.start()
    found = [results.get(timeout=600) for _ in processes]
    for process in processes:
        process.join()
    reserved = sum(one["reserved"] for one in found)
    return {
        "images_per_second": sum(one["images"] for one in found),
        "slowest_over_mean": min(one["images"] for one in found) * count / sum(one["images"] for one in found),
        "torch_mib": reserved / count,
        "cuda_mib": max(0.0, max(one["device"] for one in found) - reserved) / count,
    }


def table(found: dict[str, dict[int, dict[str, float]]]) -> str:
    """A row for each arm and number of trials."""
    lines = [
        "| arm | trials side by side | images a second, all together | ÷ one alone | slowest ÷ mean "
        "| memory of a trial: torch, MiB | CUDA beside it, MiB |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for arm, counts in found.items():
        alone = counts[min(counts)]["images_per_second"] / min(counts)
        for count, one in counts.items():
            lines.append(
                f"| {arm} | {count} | {one['images_per_second']:,.0f} | {one['images_per_second'] / alone:.2f} "
                f"| {one['slowest_over_mean']:.2f} | {one['torch_mib']:.0f} | {one['cuda_mib']:.0f} |"
            )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="How many trials should share a GPU.")
    parser.add_argument("--beside", type=int, nargs="+", default=[1, 2, 4, 8], help="trials side by side")
    parser.add_argument("--arm", choices=ARMS, action="append", help="default: all")
    parser.add_argument("--graph", choices=["auto", "off"], nargs="+", default=["auto"], help="CUDA graphs")
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--width", type=int, default=64, help="of the model")
    parser.add_argument("--batch", type=int, default=128, help="batch and meta batch")
    parser.add_argument("--fast", action="store_true", help="deterministic: false")
    parser.add_argument("--images", type=int, default=2048, help="of a pass")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of the window")
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args(arguments)
    found = {
        f"{arm}, graph {graph}": {
            count: run_side_by_side(config(arm, graph, options), count, options) for count in options.beside
        }
        for arm in options.arm or ARMS
        for graph in options.graph
    }
    print(table(found))
    facts = {**collect().model_dump(), "deterministic": not options.fast}
    options.json.write_text(json.dumps({"provenance": facts, "arms": found}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
