"""Figures, tables and pages of sweeps, read from MLflow or from a sweep's own folder.

    frames/     a sweep as data frames: trials, arms, label snapshots; several sweeps compared; class similarity
    figures/    plots of a sweep, a module each; `style` draws them side by side in a notebook or one by one on a page
    report/     HTML pages: `sections` of one sweep (`harness.report`), `comparison_page` (`harness.compare`)
    paper/      the studies of the paper's claims, run one after the other, and RESULTS.md
    execute     runs a notebook of this folder on a sweep

A module of figures turns a `SweepFrame` (or labels, or a confirmation) into a list of plots; notebooks hold prose and
show these.
"""
