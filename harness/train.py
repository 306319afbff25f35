"""`python -m harness.train --space label_lr.yaml --set label_lr=0.3`: one run, here and now, without any search.

Needs torch, torchvision, scikit-learn, PyYAML and pydantic, and nothing else. The command line is the thin face of
`train`, which a notebook can call with a `RunConfig`.
"""

import sys
from collections.abc import Callable, Mapping, Sequence

from harness import cli
from harness.space import Space, SpaceError, load
from harness.training.config import RunConfig

EXAMPLES = """\
example:
  python -m harness.train --space label_lr.yaml --set label_lr=0.3 --set epochs=20

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


def train(config: RunConfig, after_epoch: Callable[[int, Mapping[str, float]], None] | None = None) -> Curve:
    """Run `config` to its end; returns the metrics after each epoch (see `harness.training.metrics`).

    Raises:
        Diverged: a metric left the finite numbers.
        DataError: the data cannot serve the run.
    """
    from harness.training.run import Run  # torch takes seconds to import; bad input is told before

    run = Run(config)
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
    return chosen.config(chosen.draw(lambda name, parameter: defaults[name].default))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = cli.parser("harness.train", "One run of one arm of a space, without a search.", EXAMPLES)
    cli.add_space_arguments(parser)
    parser.add_argument("--arm", metavar="NAME", help="which arm or baseline to run (default: the first)")
    parser.add_argument("--seed", type=cli.seed, help="draws split, noise, initial weights and order")
    parser.add_argument("--threads", type=cli.positive_int, default=1, help="torch threads (default: 1)")
    options = parser.parse_args(arguments)
    overrides = [*options.overrides, *([] if options.seed is None else [f"seed={options.seed}"])]
    try:
        space = load(options.space, overrides)
    except SpaceError as error:
        return cli.refuse(error)
    names = [arm.name for arm in space.arms]
    if options.arm is not None and options.arm not in names:
        return cli.refuse(ValueError(f"--arm: expected one of {', '.join(names)}, got '{options.arm}'"))
    return _print_run(settings(space, options.arm), options.threads)


def _print_run(config: RunConfig, threads: int) -> int:
    shown = config.model_dump(exclude_defaults=True)
    print(f"{config.method}: {', '.join(f'{key} {value}' for key, value in shown.items())}", flush=True)
    import torch  # after the first line is shown: it takes seconds

    from harness.training.data import DataError
    from harness.training.run import Diverged

    torch.set_num_threads(threads)
    print("epoch  " + "  ".join(f"{title:>15}" for title in COLUMNS.values()), flush=True)
    try:
        train(config, _print_epoch)
    except DataError as error:
        return cli.refuse(error)
    except Diverged as error:
        print(f"diverged: {error}", file=sys.stderr)
        return cli.NOTHING_COMPLETED
    return cli.DONE


def _print_epoch(epoch: int, metrics: Mapping[str, float]) -> None:
    cells = (f"{metrics[name]:15.4f}" if name in metrics else f"{'–':>15}" for name in COLUMNS)
    print(f"{epoch:5d}  " + "  ".join(cells), flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(cli.INTERRUPTED)
