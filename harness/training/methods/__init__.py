"""Methods by name, learned labels and what they are compared with: one file each, opening with equation and citation.

`protocol` says what a method is. To add one: a file here, a line in `METHODS`, its name in `RunConfig.method` and
what can be tuned of it among `RunConfig`'s fields.
"""

from collections.abc import Callable

from harness.training.methods.bootstrapping import Bootstrapping
from harness.training.methods.distillation import Distillation
from harness.training.methods.elr import EarlyLearningRegularisation
from harness.training.methods.fine_tuning import FineTuning
from harness.training.methods.gce import GeneralisedCrossEntropy
from harness.training.methods.label_smoothing import LabelSmoothing
from harness.training.methods.learned import Learned
from harness.training.methods.one_hot import OneHot
from harness.training.methods.online_label_smoothing import OnlineLabelSmoothing
from harness.training.methods.protocol import Batch, Method, Phase, Task
from harness.training.methods.reweighting import Reweighting

METHODS: dict[str, Callable[[Task], Method]] = {
    "learned": Learned,
    "one_hot": OneHot,
    "label_smoothing": LabelSmoothing,
    "fine_tuning": FineTuning,
    "bootstrapping": Bootstrapping,
    "gce": GeneralisedCrossEntropy,
    "elr": EarlyLearningRegularisation,
    "online_label_smoothing": OnlineLabelSmoothing,
    "reweighting": Reweighting,
    "distillation": Distillation,
}

__all__ = ["METHODS", "Batch", "Method", "Phase", "Task"]
