"""The search itself: Optuna's study is the truth, Ray Tune the muscle.

Deciding, without Ray (a simulation drives it as well as a cluster does):

    journal     the file below it all: opened, or refused in words
    ledger      what to try next, what was measured, how each trial ended; the journal's one writer
    adapters    a space's parameters, sampler and pruner in Optuna's words
    untried     suggestions of whole configurations: an even start, and nothing twice
    known       what is known of the trials of a study, kept up as they end
    rules       constraints, and when an arm had enough
    front       which of several objectives' points nothing dominates
    summary     what came out, as `summary.json` holds it
    simulated   a sweep in simulated time: decisions are real, results looked up

Running, on Ray:

    cluster     the one that was joined, or one started here (`address` asks whether there is one, and whether it wants
                a `token`, without Ray); `shared` asks whether all its nodes see the sweep's folder, `share` whether
                a trial fits into its share of a GPU
    searcher    lets Ray Tune ask the ledger and nobody else; `scheduler` lets it stop by the ledger's pruner alone
    trainable   what Ray starts on a worker; `work` is what it does there, and knows no Ray; `checkpoint` what it
                leaves; `limit` ends what hangs; `terms` are what it holds to
    losses      why a worker was lost, and how often a trial may lose one; `reasons` tell kinds of failure apart
    sweep       joins these and waits
    crew        workers for the runs of a confirmation, which `confirmation` chooses and keeps; and for teachers

On disk: `folder` knows what lies where in a sweep's folder, and who holds it; `relay` keeps the spool in step with the
journal.

In an object store, where nodes share no disk:

    runs        opens what --runs-dir names: a folder as it is, of a store a working copy
    mirror      keeps the copy and the store alike: `segments` of what only grows, whole files of the rest
    lease       which one driver is at a sweep
    store       files by name; the only module that knows pyarrow
    scratch     a trial's folder on its node, fetched and sent
    afar        where a worker finds a path of the driver's

Workers import this package too: keep this file free of imports that take time.
"""

import os

from harness.tuning.cluster.address import environment

os.environ |= environment()  # Ray reads it when it is imported, which any module of this package may be the first to do
