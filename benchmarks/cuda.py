"""All that has to be checked and measured on a GPU, the most telling first, each printed as it ends.

    python benchmarks/cuda.py                                   # within 12 minutes, on a machine with a GPU
    python benchmarks/cuda.py --minutes 9 --only same speed     # some parts, in the time that is left
    python benchmarks/cuda.py --toy                             # toy size, for a machine without one

| part | what it is |
| --- | --- |
| same | each method with CUDA graphs (`graph: auto`) against without: the same metrics and state, bit for bit |
| speed | images a second of one trial, with graphs and without: ResNet18 in bfloat16, and a small CNN |
| sharing | the same of 2, 4 and 8 trials side by side, with graphs |
| meta_step | a label step over a plain step, beside peers, batch 128: float32 and bfloat16; then 512 |
| tests | tests of `metalabel` on the GPU, and of graphs: the same command as by hand, below |
| rest | trials side by side of the other arms, and without graphs |

    TEST_DEVICE=cuda python -m pytest tests/metalabel tests/training/test_graphs.py -q

A part that fails or runs out of time is said to, and the next one begins. Tables for files of benchmarks/ are printed;
the numbers are also in FOLDER/*.json (`--out`).
"""

import argparse
import copy
import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from sharing import random_data  # noqa: E402 (found by the line above)

from harness.training.config.methods import METHODS, MetaStepParameters  # noqa: E402
from harness.training.config.run_config import RunConfig  # noqa: E402
from harness.training.data.images import DataSplits, Images  # noqa: E402
from harness.training.run import Run  # noqa: E402

PARTS = ("same", "speed", "sharing", "meta_step", "tests", "rest")
SHARING, META_STEP = ["benchmarks/sharing.py"], ["benchmarks/meta_step.py"]
TOY_SHARING = ["--width", "2", "--batch", "32", "--images", "64", "--seconds", "0.1"]
TOY_META_STEP = ["--workload", "mlp", "--rounds", "2"]
SMALL: dict[str, Any] = {"width": 8, "epochs": 5, "batch_size": 32, "lr": 0.01, "augment": "crop_flip_cutout"}
LEARNED: dict[str, Any] = {"meta_interval": 2, "meta_batch_size": 48, "label_lr": 0.5, "label_follow": 0.2}


def commands(part: str, out: Path, toy: bool) -> Iterator[list[str]]:
    """The commands of a part but for the interpreter, the most telling first."""

    def sharing(name: str, *arguments: str) -> list[str]:
        size = TOY_SHARING if toy else ["--seconds", "3"]
        return [*SHARING, *arguments, *size, "--json", str(out / f"sharing_{name}.json")]

    beside = ["1", "2"] if toy else ["2", "4", "8"]
    first = [("one_hot", "one_hot"), ("learned", "learned, interval 1"), ("head", "learned, interval 1, head")]
    others = [("interval_5", "learned, interval 5"), ("interval_5_head", "learned, interval 5, head")]
    if part == "same":
        yield ["benchmarks/cuda.py", "--check-same"]
    elif part == "speed":
        for name, arm in first:
            yield sharing(name, "--beside", "1", "--graph", "off", "auto", "--arm", arm)
        cnn = ["--model", "cnn", "--width", "32"]
        yield sharing("cnn", "--beside", "1", "--graph", "off", "auto", "--arm", "one_hot", *cnn)
    elif part == "sharing":
        for name, arm in first:
            yield sharing(f"{name}_beside", "--beside", *beside, "--graph", "auto", "--arm", arm)
    elif part == "rest":
        for name, arm in others:
            yield sharing(name, "--beside", "1", *beside, "--graph", "auto", "--arm", arm)
        for name, arm in [*first, *others]:
            yield sharing(f"{name}_off", "--beside", *beside, "--graph", "off", "--arm", arm)
    elif part == "meta_step":
        device = TOY_META_STEP if toy else ["--device", "cuda", "--rounds", "7"]
        for batch in ["8"] if toy else ["128", "512"]:
            for name, precision in (("bf16", ["--autocast", "--channels-last"]), ("float32", [])):
                memory = [] if batch == "128" and name == "bf16" else ["--no-memory"]
                file = out / f"meta_step_{batch}_{name}.json"
                yield [*META_STEP, *device, "--batch", batch, *precision, *memory, "--json", str(file)]
    elif part == "tests":
        yield ["-m", "pytest", "tests/training/test_graphs.py", "-q", *([] if toy else ["-m", "cuda"])]
        yield ["-m", "pytest", "tests/metalabel", "-q", *(["-k", "labels"] if toy else [])]


