"""The maths of learned soft labels (arXiv:2009.09496): torch tensors in, torch tensors out.

    L(θ, Y) = -(1/B) Σ_i Σ_c y_ic log p_c(x_i; θ)        losses
    θ'(Y)   = θ - update(∇θ L)                           lookahead: the optimiser's next step
    M(Y)    = cross-entropy of the meta batch at θ'      gradients.passes
    ∂M/∂Y                                                gradients: estimators, by name
    Y ← Π(Y - β · scaled ∂M/∂Y)                          labels, parametrisation, simplex

`step` has the two entry points: `meta_step` for a training loop, which also computes the model's own gradients, and the
pure function `compute_label_gradient`; `layers` counts the parameters of a partial lookahead. `model_state` restores
what a pass may change, `checks` validates arguments, and `torch_internals` holds the private names of torch. It needs
torch alone.
"""

from harness.metalabel.gradients import EstimatorName
from harness.metalabel.gradients.passes import MetaStep
from harness.metalabel.gradients.tangent_rules import NoForwardRule
from harness.metalabel.labels import ClassLabels, InstanceLabels
from harness.metalabel.layers import LayerChoice, count_last_parameters
from harness.metalabel.losses import soft_cross_entropy
from harness.metalabel.parametrisation import ExponentiatedGradient, Parametrisation, Simplex, Softmax
from harness.metalabel.simplex import project_onto_simplex
from harness.metalabel.step import compute_label_gradient, meta_step

__all__ = [
    "ClassLabels",
    "EstimatorName",
    "ExponentiatedGradient",
    "InstanceLabels",
    "LayerChoice",
    "MetaStep",
    "NoForwardRule",
    "Parametrisation",
    "Simplex",
    "Softmax",
    "compute_label_gradient",
    "count_last_parameters",
    "meta_step",
    "project_onto_simplex",
    "soft_cross_entropy",
]
