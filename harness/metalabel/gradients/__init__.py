"""Estimators of the label gradient ∂M/∂Y by name; `passes` has the training and the meta pass that they share."""

from typing import Literal

from harness.metalabel.gradients.double_backward import double_backward
from harness.metalabel.gradients.finite_difference import finite_difference
from harness.metalabel.gradients.forward_mode import forward, forward_recompute
from harness.metalabel.gradients.passes import GradientEstimator

EstimatorName = Literal["forward", "forward_recompute", "double_backward", "finite_difference"]
ESTIMATORS: dict[str, GradientEstimator] = {
    "forward": forward,  # exact
    "forward_recompute": forward_recompute,  # exact; slower, with less memory
    "double_backward": double_backward,  # exact; the reference
    "finite_difference": finite_difference,  # approximate; for operations that cannot be differentiated twice
}
REPEATING = ("forward_recompute", "finite_difference")
"""Estimators that repeat a pass with the same random numbers, so that they read the random state of the device."""
