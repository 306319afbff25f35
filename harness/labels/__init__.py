"""`python -m harness.labels NAME`: which labels of the data set are probably wrong, by the soft labels of a sweep?

    margin_i = y_i,given - max_{c ≠ given} y_ic        -1: all mass on another class; 1: all on the given one

Labels are ranked by their margin, the lowest first. A correction is proposed where it is below 0: another class has
more of the label's mass than the given one. This cut is not tuned. Where true classes are known, its precision and
recall and the average precision of the ranking are measured.

The labels are the mean over the seeds of a confirmed configuration: each seed draws other training images, so together
they cover nearly all; without a confirmation they are those of the search's best trial. Simulated noise is drawn anew
by each seed: then only the first run is read.

    run          the function `labels`, which a notebook can call
    label_runs   which runs, and the mean of their labels
    ranking      the ranking: table, sentences, precision and recall
    terminal     what the command line of `__main__` prints

The page with the pictures is `analysis.report.labels_page`.
"""

from harness.common.callable_module import make_callable
from harness.labels.ranking import LabelRanking
from harness.labels.run import labels

__all__ = ["LabelRanking", "labels"]

make_callable(__name__, "labels")
