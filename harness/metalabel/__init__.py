"""The maths of labels that learn (arXiv:2009.09496): torch tensors in, torch tensors out."""

from harness.metalabel.labels import (
    ClassLabels,
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
from harness.metalabel.methods import MetaStep
from harness.metalabel.schedule import LabelSchedule
from harness.metalabel.simplex import project_onto_simplex
from harness.metalabel.step import label_gradient, meta_step

__all__ = [
    "ClassLabels",
    "Given",
    "InstanceLabels",
    "LabelSchedule",
    "Labels",
    "MetaStep",
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
