"""The teachers: the best configuration of each arm, trained again on the students' seeds.

    runs/NAME/distill/ARM-TRIAL/SEED/  result.json  logits.npz  labels.npz

On the first seed the students are searched: no test image is seen there. On the others they are confirmed.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.confirm.configurations import Configuration
from harness.confirm.plan import SeedPlan
from harness.training.config.teacher_files import LOGITS_FILE


def teacher_plan(
    teachers: Sequence[Configuration], seeds: Iterator[int], sweep: Path, *, evaluate_test: bool
) -> SeedPlan:
    """The runs of the teachers of the sweep in the folder `sweep`; a teacher without its logits is trained again."""
    return SeedPlan(
        teachers,
        seeds,
        sweep / "distill",
        kind="teacher",
        at_end=("export_logits", "evaluate_test") if evaluate_test else ("export_logits",),
        required=LOGITS_FILE,
    )
