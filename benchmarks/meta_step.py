"""Cost of a meta-step: this package, double backward by hand, `higher` 0.2.1 and `torchopt` 0.7.3.

    python benchmarks/meta_step.py                      # all workloads: a table, and meta_step.json beside this file
    python benchmarks/meta_step.py --workload mlp --rounds 9 --threads 2

A *step* is what one training iteration with a label gradient needs: the model's own gradient and optimiser step, and
∂M/∂Y. Peers compute ∂M/∂Y through a differentiable SGD step and get the model's gradient from the same pass, so that
nobody pays for a second training pass. Before anything is timed, all must agree on ∂M/∂Y from the same start. The rows
*head* and *block* are partial lookaheads, whose gradient is another one; how far off it is stands in the last rows.

Times: rounds interleave the steps in one process, in an order that rotates; a ratio is taken within a round, and the
median over rounds reported with its quartiles. On a CPU the clock is the process's computing time, so that others on
the machine weigh less; on a GPU it is the wall's. Memory: one process per step; peak resident size of two steps
above that after the model, its optimiser and the data were built and the libraries had been called once.
"""

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from harness.metalabel import (
    EstimatorName,
    InstanceLabels,
    LayerChoice,
    count_last_parameters,
    meta_step,
    soft_cross_entropy,
)
from harness.tracking.provenance import collect
from harness.training.models import build_model

LR = 0.1
CIFAR = (3, 32, 32)  # shape of an image


@dataclass(frozen=True)
class Batch:
    inputs: Tensor
    labels: Tensor  # [batch, classes], on the simplex
    meta_inputs: Tensor
    meta_targets: Tensor


@dataclass(frozen=True)
class Workload:
    """A model and the shape of its batches; `calls` are the steps timed together as one measurement."""

    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    classes: int
    batch: int
    meta_batch: int
    calls: int

    def draw(self, seed: int, device: torch.device, *, batch: int | None = None) -> Batch:
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator).to(device)

        train, meta = (batch or self.batch), (batch or self.meta_batch)
        return Batch(
            normal(train, *self.shape),
            (3 * normal(train, self.classes)).softmax(dim=-1),
            normal(meta, *self.shape),
            (3 * normal(meta, self.classes)).softmax(dim=-1),
        )


def mlp() -> nn.Module:
    """64 → 128 → 10, as on the digits of scikit-learn."""
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))


WORKLOADS = {
    "resnet18": Workload(
        lambda: build_model("resnet18", torch.Size(CIFAR), 100, 64), CIFAR, 100, batch=32, meta_batch=32, calls=1
    ),
    "cnn": Workload(
        lambda: build_model("cnn", torch.Size(CIFAR), 10, 32), CIFAR, 10, batch=128, meta_batch=128, calls=2
    ),
    "mlp": Workload(mlp, (64,), 10, batch=64, meta_batch=150, calls=200),
}


