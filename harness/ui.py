"""MLflow's pages on a runs folder, on this machine only.

    python -m harness.ui [--runs-dir runs] [--port 5000]

MLflow is started inside of the runs folder, whose path may hold any character.
"""

import os
import sys
from collections.abc import Sequence

from harness import cli
from harness.common.errors import InputError
from harness.tracking.tracking_uri import check_server, resolve_uri, sqlite_path, sqlite_uri
from harness.tuning.storage.workspace import local_runs_dir

HOST, PORT = "127.0.0.1", 5000

EXAMPLES = """\
examples:
  python -m harness.ui
  python -m harness.ui --runs-dir /data/runs --port 5001

exit codes: 0 done · 2 bad input"""


@cli.command()
def main(arguments: Sequence[str] | None = None) -> int:
    parser = cli.parser("harness.ui", "Open MLflow's pages on a runs folder; Ctrl-C ends them.", EXAMPLES)
    cli.add_runs_dir(parser)
    parser.add_argument("--tracking-uri", metavar="URI", help="an SQLite database (default: that of the runs folder)")
    cli.add_count(parser, "--port", "port of the pages", default=PORT)
    options = parser.parse_args(arguments)
    uri = resolve_uri(options.tracking_uri, local_runs_dir(options.runs_dir))
    check_server(uri)
    database = sqlite_path(uri)
    if database is None:
        raise InputError(f"--tracking-uri: expected sqlite:////PATH/mlflow.db, got {uri}, which has pages of its own")
    if not database.exists():
        raise InputError(f"--runs-dir: expected MLflow's database at {database}, found none; run a search first")
    from harness.tracking.mlflow_view.mlflow_internals import (
        update_artifact_locations,
    )  # MLflow takes seconds to import

    update_artifact_locations(database)
    os.chdir(database.parent)
    # A relative URI: MLflow would make the folder of an absolute one, as it is quoted there.
    store = "sqlite:///" + sqlite_uri(database).rpartition("/")[2]
    command = [sys.executable, "-P", "-m", "mlflow", "ui", "--backend-store-uri", store]
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    os.execv(sys.executable, [*command, "--host", HOST, "--port", str(options.port)])


if __name__ == "__main__":
    sys.exit(main())
