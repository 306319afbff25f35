"""`python -m harness.train --space label_lr.yaml --set label_lr=0.3`: one run, without a search.

Needs torch, torchvision, scikit-learn, PyYAML and pydantic alone. `train` is the function behind it.
"""

import argparse
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from harness import cli
from harness.common.callable_module import make_callable
from harness.common.errors import InputError
from harness.results.sweep_data import check_data, read_data
from harness.space import Space, load
from harness.tracking.spool import event_log, events
from harness.tracking.spool.events import EpochMetrics, TrialStarted
from harness.training.config.run_config import RunConfig, default_settings
from harness.training.errors import DivergenceError

EXAMPLES = """\
examples:
  python -m harness.train --space label_lr.yaml --set label_lr=0.3 --set epochs=20
  python -m harness.train --from runs/label_lr --trial 17      repeat a trial and compare it with its record

Settings that the space searches take the run's defaults unless --set says otherwise.

exit codes: 0 done · 1 the run diverged · 2 bad input · 130 interrupted"""

COLUMNS = {
    "train_loss": "train loss",
    "meta_loss": "meta loss",
    "val_accuracy": "val accuracy",
    "label_accuracy": "label accuracy",
    "noisy_labels_corrected": "corrected",
}

Curve = list[dict[str, float]]
AfterEpoch = Callable[[int, Mapping[str, float]], None]


def train(config: RunConfig, after_epoch: AfterEpoch | None = None, seeds: int = 1) -> Curve:
    """Train one configuration and return the metrics of each epoch (see `harness.training.metrics`).

    Args:
        after_epoch: called with number and metrics of each epoch that has ended.
        seeds: number of seeds, from the configuration's own on; the metrics are means over them.

    Raises:
        DivergenceError: a metric is no longer finite.
        DataError: the data cannot serve the run.
    """
    from harness.training.replicates import Replicates  # torch takes seconds to import

    run = Replicates(config, seeds)
    curve: Curve = []
    while not run.done:
        curve.append(run.train_epoch())
        for text in run.pop_warnings():
            warnings.warn(text, stacklevel=2)
        if after_epoch is not None:
            after_epoch(run.epoch, curve[-1])
    return curve


def default_config(space: Space, arm_name: str | None) -> RunConfig:
    """Return the fixed settings of an arm (by default the first), with the run's defaults for searched ones."""
    arms = {arm.name: arm for arm in space.arms}
    arm = arms.get(arm_name or space.arms[0].name)
    if arm is None:
        raise InputError(f"--arm: expected one of {', '.join(arms)}, got '{arm_name}'")
    defaults = default_settings(arm.method)
    return arm.config(arm.sample(lambda name, parameter: defaults[name]))


@cli.command()
def main(arguments: Sequence[str] | None = None) -> int:
    parser = cli.parser("harness.train", "Train one configuration, without a search.", EXAMPLES)
    source = parser.add_mutually_exclusive_group(required=True)
    cli.add_space_arguments(parser, source)
    source.add_argument("--from", type=Path, metavar="FOLDER", dest="sweep", help="a sweep's folder; with --trial")
    parser.add_argument("--trial", type=cli.whole_number, metavar="N", help="the trial of that sweep to repeat")
    parser.add_argument("--arm", metavar="NAME", help="an arm or baseline of the space (default: the first)")
    parser.add_argument(
        "--seed", type=cli.whole_number, metavar="N", help="seed of split, noise, initial weights and order"
    )
    parser.add_argument("--threads", type=cli.positive_int, default=1, metavar="N", help="torch threads (default: 1)")
    options = parser.parse_args(arguments)
    if (options.sweep is None) != (options.trial is None):
        parser.error("expected --from and --trial together")
    if options.sweep is not None and (options.overrides or options.arm or options.seed is not None):
        parser.error("expected no other setting beside --from and --trial: the trial's are repeated; or use --space")
    try:
        if options.sweep is not None:
            return _repeat_trial(options)
        overrides = [*options.overrides, *([] if options.seed is None else [f"seed={options.seed}"])]
        config = default_config(load(options.space, overrides), options.arm)
        print(read_data([config]).text, flush=True)
        _train_and_print(config, options.threads)
        return cli.DONE
    except DivergenceError as error:
        print(f"diverged: {error}", file=sys.stderr)
        return cli.NOTHING_COMPLETED


def _repeat_trial(options: argparse.Namespace) -> int:
    """Repeat a trial; the exit code says whether its metrics equal the recorded ones."""
    config, seeds, recorded = read_trial(options.sweep, options.trial)
    check_data([config], options.sweep, print, remedy="train without --from")
    curve = _train_and_print(config, options.threads, seeds)
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


def read_trial(sweep: Path, trial: int) -> tuple[RunConfig, int, dict[int, dict[str, float]]]:
    """Return a recorded trial: its settings, its number of seeds, and its metrics by epoch without wall-clock times."""
    if not (sweep / "spool").is_dir():
        raise InputError(f"--from {sweep}: expected a sweep's folder, got one without a spool; try runs/NAME")
    event_log.read_sweep_id(sweep / "spool")
    records = [record for record, _ in event_log.read_events(sweep / "spool")]
    started = {record.trial: record for record in records if isinstance(record, TrialStarted)}
    if trial not in started:
        choices = f"0 to {max(started)}" if started else "none"
        raise InputError(f"--trial: expected a trial of {sweep} ({choices}), got {trial}")
    curve = {
        record.step: {name: value for name, value in record.metrics.items() if name != "seconds"}
        for record in records
        if isinstance(record, EpochMetrics) and record.trial == trial
    }
    config = RunConfig.model_validate(dict(started[trial].params))
    return config, int(started[trial].tags.get(events.SEEDS_TAG, 1)), curve


def _train_and_print(config: RunConfig, threads: int, seeds: int = 1) -> Curve:
    """Train, print a line per epoch, and return the curve."""
    shown = config.other_than_default()
    if seeds > 1:
        shown["seed"] = f"{config.seed} to {config.seed + seeds - 1}, means over {seeds}"
    print(f"{config.method}: {', '.join(f'{key} {value}' for key, value in shown.items())}", flush=True)
    import torch  # takes seconds: after the first line

    torch.set_num_threads(threads)
    print("epoch  " + "  ".join(f"{title:>15}" for title in COLUMNS.values()), flush=True)
    return train(config, _print_epoch, seeds)


def _print_epoch(epoch: int, metrics: Mapping[str, float]) -> None:
    cells = (f"{metrics[name]:15.4f}" if name in metrics else f"{'–':>15}" for name in COLUMNS)
    print(f"{epoch:5d}  " + "  ".join(cells), flush=True)


make_callable(__name__, "train")

if __name__ == "__main__":
    sys.exit(main())
