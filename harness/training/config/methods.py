"""The training methods that ship here: name, parameters and implementation. Imports no torch.

A method's parameters are settings of its runs alone: keys of a space file in its arms, fields of their `RunConfig`,
parameters of their MLflow runs. To add one to a method, add a field to its class here, with range, default and help.
To add a method, write its implementation in a file of `harness.training.methods` and declare it here. Parameters stand
apart from the implementation since a space file is checked without importing torch.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from harness.training.config.field_types import Count, Fraction, FractionBelowOne, NonNegativeInt, PositiveNumber


class MethodParameters(BaseModel):
    """Parameters of a training method. Each is a float, int, bool, str or Literal, and has a default.

    The first line of a subclass's docstring says what the method is: `python -m harness.space --method` shows it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_default=True)


class MetaStepParameters(MethodParameters):
    """Parameters of a method that differentiates the loss on meta images through a step of the model."""

    label_gradient: Literal["forward", "forward_recompute", "double_backward", "finite_difference"] = Field(
        default="forward",
        description="how the label gradient is computed; forward: a Jacobian-vector product; forward_recompute: the "
        "same with less memory and one more pass; double_backward: autograd twice; finite_difference: approximate",
    )
    meta_interval: Count = Field(default=1, description="model steps between two label updates")
    meta_batch_size: Count = Field(default=150, description="meta images per label update, at most meta_size are used")
    meta_balanced: bool = Field(default=False, description="whether a meta batch holds the classes equally often")


class LabelParameters(MethodParameters):
    """Parameters of labels that are learned: their form, and their steps."""

    labels: Literal["instance", "class"] = Field(
        default="instance", description="one soft label per image, or one per class"
    )
    label_form: Literal["simplex", "softmax", "exponentiated"] = Field(
        default="simplex",
        description="what is learned: the label, projected onto the simplex, or logits whose softmax it is; "
        "exponentiated: the label, by exponentiated-gradient steps",
    )
    label_lr: PositiveNumber = Field(
        default=0.1, description="label learning rate, in the batch- and rate-free unit of metalabel"
    )
    label_schedule: Literal["constant", "model"] = Field(
        default="constant",
        description="schedule of the label learning rate; model: in proportion to the model's",
    )
    label_momentum: FractionBelowOne = Field(default=0.0, description="momentum of the label steps")
    label_decay: FractionBelowOne = Field(
        default=0.0, description="fraction of the way back to its start that a label goes at each label step"
    )
    label_warmup_epochs: NonNegativeInt = Field(default=0, description="epochs before the first label step")


class SmoothingParameters(MethodParameters):
    """Parameters of labels that are smoothed, or begin smoothed."""

    label_smoothing: FractionBelowOne = Field(default=0.0, description="mass spread evenly over all classes")


class RetrainingParameters(MethodParameters):
    """Parameters of a method that ends by training a fresh model."""

    retrain_share: FractionBelowOne = Field(
        default=0.0, description="fraction of the epochs, at the end, that train a fresh model on the learned labels"
    )


# Pydantic lists the fields of the last base first. A sampler's draws depend on the order of an arm's parameters.
class LearnedParameters(SmoothingParameters, RetrainingParameters, MetaStepParameters, LabelParameters):
    """Labels learned by meta-gradient (Vyas, Saxena and Voice 2020, arXiv:2009.09496)."""

    label_follow: Fraction = Field(
        default=0.0,
        description="fraction of a label that is replaced by the model's own prediction over an epoch; 0: labels do "
        "not follow the model",
    )
    label_sharpen: PositiveNumber = Field(
        default=1.0, description="power to which a prediction is raised before a label follows it; above 1: harder"
    )
    label_follow_after: NonNegativeInt = Field(default=0, description="epochs before labels follow the model")
    label_layers: Literal["all", "block", "head"] = Field(
        default="all",
        description="layers by way of which the label gradient is computed; head: the last layer alone; block: the "
        "last block too; both are approximations that cost less",
    )


class OneHotParameters(MethodParameters):
    """One-hot labels: cross-entropy against the annotated class."""


class LabelSmoothingParameters(SmoothingParameters):
    """Label smoothing (Szegedy et al. 2016, arXiv:1512.00567)."""


class FineTuningParameters(MethodParameters):
    """Training on the noisy labels, then on the meta set alone."""

    fine_tune_share: FractionBelowOne = Field(
        default=0.25, description="fraction of the epochs, at the end, that train on the meta set alone"
    )
    fine_tune_lr: PositiveNumber = Field(
        default=0.005, description="model learning rate of those epochs at their start"
    )


class BootstrappingParameters(MethodParameters):
    """Soft bootstrapping (Reed et al. 2014, arXiv:1412.6596)."""

    bootstrap_weight: Fraction = Field(default=0.95, description="weight of the given label in the target")


class GceParameters(MethodParameters):
    """Generalised cross-entropy (Zhang and Sabuncu 2018, arXiv:1805.07836)."""

    gce_q: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.7, description="from cross-entropy (near 0) to mean absolute error (1)"
    )


class ElrParameters(MethodParameters):
    """Early-learning regularisation (Liu et al. 2020, arXiv:2007.00151)."""

    elr_momentum: FractionBelowOne = Field(default=0.7, description="momentum of the running target")
    elr_weight: Annotated[float, Field(ge=0)] = Field(default=3.0, description="weight of the regulariser")


