"""`python -m harness COMMAND …`, installed as `harness COMMAND …`: the same as `python -m harness.COMMAND …`."""

import difflib
import runpy
import sys
from collections.abc import Sequence

from harness.common.tolerant_output import tolerant_output

COMMANDS = {
    "search": ("--space label_lr.yaml", "search the hyperparameters of a space"),
    "confirm": ("label_lr", "compare a sweep's winner with the baselines on fresh seeds"),
    "distill": ("label_lr", "let a sweep's best classifiers teach smaller ones"),
    "semantics": ("label_lr", "test whether learned labels say which classes are alike"),
    "labels": ("label_lr", "list labels of the data that are probably wrong"),
    "compare": ("label_lr wide", "show sweeps side by side"),
    "report": ("label_lr", "write a sweep as one HTML page"),
    "sync": ("label_lr", "send to MLflow what it lacks of a sweep"),
    "submit": ("--space label_lr.yaml --runs-dir /shared/runs", "run a search as a job of a Ray cluster"),
    "ui": ("", "show the sweeps of a runs folder in MLflow's pages"),
    "dashboard": ("label_lr", "show a sweep in Optuna's dashboard"),
    "train": ("--space label_lr.yaml --set epochs=20", "train one configuration, without a search"),
    "space": ("", "print the reference of space files"),
}
"""Command → arguments of an example, and what the command does."""

BAD_INPUT = 2


def usage() -> str:
    """The commands, one line each with an example."""
    examples = {name: f"harness {name} {example}".rstrip() for name, (example, _) in COMMANDS.items()}
    width = max(map(len, examples.values()))
    lines = [f"  {examples[name]:{width}}  {summary}" for name, (_, summary) in COMMANDS.items()]
    return "\n".join(["usage: harness COMMAND [OPTION …]", "", *lines, "", "harness COMMAND --help lists its options."])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command in this process, as `python -m` would; it exits with its own code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    with tolerant_output():
        if not words or words[0] in ("-h", "--help"):
            print(usage())
            return 0
        command, *options = words
        if command not in COMMANDS:
            near = difflib.get_close_matches(command, COMMANDS, n=1)
            remedy = f"did you mean {near[0]}?" if near else f"use one of {', '.join(COMMANDS)}"
            print(f"harness: expected a command, got '{command}'; {remedy}", file=sys.stderr)
            return BAD_INPUT
        sys.argv = [sys.argv[0], *options]
        runpy.run_module(f"harness.{command}", run_name="__main__", alter_sys=True)
        return 0


if __name__ == "__main__":
    sys.exit(main())
