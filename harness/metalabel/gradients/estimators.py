"""The estimators of the label gradient by name.

forward             exact; 8 F, with F one forward pass; holds the training activations during the meta pass
forward_recompute   exact; 9 F, with one batch's activations in memory at a time
double_backward     exact; the reference
finite_difference   approximate; for operations that cannot be differentiated twice
"""

from typing import Literal

from harness.metalabel.gradients.double_backward import double_backward
from harness.metalabel.gradients.finite_difference import finite_difference
from harness.metalabel.gradients.forward_mode import forward, forward_recompute
from harness.metalabel.gradients.passes import GradientEstimator

EstimatorName = Literal["forward", "forward_recompute", "double_backward", "finite_difference"]
ESTIMATORS: dict[str, GradientEstimator] = {
    "forward": forward,
    "forward_recompute": forward_recompute,
    "double_backward": double_backward,
    "finite_difference": finite_difference,
}


def find_estimator(name: str) -> GradientEstimator:
    """The estimator of this name; ValueError if there is none."""
    if name not in ESTIMATORS:
        raise ValueError(f"label_gradient: expected one of {', '.join(ESTIMATORS)}, got {name!r}")
    return ESTIMATORS[name]