class TimedStep:
    """A training step to time, with its own copy of the model and the optimiser."""

    def __init__(self, model: nn.Module, channels_last: bool, autocast: bool) -> None:
        self.model = deepcopy(model)
        if channels_last:
            self.model = self.model.to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=LR, momentum=0.9)
        self.autocast = autocast
        self.device = next(self.model.parameters()).device

    def step(self, batch: Batch) -> Tensor | None:
        """Run one iteration; returns the label gradient, if the step computes one."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
            gradient = self.gradients(batch)
        self.optimizer.step()
        return gradient

    def gradients(self, batch: Batch) -> Tensor | None:
        raise NotImplementedError

    def keep(self, gradients: Sequence[Tensor]) -> None:
        for parameter, gradient in zip(self.model.parameters(), gradients, strict=True):
            parameter.grad = gradient.detach()


class Plain(TimedStep):
    """A training step without a label gradient: the unit."""

    def gradients(self, batch: Batch) -> Tensor | None:
        self.optimizer.zero_grad()
        soft_cross_entropy(self.model(batch.inputs), batch.labels).backward()  # type: ignore[no-untyped-call]
        return None


class MetaStep(TimedStep):
    """`harness.metalabel.meta_step`."""

    label_gradient: EstimatorName = "forward"
    layers: LayerChoice = "all"

    def __init__(self, model: nn.Module, channels_last: bool, autocast: bool) -> None:
        super().__init__(model, channels_last, autocast)
        self.last = count_last_parameters(self.model, self.layers)

    def gradients(self, batch: Batch) -> Tensor | None:
        batches = batch.inputs, batch.labels, batch.meta_inputs, batch.meta_targets
        options: dict[str, Any] = {"label_gradient": self.label_gradient, "last": self.last}
        return meta_step(self.model, self.optimizer, *batches, **options).gradient


class Head(MetaStep):
    layers = "head"


class Block(MetaStep):
    layers = "block"


class ForwardRecompute(MetaStep):
    label_gradient = "forward_recompute"


class DoubleBackward(MetaStep):
    label_gradient = "double_backward"


class FiniteDifference(MetaStep):
    label_gradient = "finite_difference"


class FunctionalCall(TimedStep):
    """Double backward written out with `torch.func.functional_call`, as one would by hand."""

    def gradients(self, batch: Batch) -> Tensor | None:
        labels = batch.labels.clone().requires_grad_()
        weights = dict(self.model.named_parameters())
        loss = soft_cross_entropy(self.model(batch.inputs), labels)
        gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
        ahead = {name: w - LR * g for (name, w), g in zip(weights.items(), gradients, strict=True)}
        buffers = {name: buffer.clone() for name, buffer in self.model.named_buffers()}
        meta_logits = torch.func.functional_call(self.model, {**ahead, **buffers}, batch.meta_inputs)
        (gradient,) = torch.autograd.grad(soft_cross_entropy(meta_logits, batch.meta_targets), labels)
        self.keep(gradients)
        return gradient


class PlainCompiled(Plain):
    """A training step through `torch.compile`."""

    def __init__(self, model: nn.Module, channels_last: bool, autocast: bool) -> None:
        super().__init__(model, channels_last, autocast)
        self.model.compile(dynamic=True)


class ForwardCompiled(PlainCompiled, MetaStep):
    """`harness.metalabel.meta_step` of a compiled model: the meta pass is compiled, the training pass is not."""

    gradients = MetaStep.gradients


class Higher(TimedStep):
    """facebookresearch/higher 0.2.1."""

    def gradients(self, batch: Batch) -> Tensor | None:
        import higher

        labels = batch.labels.clone().requires_grad_()
        inner = torch.optim.SGD(self.model.parameters(), lr=LR)
        kept: list[Tensor] = []

        def keep(gradients: list[Tensor]) -> list[Tensor]:
            kept.extend(gradients)
            return gradients

        with higher.innerloop_ctx(self.model, inner, copy_initial_weights=False) as (functional, stepper):
            stepper.step(soft_cross_entropy(functional(batch.inputs), labels), grad_callback=keep)
            meta_loss = soft_cross_entropy(functional(batch.meta_inputs), batch.meta_targets)
            (gradient,) = torch.autograd.grad(meta_loss, labels)
        self.keep(kept)
        return gradient


class TorchOpt(TimedStep):
    """metaopt/torchopt 0.7.3, `MetaSGD`."""

    def gradients(self, batch: Batch) -> Tensor | None:
        import torchopt

        labels = batch.labels.clone().requires_grad_()
        stepper = torchopt.MetaSGD(self.model, lr=LR)
        start = torchopt.extract_state_dict(self.model, by="reference")
        weights = list(self.model.parameters())
        stepper.step(soft_cross_entropy(self.model(batch.inputs), labels))
        ahead = list(self.model.parameters())
        meta_loss = soft_cross_entropy(self.model(batch.meta_inputs), batch.meta_targets)
        (gradient,) = torch.autograd.grad(meta_loss, labels)
        torchopt.recover_state_dict(self.model, start)
        with torch.no_grad():
            self.keep([(w - a) / LR for w, a in zip(weights, ahead, strict=True)])
        return gradient


STEPS: dict[str, type[TimedStep]] = {
    "plain": Plain,
    "forward": MetaStep,
    "head": Head,
    "block": Block,
    "forward recompute": ForwardRecompute,
    "double backward": DoubleBackward,
    "finite difference": FiniteDifference,
    "functional_call": FunctionalCall,
    "higher": Higher,
    "torchopt": TorchOpt,
}
PEERS = ("functional_call", "higher", "torchopt")
COMPILED: dict[str, type[TimedStep]] = {"plain compiled": PlainCompiled, "forward compiled": ForwardCompiled}


def available(names: Sequence[str]) -> list[str]:
    """The steps whose packages are installed; names the others on stderr."""
    found = []
    for name in names:
        if name in ("higher", "torchopt") and importlib.util.find_spec(name) is None:
            print(f"{name} is not installed, so it is left out: pip install '.[bench]'", file=sys.stderr)
        else:
            found.append(name)
    return found


def build_step(name: str, workload: Workload, options: argparse.Namespace) -> TimedStep:
    torch.manual_seed(0)
    model = workload.build().to(options.device).train()
    return (STEPS | COMPILED)[name](model, options.channels_last, options.autocast)


def draw_batch(workload: Workload, options: argparse.Namespace, *, batch: int | None = None) -> Batch:
    data = workload.draw(1, torch.device(options.device), batch=batch or options.batch)
    if options.channels_last and data.inputs.dim() == 4:
        return Batch(
            data.inputs.contiguous(memory_format=torch.channels_last),
            data.labels,
            data.meta_inputs.contiguous(memory_format=torch.channels_last),
            data.meta_targets,
        )
    return data


def clock(device: str) -> float:
    """Seconds: of the wall once the GPU has come to rest, or of this process's computing."""
    if device == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def agreement(names: Sequence[str], workload: Workload, options: argparse.Namespace) -> dict[str, float]:
    """Largest difference of each step's ∂M/∂Y from that of functional_call, over the largest entry, at one start."""
    batch = draw_batch(workload, options)
    gradients = {name: build_step(name, workload, options).step(batch) for name in names}
    reference = gradients["functional_call"]
    assert reference is not None
    top = float(reference.abs().max())
    return {
        name: float((gradient.double() - reference.double()).abs().max()) / top
        for name, gradient in gradients.items()
        if gradient is not None
    }


