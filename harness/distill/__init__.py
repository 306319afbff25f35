"""`python -m harness.distill NAME`: do the classifiers that a sweep found teach well, learned labels' above all?

Soft labels that say which classes are alike should make a better teacher than hard ones; smoothed labels, which say
nothing of the kind, are known for better classifiers that teach worse (Müller, Kornblith and Hinton 2019,
arXiv:1906.02629). So the best configuration of every arm of a finished sweep, by the sweep's own objective, teaches the
same small student, and one student has no teacher:

    teachers   each arm's best, trained anew on the seed that the students are searched on
    students   a sweep of its own, NAME-distill: an arm a teacher, `from_ARM`, and `untaught`; all search the same
               parameters of training with as many trials each, the taught ones temperature and weight of distillation
               (`harness.training.methods.baselines.distillation`) beside them
    teachers   again, on fresh seeds, their own test accuracy measured
    students   the best of each arm on these seeds, by `harness.confirm`: paired, and judged as it judges

    sitting    the function `distill`, which a notebook can call
    findings   what came of it → `distill.json`, in the students' folder
    terminal   what the command line of `__main__` prints

What keeps the comparison fair. A seed draws which images may be seen, so the student of a seed learns from the teacher
of that seed, and is validated on images that neither saw. The meta set is training data for every student. Teachers
were chosen by the sweep's search, with as many trials an arm, before any student was; the seeds here are none of it.
The test part is opened on the fresh seeds alone, and chooses nothing.
"""

from harness.distill.run import distill
from harness.distill.students import Students

__all__ = ["Students", "distill"]
