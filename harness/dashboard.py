"""Optuna's dashboard for a running or finished sweep, with one study per arm, on this machine only.

It is read-only: a rename, a note or a deletion is refused. Needs the package optuna-dashboard, which `make` installs.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from harness import cli
from harness.tuning.storage.sweep_folder import find_sweep
from harness.tuning.storage.workspace import SweepAccess, open_workspace

HOST, PORT = "127.0.0.1", 8080

EXAMPLES = """\
examples:
  python -m harness.dashboard label_lr
  python -m harness.dashboard label_lr --port 8081

exit codes: 0 done · 2 bad input"""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, *words: object) -> None:
        """Print nothing for a request."""


def make_dashboard(folder: Path, port: int) -> WSGIServer:
    """The server of the dashboard for the sweep in `folder`, on 127.0.0.1:`port` (0: any free port).

    Raises:
        ImportError: optuna-dashboard is not installed.
        OSError: the folder holds no journal, or the port is taken.
    """
    from optuna_dashboard import wsgi  # takes seconds to import

    from harness.tuning.storage.sweep_folder import SweepFolder
    from harness.tuning.study.journal import ReadOnlyStorage

    return make_server(HOST, port, wsgi(ReadOnlyStorage(SweepFolder(folder).journal)), _Server, _QuietHandler)


@cli.command()
def main(arguments: Sequence[str] | None = None) -> int:
    parser = cli.parser("harness.dashboard", "Open Optuna's dashboard on a sweep, read-only.", EXAMPLES)
    parser.add_argument("name", metavar="NAME", help="the sweep, a folder in --runs-dir")
    cli.add_runs_dir(parser)
    cli.add_count(parser, "--port", "port of the page", default=PORT)
    options = parser.parse_args(arguments)
    try:
        with open_workspace(options.runs_dir, SweepAccess(options.name, writes=False, follows=True)) as workspace:
            return _serve(make_dashboard(find_sweep(workspace.local, options.name), options.port), options)
    except ImportError:
        print("expected the package optuna-dashboard, found none: pip install optuna-dashboard", file=sys.stderr)
        return cli.BAD_INPUT
    except (OSError, OverflowError) as error:
        message = f"--port: expected a free port on {HOST}, got {options.port}: {error}; choose another"
        print(message, file=sys.stderr)
        return cli.BAD_INPUT


def _serve(server: WSGIServer, options: argparse.Namespace) -> int:
    print(f"{options.name}: http://{HOST}:{options.port}/dashboard/ (read-only; Ctrl-C ends it)", flush=True)
    with server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
    return cli.DONE


if __name__ == "__main__":
    sys.exit(main())
