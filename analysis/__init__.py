"""Figures and tables of sweeps, read from MLflow alone: they work on any tracking server that holds the runs.

    study            the sweep that TRACKING_URI and STUDY name, as data frames, and what its arms came to
    response         validation accuracy over label_lr × meta_interval
    learning_curves  validation accuracy over the epochs, the best learned trials beside the best baselines
    correction       the share of wrong labels put right, and of right labels kept, over the epochs
    style            colours and lines that hold in grey and for the colour-blind
    execute          runs a notebook of this folder on a given study

Each figure is a function from a `Study` to a matplotlib figure; the notebooks hold prose and call them.
"""
