"""Figures, tables and pages of sweeps: read from MLflow alone, or from a sweep's own folder.

    study            a sweep as data frames, and what its arms came to
    comparison       several sweeps: what differs, and whether they compare at all

    response         validation accuracy over label_lr × meta_interval
    front            several objectives against each other, and their Pareto front
    surface          the same as a fitted surface, with what the trials leave open
    parallel         every searched parameter at once, a line a trial
    learning_curves  validation accuracy over the epochs, the best learned trials beside the best baselines
    correction       the share of wrong labels put right, and of right labels kept, over the epochs
    snapshots        the labels that a learned trial left behind, and the course they took
    fates            what became of each label, when, and of which classes
    mistakes         precision and recall of finding the wrong labels
    gallery          the images whose label moved most
    course           the best so far, what half the budget would have found, what pruning saved
    importance       which parameters decide: functional ANOVA of a random forest
    confirmation     test accuracy over fresh seeds, and the pairs behind a verdict
    semantics        which classes learned labels take to be alike, and whether a reference agrees
    alike            class labels as a matrix and a tree, and whether another seed gives the same
    style            colours and lines that hold in grey and for the colour-blind

    lessons          of a report: teachers beside students, labels beside a reference
    sections         the parts of a report      drawing    a figure as SVG whose points know their trials
    label_sections   those about the labels
    page             a page without network     markup     HTML in which every text is escaped
    execute          runs a notebook of this folder on a given study

    claims           the studies that speak to the paper's claims, run one after the other
    results          what they came to: RESULTS.md and its figures

Each figure is a function from a `Study` to a matplotlib figure; notebooks hold prose and call them, `harness.report`
and `harness.compare` put them on a page.
"""
