"""`python -m harness.distill NAME`: are the classifiers that a sweep found good teachers, learned labels' above all?

Soft labels that say which classes are alike should make a better teacher than hard ones; smoothed labels, which say
nothing of the kind, are known for better classifiers that teach worse (Müller, Kornblith and Hinton 2019,
arXiv:1906.02629). The best configuration of every arm of a finished sweep, by the sweep's own objective, teaches the
same small student; one more student has no teacher.

    1. Train each arm's best configuration on the seed that the students are searched on.
    2. Search the students: a sweep NAME-distill with an arm `from_ARM` per teacher, and `no_teacher` (`students`). All
       search the same training parameters with as many trials each; those with a teacher also the temperature and
       weight of distillation (`harness.training.methods.baselines.distillation`).
    3. Train the teachers again on fresh seeds, and measure them on the test part.
    4. Confirm the best student of each arm on these seeds (`harness.confirm`), in pairs.
    5. Put both side by side (`findings`): `distill.json` in the students' folder.

What keeps the comparison fair: a seed draws which images may be seen, so the student of a seed learns from the teacher
of that seed, and is validated on images that neither saw. The meta set is training data for every student. Teachers
were chosen by the sweep's search, with as many trials an arm, before any student was; the seeds here are none of it.
The test part is opened on the fresh seeds alone, and chooses nothing.
"""

from harness.distill.run import distill
from harness.distill.students import Students

__all__ = ["Students", "distill"]
