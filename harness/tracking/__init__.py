"""Tracking: events of a sweep go to an event log on disk, and from there to MLflow, which is a view of it.

    driver ──append──▶ event log ──tail──▶ writer process ──batches──▶ MLflow ──▶ notebooks
           < 1 ms         │                 (low priority)
                          └── harness.sync: what is left, or everything again

- `spool`         the event log on disk, and what is computed from it without MLflow
- `mlflow_view`   writing to MLflow and reading back; the only package that imports mlflow
- `tracked_sweep` a sweep read back as data frames, from its event log or from MLflow
- `tracker`       the driver's side: append, start the writer process, wait for it at the end
- `tracking_uri`  which tracking server, whether it answers, how to name it without its password
- `provenance`    commit, versions and hardware
- `child_process` environment of child processes

The driver does not wait for a server: one that is slow, unreachable or broken delays the view and nothing else. The
event log holds everything, so that a view can be rebuilt on an empty server at any time.
"""
