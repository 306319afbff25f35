"""MLflow as a view of a sweep; the only package that imports mlflow.

- `mlflow_writer`     update runs on a server from events
- `writer_process`    the process that feeds the writer from the event log
- `mlflow_reader`     sweeps read back as data frames
- `logged_models`     weights that trials left, as models that MLflow can load
- `system_metrics`    load of the driver's machine
- `mlflow_internals`  what is used of MLflow outside of its documented API
"""

import os

# MLflow reads these when it is imported.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