def run_parts(options: argparse.Namespace) -> int:
    """Run the chosen parts within the time; return the number of commands that did not end well."""
    end, bad = time.monotonic() + 60 * options.minutes, 0
    environment = {**os.environ, "PYTHONPATH": str(ROOT)} | ({} if options.toy else {"TEST_DEVICE": "cuda"})
    options.out.mkdir(parents=True, exist_ok=True)
    print(f"{_device()}, torch {torch.__version__}", flush=True)
    for part in options.only or PARTS:
        for command in commands(part, options.out, options.toy):
            title, began = f"{part}: python {' '.join(command)}", time.monotonic()
            if command[:2] == ["-m", "pytest"] and importlib.util.find_spec("pytest") is None:
                print(f"\n## {title}\nleft out: pytest is not installed", flush=True)
                continue
            if end - began < 5:
                print(f"\n## {title}\nleft out: no time is left", flush=True)
                continue
            print(f"\n## {title}", flush=True)
            process = subprocess.Popen([sys.executable, *command], cwd=ROOT, env=environment, start_new_session=True)
            try:
                code = process.wait(timeout=end - began)
                outcome = "ended well" if code == 0 else f"FAILED, exit code {code}"
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # with the trials that it started
                process.wait()
                outcome = "CUT OFF: the time is over"
            bad += outcome != "ended well"
            print(f"{outcome} after {time.monotonic() - began:.0f} s", flush=True)
    return bad


def check_same() -> int:
    """Train every method with graphs and without, a line each; return the number of those that differ."""
    torch.set_num_threads(1)
    splits, differing = _noisy(random_data(300)), 0
    for name, settings in _cases():
        try:
            differing += not _same(name, settings, splits)
        except Exception as error:  # the other methods are still to be checked
            differing += 1
            print(f"FAILED {name}: {type(error).__name__}: {error}", flush=True)
    return differing


def _cases() -> Iterator[tuple[str, dict[str, Any]]]:
    for method, shipped in METHODS.items():
        learned = issubclass(shipped.parameters, MetaStepParameters)
        known = shipped.parameters.model_fields
        own = {name: value for name, value in LEARNED.items() if name in known} if learned else {}
        if method == "distillation" or (
            method == "confident_learning" and importlib.util.find_spec("cleanlab") is None
        ):
            continue  # needs a teacher; needs cleanlab
        for model, optimizer in (("mlp", "sgd"), ("cnn", "adam")):
            yield f"{method}, {model}, {optimizer}", {**own, "method": method, "model": model, "optimizer": optimizer}
    bfloat16 = {"amp": "bf16", "channels_last": True, "batch_size": 64}
    for layers in ("all", "head"):
        more = {**LEARNED, **bfloat16, "method": "learned", "model": "resnet18", "label_layers": layers}
        yield f"learned, resnet18, bfloat16, {layers}", more
    yield (
        "learned by class, trained on meta",
        {**LEARNED, "method": "learned", "labels": "class", "train_on_meta": True},
    )


def _same(name: str, settings: dict[str, Any], splits: DataSplits) -> bool:
    runs = [Run(RunConfig(**{**SMALL, **settings, "graph": graph}), copy.deepcopy(splits)) for graph in ("off", "auto")]
    curves: list[list[dict[str, float]]] = [[], []]
    began = time.perf_counter()
    for run, curve in zip(runs, curves, strict=True):
        while not run.done:
            metrics = run.train_epoch()
            del metrics["seconds"]
            curve.append(metrics)
    off, auto = runs
    differing = [
        f"{key} of epoch {epoch}: {metrics.get(key)} and {value}"
        for epoch, (metrics, expected) in enumerate(zip(curves[1], curves[0], strict=True), 1)
        for key, value in expected.items()
        if metrics.get(key) != value
    ]
    state = _tensors(off.state_dict()), _tensors(auto.state_dict())
    if not differing and any(not torch.equal(a, b) for a, b in zip(*state, strict=True)):
        differing = ["the state at the end"]
    if off.device.type == "cuda" and not auto.steps.recorded:
        differing = ["no step was captured"]
    words = f"DIFFERS: {differing[0]}" if differing else "the same"
    graphs = f"{len(auto.steps.recorded)} graphs"
    print(f"{words:10s} {name} ({graphs}, {time.perf_counter() - began:.1f} s)", *auto.steps.warnings, flush=True)
    return not differing


def _noisy(splits: DataSplits) -> DataSplits:
    """Other labels than the true ones for two fifths of the images."""
    train = splits.train
    wrong = torch.arange(len(train)) % 5 < 2
    held = [Images(train.pixels, train.index[:100], train.targets[:100], train.class_names) for _ in range(2)]
    return DataSplits(train, (train.targets + 1) % train.classes * wrong + train.targets * ~wrong, *held)


def _tensors(thing: Any) -> list[torch.Tensor]:
    if isinstance(thing, torch.Tensor):
        return [thing]
    values = thing.values() if isinstance(thing, dict) else thing if isinstance(thing, list | tuple) else ()
    return [tensor for value in values for tensor in _tensors(value)]


def _device() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="All checks and benchmarks that need a GPU.")
    parser.add_argument("--only", choices=PARTS, nargs="+", help="parts, in this order (default: all)")
    parser.add_argument("--minutes", type=float, default=12.0, help="time for all (default: 12)")
    parser.add_argument("--out", type=Path, default=Path("cuda_results"), help="folder of the numbers")
    parser.add_argument("--toy", action="store_true", help="toy size, for a machine without a GPU")
    parser.add_argument("--check-same", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.check_same:
        return check_same()
    if not options.toy and not torch.cuda.is_available():
        parser.error("expected a GPU, got none; --toy runs all at toy size on the CPU")
    options.out = options.out.resolve()
    return min(1, run_parts(options))


if __name__ == "__main__":
    sys.exit(main())
