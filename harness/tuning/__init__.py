"""The search itself: Optuna's study is the truth, Ray Tune the muscle.

`ledger` keeps the study: what to try next, what was measured, how each trial ended; it runs without Ray, and could be
driven by anything that can train. `adapters` turns a space's parameters, sampler and pruner into Optuna's. `searcher`
and `scheduler` let Ray Tune ask the ledger and nobody else; `trainable` is what Ray runs on a worker; `sweep` starts
Ray, joins these and waits. `folder` knows what lies where in a sweep's folder, and who holds it. `summary` writes down
what came out.

The packages below this one's `__init__` are imported by workers too: keep this file free of imports.
"""
