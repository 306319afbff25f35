"""`python -m harness.confirm NAME`: does what the search found beat the baselines, and by how much?

A search picks the best of many trials, each measured once: its winner is in part the luckiest. The best `top`
configurations of every arm and the best one of every baseline are therefore trained again on the same n fresh seeds.
Each run opens the test part once, after its last epoch.

    run              the function `confirm`, which a notebook can call
    configurations   which configurations are trained, on which seeds
    plan             the runs and their result files; `plan_source` feeds them to the executor
    doubts           whether test images look like the other images
    evidence         results of a configuration over seeds; `findings` and `verdict` compare them
    terminal         what the command line of `__main__` prints

Which data each number is measured on, and what it decides:

    the search's validation part     which configurations are confirmed, of arms and baselines alike
    the seeds' validation parts      which of the arms' configurations the verdict is about
    the test part                    nothing: it is only measured

The verdict compares the configuration with the best mean on the seeds' validation parts with the best baseline. Both
choices could flatter it, since a seed that is lucky on validation images tends to be so on test images:

- Which of the K configurations of all arms is taken: each comparison is made at α/K (α = 0.05), so the interval
  holds whichever is chosen, by whatever rule. K counts every configuration of this sweep that was ever measured on the
  test part. The p-values, one family per baseline, are corrected by Holm's method; they may call a difference that the
  stricter interval does not, and the verdict goes by the interval.
- Which baseline is the best: none is picked. "Better than the best" is shown by being better than each
  (`harness.statistics.best_of`), so a lucky or an unlucky baseline cannot help.

A run that diverges is a result. An arm's configuration with such a run cannot be the one the verdict is about; a
baseline's is left out of the pairs of that seed, which favours the baseline.

The intervals cover the variation between seeds: training, split of the pool of images, and noise. They do not cover
that between test images. With the number of seeds fixed beforehand they are Student's. With `sequential`, seeds are
added until the interval excludes zero or the budget is spent, under a rule that is valid after every seed
(`harness.statistics.sequential.AnytimeValid`): the chance of a wrong verdict stays at most 5 %. A test at a fixed
number of seeds and another one after more seeds have two such chances; `evaluations` counts them, and a note says so.
"""

from harness.common.callable_module import make_callable
from harness.confirm.run import confirm

__all__ = ["confirm"]

make_callable(__name__, "confirm")
