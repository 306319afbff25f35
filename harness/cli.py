"""Shared parts of the command lines: common arguments, exit codes, and how errors are printed."""

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from harness.common.errors import HarnessError
from harness.common.redaction import redact
from harness.common.tolerant_output import tolerant_output
from harness.common.urls import BadUrl, Url, parse_location
from harness.common.user_dirs import provide_user
from harness.space.errors.problems import printable

DONE, NOTHING_COMPLETED, BAD_INPUT, STOPPED, INTERRUPTED = 0, 1, 2, 3, 130


class Main(Protocol):
    """The `main` of a command: arguments without the program's name, by default those of the process; an exit code."""

    def __call__(self, arguments: Sequence[str] | None = None) -> int: ...


def command(interrupted: str = "nothing was changed") -> Callable[[Main], Main]:
    """Decorator of a command's `main`: an error for the user, or Ctrl-C, is printed and becomes the exit code.

    Output that cannot be written (`| head -1`, a full disk) is dropped.

    Args:
        interrupted: what is printed at Ctrl-C.
    """

    def decorate(main: Main) -> Main:
        def guarded(arguments: Sequence[str] | None = None) -> int:
            with tolerant_output():
                try:
                    provide_user()
                    return main(arguments)
                except HarnessError as error:
                    return print_error(error)
                except KeyboardInterrupt:
                    print(f"\ninterrupted: {interrupted}", file=sys.stderr)
                    return INTERRUPTED

        return guarded

    return decorate


def parser(module: str, description: str, epilog: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_space_arguments(
    arguments: argparse.ArgumentParser, choice: argparse._MutuallyExclusiveGroup | None = None
) -> None:
    """`--space` and `--set`; where a space is one choice of several, `choice` is their group."""
    (choice or arguments).add_argument(
        "--space",
        required=choice is None,
        metavar="FILE",
        help="the space file: a path, or the name of one in search_spaces/",
    )
    add_overrides(arguments, "override a key of the space file, or fix a setting of its runs (label_lr=0.3)")


def add_run_arguments(
    arguments: argparse.ArgumentParser, *, concurrency: str = "the search's", tracking: str = "the search's"
) -> None:
    """Options for where runs are computed, tracked and saved; `run_options` reads them.

    `concurrency` and `tracking` are the defaults of two of them, as the help describes them.
    """
    add_count(arguments, "--concurrency", f"runs at once (default: {concurrency})")
    arguments.add_argument("--address", help="address of a Ray cluster: auto, HOST:PORT (default: start one here)")
    arguments.add_argument("--tracking-uri", metavar="URI", help=f"MLflow's server or database (default: {tracking})")
    add_runs_dir(arguments)
    arguments.add_argument("-v", "--verbose", action="store_true", help="show each run's end, and Ray's log")


def run_options(options: argparse.Namespace) -> dict[str, Any]:
    """Keyword arguments of the functions behind the commands."""
    return {name: getattr(options, name) for name in ("runs_dir", "address", "tracking_uri", "verbose")}


def add_count(
    arguments: argparse.ArgumentParser, flag: str, words: str, *, default: int | None = None, metavar: str = "N"
) -> None:
    """An option whose value is a whole number from 1 up."""
    shown = words if default is None else f"{words} (default: {default})"
    arguments.add_argument(flag, type=positive_int, default=default, metavar=metavar, help=shown)


def add_overrides(arguments: argparse.ArgumentParser, words: str) -> None:
    arguments.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides", help=f"{words}; repeatable"
    )


def add_runs_dir(arguments: argparse.ArgumentParser | argparse._MutuallyExclusiveGroup) -> None:
    arguments.add_argument(
        "--runs-dir",
        type=runs_dir,
        default=Path("runs"),
        metavar="DIR",
        help="a folder, or an address in an object store, s3://BUCKET/PREFIX (default: runs)",
    )


def runs_dir(text: str) -> Path | Url:
    try:
        return parse_location(text)
    except BadUrl as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def positive_int(text: str) -> int:
    return whole_number(text, least=1)


def whole_number(text: str, least: int = 0) -> int:
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"expected a whole number from {least} up, got '{text}'")
    return int(text)


def positive_number(what: str, most: float = sys.float_info.max) -> Callable[[str], float]:
    """The type of an option whose value is a number of `what` above 0."""

    def convert(text: str) -> float:
        with suppress(ValueError):
            if 0 < float(text) <= most:
                return float(text)
        bound = f", {most:g} at most" if most < sys.float_info.max else ""
        raise argparse.ArgumentTypeError(f"expected a number of {what} above 0{bound}, got '{text}'")

    return convert


def print_error(error: Exception) -> int:
    """Print the problems of an error, one per line; return the exit code."""
    print_to_stderr(str(error))
    return error.exit_code if isinstance(error, HarnessError) else BAD_INPUT


def print_to_stderr(text: str) -> None:
    """Print lines to standard error, with control characters escaped and passwords removed."""
    for line in text.splitlines():
        print(printable(redact(line)), file=sys.stderr)
