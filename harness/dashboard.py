"""Optuna's dashboard on a sweep, while it runs or afterwards: one study an arm, on this machine alone.

    python -m harness.dashboard NAME [--runs-dir runs] [--port 8080]

The dashboard can look and not change: what its buttons would write (a rename, a note, a deletion) is refused, as the
journal is the sweep. Needs the package optuna-dashboard, which `make` installs.
Exit codes: 0 done, 2 the input is wrong.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from harness import cli
from harness.sync import sweep_folder
from harness.tracking.spool.event_log import SpoolError
from harness.tuning.storage.runs_dir import Need, opened
from harness.tuning.storage.sweep_folder import FolderError

HOST, PORT = "127.0.0.1", 8080

EXAMPLES = """\
examples:
  python -m harness.dashboard label_lr
  python -m harness.dashboard label_lr --port 8081

exit codes: 0 done · 2 bad input"""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, *words: object) -> None:
        """Not a line a request."""


def server(folder: Path, port: int) -> WSGIServer:
    """What answers on 127.0.0.1:`port` (0: any that is free) for the sweep in `folder`.

    Raises:
        ImportError: optuna-dashboard is not installed.
        OSError: the folder holds no journal, or the port is taken.
    """
    from optuna_dashboard import wsgi  # seconds to import: not before the input is known to be good

    from harness.tuning.storage.sweep_folder import SweepFolder
    from harness.tuning.study.read_only import onlooker

    return make_server(HOST, port, wsgi(onlooker(SweepFolder(folder).journal)), _Server, _Quiet)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = cli.parser("harness.dashboard", "Optuna's dashboard on a sweep: it looks, and changes nothing.", EXAMPLES)
    parser.add_argument("name", metavar="NAME", help="the sweep, a folder in --runs-dir")
    cli.add_runs_dir(parser)
    parser.add_argument("--port", type=cli.positive_int, default=PORT, metavar="N", help=f"default: {PORT}")
    options = parser.parse_args(arguments)
    try:
        with opened(options.runs_dir, Need(options.name, writes=False, follows=True)) as runs:
            return _serve(server(sweep_folder(runs, options.name).parent, options.port), options)
    except (SpoolError, FolderError) as error:
        return cli.refuse(error)
    except ImportError:
        needed = "expected the package optuna-dashboard, which is not installed: pip install optuna-dashboard"
        print(needed, file=sys.stderr)
        return cli.BAD_INPUT
    except FileNotFoundError as error:
        print(f"NAME: expected the journal of a sweep at {error}, found none; run the search", file=sys.stderr)
        return cli.BAD_INPUT
    except (OSError, OverflowError) as error:
        told = f"--port: expected one that is free on {HOST}, got {options.port}: {error}; take another"
        print(told, file=sys.stderr)
        return cli.BAD_INPUT


def _serve(serving: WSGIServer, options: argparse.Namespace) -> int:
    print(f"{options.name}: http://{HOST}:{options.port}/dashboard/ (it changes nothing; Ctrl-C ends it)", flush=True)
    with serving:
        try:
            serving.serve_forever()
        except KeyboardInterrupt:
            print()
    return cli.DONE


if __name__ == "__main__":
    sys.exit(main())
