"""Runs a notebook of this folder top to bottom on a sweep, and keeps the result with its figures.

    python -m analysis.execute analysis/label_lr.ipynb --out runs/label_lr.ipynb [--runs-dir DIR] [--study NAME]

The notebook itself stays as it is, without outputs. Exit codes: 0 done, 1 a cell failed, 2 the input is wrong.
"""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from traitlets.config import Config

from harness import cli
from harness.common.errors import InputError
from harness.common.socket_dir import make_socket_dir
from harness.tracking.child_process import child_environment
from harness.tracking.mlflow_view.mlflow_reader import MlflowReader
from harness.tracking.tracking_uri import resolve_uri
from harness.tuning.storage.workspace import local_runs_dir

CELL_TIMEOUT = 300  # seconds
ROOT = Path(__file__).parent.parent


def execute(notebook: Path, tracking_uri: str, study: str | None = None) -> NotebookNode:
    """`notebook` with its outputs, run on `study` (default: the newest); CellExecutionError where a cell fails."""
    content = nbformat.read(notebook, as_version=4)  # type: ignore[no-untyped-call]
    sockets = make_socket_dir(len("kernel-5"))
    client = NotebookClient(
        content,
        # sockets of this user, not of the network
        config=Config(KernelManager={"transport": "ipc", "ip": str(sockets / "kernel")}),
        kernel_name="python3",
        timeout=CELL_TIMEOUT,
        resources={"metadata": {"path": ROOT}},
    )
    try:
        environment = child_environment(TRACKING_URI=tracking_uri, STUDY=study or "")
        executed: NotebookNode = client.execute(env=environment)
    finally:
        shutil.rmtree(sockets, ignore_errors=True)
    return executed


@cli.command()
def main(arguments: Sequence[str] | None = None) -> int:
    parser = cli.parser(
        "analysis.execute",
        "Runs a notebook on a sweep, and keeps the result with its figures.",
        "example: python -m analysis.execute analysis/label_lr.ipynb --out runs/label_lr.ipynb",
    )
    parser.add_argument("notebook", type=Path, help="a notebook of analysis/")
    parser.add_argument("--out", type=Path, required=True, help="the notebook to write, with outputs")
    parser.add_argument("--tracking-uri", help="default: TRACKING_URI, else SQLite in the runs folder")
    cli.add_runs_dir(parser)
    parser.add_argument("--study", help="a study, sweep or run id (default: STUDY, else the newest sweep)")
    options = parser.parse_args(arguments)
    uri = resolve_uri(options.tracking_uri or os.environ.get("TRACKING_URI"), local_runs_dir(options.runs_dir))
    study = options.study or os.environ.get("STUDY") or None
    _check(options.notebook, options.out)
    MlflowReader(uri).sweep(study)
    try:
        executed = execute(options.notebook, uri, study)
    except CellExecutionError as error:
        print(f"{options.notebook}: a cell failed\n{error}", file=sys.stderr)
        return 1
    options.out.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(executed, options.out)  # type: ignore[no-untyped-call]
    print(options.out)
    return cli.DONE


def _check(notebook: Path, out: Path) -> None:
    if not notebook.is_file():
        others = sorted(str(path) for path in Path(__file__).parent.glob("*.ipynb"))
        raise InputError(f"NOTEBOOK: expected a notebook, got '{notebook}'; there are {', '.join(others)}")
    if out.suffix != ".ipynb":
        raise InputError(f"--out: expected a name that ends in .ipynb, got '{out}'")
    if out.resolve() == notebook.resolve():
        raise InputError("--out: expected another file than the notebook, which stays without outputs")


if __name__ == "__main__":
    sys.exit(main())
