"""What a sweep says about itself: first to a spool on disk, then to MLflow as a view of it.

    driver ──append──▶ spool ──tail──▶ writer process ──batches──▶ MLflow ──reading──▶ notebooks
           < 1 ms       │                 (low priority)
                        └── harness.sync: what is left, or all of it again

- `spool`       the records and the file they are appended to; the standard library alone
- `uri`         which tracking server, whether it answers, and how to name it without its password
- `provenance`  commit, versions and hardware, for the sweep's own run
- `service`     the driver's handle: append, start the writer, wait for it at the end
- `changes`     a batch of records as one change per run
- `cursor`      how far a server has been fed
- `mirror`      changes → runs, parameters, curves and files of an MLflow server
- `writer`      the process that feeds the mirror from the spool, exactly once whatever is killed
- `machine`     how busy the driver's machine is, where that was asked for
- `models`      weights that trials left, as models that MLflow can load
- `reading`     sweeps read back from MLflow, as data frames

Only `mirror`, `models` and `reading` import mlflow, and the driver never does: a server that is slow, away or
broken delays the view and nothing else. The spool holds all there is, so that a view can be rebuilt into an
empty server at any time.
"""