def timings(names: Sequence[str], workload: Workload, options: argparse.Namespace) -> dict[str, list[float]]:
    """Seconds per step, by name, one entry per round."""
    batch = draw_batch(workload, options)
    benches = {name: build_step(name, workload, options) for name in names}
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(options.rounds + 1):  # the first round warms up and is not kept
        order = [*names[turn % len(names) :], *names[: turn % len(names)]]
        for name in order:
            started = clock(options.device)
            for _ in range(workload.calls):
                benches[name].step(batch)
            if turn:
                seconds[name].append((clock(options.device) - started) / workload.calls)
    return seconds


def loop_ratios(workload: Workload, options: argparse.Namespace, interval: int) -> list[float]:
    """Whole loop with labels learned every `interval` steps over the loop that leaves them alone, one entry a round.

    Both gather their labels by rows; the learning one also updates them.
    """
    batch = draw_batch(workload, options)
    index = torch.arange(len(batch.labels), device=options.device)
    steps = max(interval, workload.calls // interval * interval)

    def run(bench: TimedStep, labels: InstanceLabels, learns: bool) -> float:
        started = clock(options.device)
        for step in range(steps):
            rows = labels.rows(index)
            if learns and step % interval == 0:
                with torch.autocast(options.device, torch.bfloat16, enabled=options.autocast):
                    result = meta_step(
                        bench.model, bench.optimizer, batch.inputs, rows, batch.meta_inputs, batch.meta_targets
                    )
                labels.update(index, result.gradient, label_lr=0.01, scale=result.scale)
                bench.optimizer.step()
            else:
                bench.step(Batch(batch.inputs, rows, batch.meta_inputs, batch.meta_targets))
        return clock(options.device) - started

    benches = [build_step("plain", workload, options) for _ in range(2)]
    ratios = []
    for turn in range(options.rounds + 1):
        fixed = run(benches[0], InstanceLabels.from_soft(batch.labels), learns=False)
        learned = run(benches[1], InstanceLabels.from_soft(batch.labels), learns=True)
        if turn:
            ratios.append(learned / fixed)
    return ratios


def resident_mib(field: str) -> float:
    """A line of /proc/self/status in MiB: VmRSS (now) or VmHWM (the peak)."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise LookupError(f"/proc/self/status has no {field}")


def memory_above_model(name: str, workload: Workload, options: argparse.Namespace) -> float:
    """Peak MiB of two steps above the model, its optimiser and the data; call it in a process of its own."""
    bench = build_step(name, workload, options)
    small = build_step(name, workload, options)
    small.step(draw_batch(workload, options, batch=2))  # loads the libraries' code
    del small
    bench.optimizer.zero_grad()
    batch = draw_batch(workload, options)
    if options.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated() / 2**20
    else:
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak starts again from here
        before = resident_mib("VmRSS")
    for _ in range(2):
        bench.step(batch)
    peak = torch.cuda.max_memory_allocated() / 2**20 if options.device == "cuda" else resident_mib("VmHWM")
    return peak - before


def memory_by_step(names: Sequence[str], workload: str, arguments: Sequence[str]) -> dict[str, float]:
    """`memory_above_model` of each step, each in a fresh process."""
    found = {}
    for name in names:
        command = [sys.executable, __file__, *arguments, "--workload", workload, "--memory-of", name]
        found[name] = float(subprocess.run(command, check=True, capture_output=True).stdout)
    return found


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def measure(name: str, options: argparse.Namespace, arguments: Sequence[str]) -> dict[str, Any]:
    """All numbers of one workload."""
    workload = WORKLOADS[name]
    names = available(list(STEPS))
    timed = [*names, *(COMPILED if options.compile else ())]
    error = agreement(timed, workload, options)
    # Lookaheads in float32 differ by a rounding, which ResNet18's normalisations magnify to 2e-3.
    allowed = {"finite difference": 0.2} | (
        {} if options.autocast else dict.fromkeys(("forward", "forward recompute", *PEERS), 5e-3)
    )
    for method, value in error.items():
        if value > allowed.get(method, float("inf")):
            raise SystemExit(f"{name}: {method} differs from functional_call by {value:.1e} of the largest entry")
    seconds = timings(timed, workload, options)
    memory = {} if options.no_memory else memory_by_step(names, name, arguments)
    peers = [peer for peer in PEERS if peer in names]
    leanest = min((memory[peer] for peer in peers if memory), default=0.0)
    plain = seconds["plain"]
    rounds = range(len(plain))
    result: dict[str, Any] = {
        "plain_ms": quartiles([1e3 * s for s in plain]),
        "over_plain": {m: quartiles([seconds[m][r] / plain[r] for r in rounds]) for m in timed if m != "plain"},
        "fastest_peer_over_forward": quartiles(
            [min(seconds[peer][r] for peer in peers) / seconds["forward"][r] for r in rounds]
        ),
        "memory_mib": memory,
        "memory_over_leanest_peer": {
            # Below a MiB there is nothing to compare: pages that the allocator holds already are used again.
            m: memory[m] / leanest if leanest > 1 else None
            for m in ("forward", "forward recompute")
            if m in memory
        },
        "loop_at_interval_5_over_plain_loop": quartiles(loop_ratios(workload, options, 5)),
        "relative_error": error,
    }
    return result


def table(results: dict[str, dict[str, Any]]) -> str:
    """The numbers as Markdown: one row per step, one column per workload."""
    lines = ["| | " + " | ".join(results) + " |", "| --- |" + " --- |" * len(results)]

    def row(title: str, cells: Sequence[str]) -> None:
        lines.append(f"| {title} | " + " | ".join(cells) + " |")

    def spread(q: Sequence[float]) -> str:
        return f"{q[1]:.2f} ({q[0]:.2f}–{q[2]:.2f})"

    every = list(results.values())
    row("plain step, ms", [spread(r["plain_ms"]) for r in every])
    for method in every[0]["over_plain"]:
        row(f"{method} ÷ plain", [spread(r["over_plain"][method]) for r in every])
    row("fastest peer ÷ forward", [spread(r["fastest_peer_over_forward"]) for r in every])
    row("loop at interval 5 ÷ plain loop", [spread(r["loop_at_interval_5_over_plain_loop"]) for r in every])
    for method in every[0]["memory_mib"]:
        row(f"{method}: peak memory, MiB", [f"{r['memory_mib'][method]:.0f}" for r in every])
    for method in every[0]["memory_over_leanest_peer"]:
        shares = [r["memory_over_leanest_peer"][method] for r in every]
        row(f"{method}: memory ÷ leanest peer's", ["–" if share is None else f"{share:.2f}" for share in shares])
    for method in every[0]["relative_error"]:
        row(f"{method}: largest error ÷ largest entry", [f"{r['relative_error'][method]:.0e}" for r in every])
    return "\n".join(lines)


def provenance(options: argparse.Namespace) -> dict[str, Any]:
    """Where and with what the numbers were taken."""
    settings = ("device", "threads", "rounds", "channels_last", "autocast", "compile")
    return collect().model_dump() | {name: getattr(options, name) for name in settings}


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What a meta-step costs, beside its peers.")
    parser.add_argument("--workload", choices=WORKLOADS, action="append", help="default: all")
    parser.add_argument("--rounds", type=int, default=11, help="interleaved rounds, at least 2")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of torch")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--batch", type=int, help="batch and meta batch, in place of the workload's own")
    parser.add_argument("--channels-last", action="store_true", help="models and images in channels_last")
    parser.add_argument("--compile", action="store_true", help="also time the plain and the forward step compiled")
    parser.add_argument("--autocast", action="store_true", help="bfloat16 autocast")
    parser.add_argument("--no-memory", action="store_true", help="leave out the memory, a process for each step")
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--memory-of", choices=STEPS, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main() -> None:
    options = parse_arguments()
    torch.set_num_threads(options.threads)
    if options.memory_of:
        print(memory_above_model(options.memory_of, WORKLOADS[options.workload[-1]], options))
        return
    passed = [argument for argument in sys.argv[1:] if argument != "--memory-of"]
    results = {}
    for name in options.workload or WORKLOADS:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        results[name] = measure(name, options, passed)
    print(table(results))
    options.json.write_text(
        json.dumps({"provenance": provenance(options), "workloads": results}, indent=2) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
