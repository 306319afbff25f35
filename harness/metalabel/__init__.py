"""The maths of labels that learn (arXiv:2009.09496): torch tensors in, torch tensors out."""

from harness.metalabel.labels import (
    ClassLabels,
    InstanceLabels,
    Labels,
    Parametrisation,
    Simplex,
    Softmax,
    smoothed_one_hot,
)
from harness.metalabel.losses import soft_cross_entropy
from harness.metalabel.methods import MetaStep
from harness.metalabel.schedule import LabelSchedule
from harness.metalabel.simplex import project_onto_simplex
from harness.metalabel.step import label_gradient, meta_step

__all__ = [
    "ClassLabels",
    "InstanceLabels",
    "LabelSchedule",
    "Labels",
    "MetaStep",
    "Parametrisation",
    "Simplex",
    "Softmax",
    "label_gradient",
    "meta_step",
    "project_onto_simplex",
    "smoothed_one_hot",
    "soft_cross_entropy",
]
