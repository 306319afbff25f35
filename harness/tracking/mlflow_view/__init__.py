"""MLflow as a view of a sweep; the only package that imports mlflow.

- `mlflow_writer`     update runs on a server from events
- `writer_process`    the process that feeds the writer from the event log
- `mlflow_reader`     sweeps read back as data frames
- `logged_models`     weights that trials left, as models that MLflow can load
- `system_metrics`    load of the driver's machine
- `mlflow_internals`  names outside of MLflow's documented API
"""
