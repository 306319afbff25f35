"""The maths of labels that learn (arXiv:2009.09496): torch tensors in, torch tensors out.

    L(θ, Y) = -(1/B) Σ_i Σ_c y_ic log p_c(x_i; θ)        losses
    θ'(Y)   = θ - update(∇θ L)                           lookahead: the step that the optimiser will take
    M(Y)    = cross-entropy of the meta batch at θ'      methods: the passes shared by all
    ∂M/∂Y                                                forward (default), reverse, finite_difference
    Y ← Π(Y - β · scaled ∂M/∂Y)                          labels, simplex; schedule says when

Two ways in (`step`): `meta_step` inside a training loop, which also leaves the model's own gradients, and the pure
function `label_gradient`. Forward mode rests on `pushforward`, a Jacobian-vector product read off the training pass's
autograd graph, with the rules of `tangent_rules`.
"""

from harness.metalabel.gradients.estimators import MetaStep
from harness.metalabel.gradients.tangent_rules import NoForwardRule
from harness.metalabel.labels import (
    ClassLabels,
    Exponentiated,
    Given,
    InstanceLabels,
    Labels,
    OneHot,
    Parametrisation,
    Simplex,
    Softmax,
    Start,
)
from harness.metalabel.losses import soft_cross_entropy
from harness.metalabel.schedule import LabelSchedule
from harness.metalabel.simplex import project_onto_simplex
from harness.metalabel.step import MethodName, label_gradient, meta_step

__all__ = [
    "ClassLabels",
    "Exponentiated",
    "Given",
    "InstanceLabels",
    "LabelSchedule",
    "Labels",
    "MetaStep",
    "MethodName",
    "NoForwardRule",
    "OneHot",
    "Parametrisation",
    "Simplex",
    "Softmax",
    "Start",
    "label_gradient",
    "meta_step",
    "project_onto_simplex",
    "soft_cross_entropy",
]
