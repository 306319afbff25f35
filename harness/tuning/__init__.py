"""The search: Optuna decides what to try, Ray Tune runs it.

    execution   runs the trials of a `TrialSource` on Ray Tune: one executor for searches, confirmations and teachers
    cluster     the Ray cluster: join or start one, its free resources, whether its nodes share the runs folder
    study       every trial of a sweep in one Optuna journal: suggestions, pruning, ends. Knows no Ray
    worker      one trial on a worker: its runs, checkpoints, time limit, failures. Knows no Ray
    storage     sweep folders and runs folders, local or in an object store. Knows no Optuna
    trial       the configuration that a source hands to the executor, and the executor to a worker
    failures    the kinds of failures of a trial

Workers import this package too: this file imports nothing that takes time.
"""

import os

# Read by Ray when it is imported, which any module of this package may do first; what the user set wins.
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
