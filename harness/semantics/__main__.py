"""The command line of `harness.semantics.semantics`."""

import sys
from collections.abc import Sequence

from harness import cli
from harness.semantics.references import KINDS
from harness.semantics.run import semantics

EXAMPLES = """\
examples:
  python -m harness.semantics fashion_class_labels
  python -m harness.semantics fashion_class_labels --reference superclasses:search_spaces/superclasses/fashion.yaml

exit codes: 0 done · 1 no labels to read · 2 bad input · 130 interrupted, state kept"""


@cli.command("the finished models are kept, the same command goes on")
def main(arguments: Sequence[str] | None = None) -> int:
    parser = cli.parser(
        "harness.semantics",
        "Test whether learned labels take the same classes to be alike as a reference does.",
        EXAMPLES,
    )
    parser.add_argument("name", metavar="NAME", help="the sweep, a folder in --runs-dir")
    parser.add_argument(
        "--reference",
        metavar="KIND",
        help=f"{', '.join(KINDS)} (default: votes where the data set has them, else model)",
    )
    cli.add_count(parser, "--models", "models to train for --reference model", default=3)
    cli.add_count(parser, "--threads", "torch threads", default=1)
    cli.add_runs_dir(parser)
    options = parser.parse_args(arguments)
    import torch

    torch.set_num_threads(options.threads)
    outcome = semantics(
        options.name,
        reference=options.reference,
        models_of_reference=options.models,
        runs_dir=options.runs_dir,
        log=lambda text: print(text, flush=True),
    )
    from harness.semantics.terminal import show

    show(outcome)
    return cli.DONE


if __name__ == "__main__":
    sys.exit(main())