class SelfAdaptiveParameters(MethodParameters):
    """Self-adaptive training (Huang et al. 2020, arXiv:2002.10319): targets follow the model."""

    sat_momentum: FractionBelowOne = Field(
        default=0.9, description="fraction of a target that stays when it follows the model's prediction"
    )
    sat_start_epoch: NonNegativeInt = Field(default=8, description="epochs before targets follow the model")


class SopParameters(MethodParameters):
    """Sparse over-parameterisation (Liu et al. 2022, arXiv:2202.14026): the noise of each label is learned."""

    sop_u_lr: PositiveNumber = Field(
        default=10.0,
        description="learning rate α_u of the noise at a label's given class; above a quarter of the batch size it "
        "overshoots",
    )
    sop_v_lr: PositiveNumber = Field(
        default=10.0, description="learning rate α_v of the noise at the other classes; overshoots likewise"
    )
    sop_init_std: PositiveNumber = Field(
        default=1e-8, description="standard deviation of u and v at the start; larger: noise is found sooner"
    )


class ConfidentLearningParameters(MethodParameters):
    """Confident learning (Northcutt et al. 2021, arXiv:1911.00068): cleanlab finds wrong labels, which are left out."""

    cl_folds: Annotated[int, Field(ge=2)] = Field(default=3, description="folds of the cross-validation")
    cl_share: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.5, description="fraction of the epochs that train the models of the folds, an equal part each"
    )
    cl_filter: Literal["prune_by_noise_rate", "prune_by_class", "both", "confident_learning"] = Field(
        default="prune_by_noise_rate", description="cleanlab's rule for what is left out (filter_by)"
    )

    def fold_epochs(self, epochs: int) -> int:
        """Epochs of each fold's model, at least 1, in a run of so many, of which at least one is left; 0 for none."""
        return min(max(1, round(self.cl_share * epochs / self.cl_folds)), (epochs - 1) // self.cl_folds)


class OnlineLabelSmoothingParameters(MethodParameters):
    """Online label smoothing (Zhang et al. 2020, arXiv:2011.12562)."""

    ols_weight: Fraction = Field(default=0.5, description="weight of the given label in the target")


class ReweightingParameters(MetaStepParameters):
    """Meta-Weight-Net (Shu et al. 2019, arXiv:1902.07379): weights of images, learned by meta-gradient."""

    weight_net_lr: PositiveNumber = Field(default=1e-3, description="learning rate of the weighting network (Adam)")
    weight_net_width: Count = Field(default=100, description="hidden units of the weighting network")


class DistillationParameters(MethodParameters):
    """Distillation (Hinton, Vinyals and Dean 2015, arXiv:1503.02531): a student learns from a teacher's logits."""

    teacher: str = Field(default="", description="folder of the teacher's logits, SEED/logits.npz for each seed")
    distill_temperature: PositiveNumber = Field(default=4.0, description="temperature that divides both logits")
    distill_weight: Fraction = Field(default=0.9, description="weight of the teacher beside the given label")


@dataclass(frozen=True)
class ShippedMethod:
    """A method of this package: `implementation` is `package.module:Class` of its `Method`."""

    implementation: str
    parameters: type[MethodParameters]


_METHODS = "harness.training.methods"
_BASELINES = f"{_METHODS}.baselines"

METHODS = {
    "learned": ShippedMethod(f"{_METHODS}.learned:LearnedLabels", LearnedParameters),
    "one_hot": ShippedMethod(f"{_BASELINES}.one_hot:OneHot", OneHotParameters),
    "label_smoothing": ShippedMethod(f"{_BASELINES}.label_smoothing:LabelSmoothing", LabelSmoothingParameters),
    "fine_tuning": ShippedMethod(f"{_BASELINES}.fine_tuning:FineTuning", FineTuningParameters),
    "bootstrapping": ShippedMethod(f"{_BASELINES}.bootstrapping:Bootstrapping", BootstrappingParameters),
    "gce": ShippedMethod(f"{_BASELINES}.gce:GeneralisedCrossEntropy", GceParameters),
    "elr": ShippedMethod(f"{_BASELINES}.elr:EarlyLearningRegularisation", ElrParameters),
    "self_adaptive": ShippedMethod(f"{_BASELINES}.self_adaptive:SelfAdaptiveTraining", SelfAdaptiveParameters),
    "sop": ShippedMethod(f"{_BASELINES}.sop:SparseOverParameterisation", SopParameters),
    "confident_learning": ShippedMethod(
        f"{_BASELINES}.confident_learning:ConfidentLearning", ConfidentLearningParameters
    ),
    "online_label_smoothing": ShippedMethod(
        f"{_BASELINES}.online_label_smoothing:OnlineLabelSmoothing", OnlineLabelSmoothingParameters
    ),
    "reweighting": ShippedMethod(f"{_BASELINES}.reweighting:Reweighting", ReweightingParameters),
    "distillation": ShippedMethod(f"{_BASELINES}.distillation:Distillation", DistillationParameters),
}
"""Name → method. `module:Class` names one of a user's own."""
