"""`python -m harness.train --space label_lr.yaml --set label_lr=0.3`: one run, here and now, without any search.

Needs torch, torchvision, scikit-learn, PyYAML and pydantic, and nothing else. The command line is the thin face of
`train`, which a notebook can call with a `RunConfig`.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from harness import cli
from harness.common.callable_module import make_callable
from harness.space import Space, SpaceError, load
from harness.tracking.spool import event_log, events
from harness.tracking.spool.event_log import EventLogError
from harness.tracking.spool.events import EpochMetrics, TrialStarted
from harness.training.config.checks import check_data
from harness.training.config.run_config import RunConfig

EXAMPLES = """\
examples:
  python -m harness.train --space label_lr.yaml --set label_lr=0.3 --set epochs=20
  python -m harness.train --from runs/label_lr --trial 17      a trial of a sweep again, beside what was recorded

Settings that the space searches take the run's defaults unless --set says otherwise.

exit codes: 0 done · 1 the run diverged · 2 bad input · 130 interrupted"""

COLUMNS = {
    "train_loss": "train loss",
    "meta_loss": "meta loss",
    "val_accuracy": "val accuracy",
    "label_accuracy": "labels right",
    "noisy_labels_corrected": "wrong put right",
}

Curve = list[dict[str, float]]


def train(
    config: RunConfig, after_epoch: Callable[[int, Mapping[str, float]], None] | None = None, seeds: int = 1
) -> Curve:
    """Run `config` to its end; returns the metrics after each epoch (see `harness.training.metrics`).

    On several seeds, from the configuration's own up, these are means (see `harness.training.replicates`).

    Raises:
        Diverged: a metric left the finite numbers.
        DataError: the data cannot serve the run.
    """
    from harness.training.replicates import Replicates  # torch takes seconds to import; bad input is told before

    run = Replicates(config, seeds)
    curve: Curve = []
    while not run.done:
        curve.append(run.train_epoch())
        if after_epoch is not None:
            after_epoch(run.epoch, curve[-1])
    return curve


def settings(space: Space, arm: str | None) -> RunConfig:
    """The run of one arm with nothing searched: fixed settings, and defaults for the rest.

    Raises:
        KeyError: there is no such arm.
    """
    chosen = space.arms[0] if arm is None else {each.name: each for each in space.arms}[arm]
    defaults = RunConfig.model_fields
    return chosen.config(chosen.sample(lambda name, parameter: defaults[name].default))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = cli.parser("harness.train", "One run, without a search.", EXAMPLES)
    what = parser.add_mutually_exclusive_group(required=True)
    cli.add_space_arguments(parser, what)
    what.add_argument("--from", type=Path, metavar="FOLDER", dest="sweep", help="a sweep's folder; with --trial")
    parser.add_argument("--trial", type=cli.whole_number, metavar="N", help="which trial of that sweep")
    parser.add_argument("--arm", metavar="NAME", help="which arm or baseline of the space (default: the first)")
    parser.add_argument("--seed", type=cli.whole_number, help="draws split, noise, initial weights and order")
    parser.add_argument("--threads", type=cli.positive_int, default=1, help="torch threads (default: 1)")
    options = parser.parse_args(arguments)
    if (options.sweep is None) != (options.trial is None):
        parser.error("expected --from and --trial together")
    if options.sweep is not None:
        if options.overrides or options.arm or options.seed is not None:
            parser.error("expected nothing beside --from and --trial: the trial says it all; see --space for more")
        return _repeat(options.sweep, options.trial, options.threads)
    return _run_arm(options)


def _repeat(sweep: Path, trial: int, threads: int) -> int:
    """A trial again; the exit code says whether it gave what was recorded."""
    try:
        config, seeds, recorded = recall(sweep, trial)
    except (LookupError, EventLogError) as error:
        return cli.refuse(error)
    code, curve = _print_run(config, threads, seeds)
    if code != cli.DONE:
        return code
    differing = [
        epoch
        for epoch, metrics in recorded.items()
        if epoch > len(curve) or any(curve[epoch - 1].get(name) != value for name, value in metrics.items())
    ]
    if not recorded:
        print("nothing was recorded of this trial")
    elif differing:
        print(f"differs from what was recorded from epoch {differing[0]} on: other code, libraries or hardware?")
    else:
        print(f"equal to what was recorded, bit for bit, in all {len(recorded)} epochs")
    return cli.NOTHING_COMPLETED if differing else cli.DONE


def recall(sweep: Path, trial: int) -> tuple[RunConfig, int, dict[int, dict[str, float]]]:
    """A trial of a sweep as it was recorded: its settings, on how many seeds, and its metrics by epoch.

    Wall-clock times are not among these.

    Raises:
        LookupError: there is no such sweep or trial.
        EventLogError: the sweep's records cannot be read.
    """
    if not (sweep / "spool").is_dir():
        raise LookupError(f"--from {sweep}: expected a sweep's folder, got one without a spool; try runs/NAME")
    event_log.read_sweep_id(sweep / "spool")
    config: RunConfig | None = None
    seeds = 1
    curve: dict[int, dict[str, float]] = {}
    numbers: set[int] = set()
    for record, _ in event_log.read_events(sweep / "spool"):
        if isinstance(record, TrialStarted):
            numbers.add(record.trial)
            if record.trial == trial:
                config = RunConfig.model_validate(dict(record.params))
                seeds = int(record.tags.get(events.SEEDS_TAG, 1))
        elif isinstance(record, EpochMetrics) and record.trial == trial:
            curve[record.step] = {name: value for name, value in record.metrics.items() if name != "seconds"}
    if config is None:
        there = f"0 to {max(numbers)}" if numbers else "none"
        raise LookupError(f"--trial: expected a trial of {sweep} ({there}), got {trial}")
    return config, seeds, curve


def _run_arm(options: argparse.Namespace) -> int:
    overrides = [*options.overrides, *([] if options.seed is None else [f"seed={options.seed}"])]
    try:
        space = load(options.space, overrides)
    except SpaceError as error:
        return cli.refuse(error)
    names = [arm.name for arm in space.arms]
    if options.arm is not None and options.arm not in names:
        return cli.refuse(ValueError(f"--arm: expected one of {', '.join(names)}, got '{options.arm}'"))
    config = settings(space, options.arm)
    problems = check_data(config)
    if problems:
        return cli.refuse(ValueError("\n".join(problems)))
    return _print_run(config, options.threads)[0]


def _print_run(config: RunConfig, threads: int, seeds: int = 1) -> tuple[int, Curve]:
    """Train with the curve on the screen; the exit code, and the curve."""
    shown = config.model_dump(exclude_defaults=True)
    if seeds > 1:
        shown["seed"] = f"{config.seed} to {config.seed + seeds - 1}, means over {seeds}"
    print(f"{config.method}: {', '.join(f'{key} {value}' for key, value in shown.items())}", flush=True)
    import torch  # after the first line is shown: it takes seconds

    from harness.training.data import DataError
    from harness.training.run import Diverged

    torch.set_num_threads(threads)
    print("epoch  " + "  ".join(f"{title:>15}" for title in COLUMNS.values()), flush=True)
    try:
        return cli.DONE, train(config, _print_epoch, seeds)
    except DataError as error:
        return cli.refuse(error), []
    except Diverged as error:
        print(f"diverged: {error}", file=sys.stderr)
        return cli.NOTHING_COMPLETED, []


def _print_epoch(epoch: int, metrics: Mapping[str, float]) -> None:
    cells = (f"{metrics[name]:15.4f}" if name in metrics else f"{'–':>15}" for name in COLUMNS)
    print(f"{epoch:5d}  " + "  ".join(cells), flush=True)


make_callable(__name__, "train")

if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(cli.INTERRUPTED)
