"""Settings of one run: a flat, frozen, validated record. Imports no torch.

It is flat because the same names are the keys of a space file, the columns of a study and the parameters of an MLflow
run.
"""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from harness.training.config import registry
from harness.training.config.mid_run_changes import parse_changes
from harness.training.config.noise_map import parse_noise_map

if TYPE_CHECKING:
    MethodName = str
    NoiseName = str
    DatasetName = str
    ModelName = str
else:
    MethodName = Literal[tuple(registry.METHODS)]
    NoiseName = Literal[("none", *registry.NOISES, "given")]
    DatasetName = registry.name_type(
        registry.DATASETS,
        registry.USER_DATASET_PATTERN,
        "a data set, npz:FILE, folder:DIR or table:FILE",
        registry.user_dataset,
    )
    ModelName = registry.name_type(
        registry.MODELS, registry.USER_MODEL_PATTERN, "a model, torchvision:NAME or module:function"
    )


def _check_noise_map(text: str) -> str:
    parse_noise_map(text)
    return text


def _check_changes(text: str) -> str:
    parse_changes(text)
    return text


NoiseMap = Annotated[str, AfterValidator(_check_noise_map)]
MidRunChanges = Annotated[str, AfterValidator(_check_changes)]
FractionBelowOne = Annotated[float, Field(ge=0, lt=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
PositiveNumber = Annotated[float, Field(gt=0, le=1e30)]  # float32, in which rates are multiplied, ends at 3e38
Count = Annotated[int, Field(ge=1)]
NonNegativeInt = Annotated[int, Field(ge=0)]


class RunConfig(BaseModel):
    """The settings of one run. Rates are fractions, sizes are numbers of images, durations are epochs."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    method: MethodName = Field(
        default="learned", description="training method: labels learned by meta-gradient, or a baseline"
    )

    dataset: DatasetName = Field(
        default="digits",
        description="digits (ships with scikit-learn), a set of torchvision by name, npz:FILE, folder:DIR or "
        "table:FILE",
    )
    data_root: str = Field(default="data", description="folder that holds the files of torchvision's sets")
    download: bool = Field(default=False, description="whether torchvision may download a set that is not in data_root")
    image_size: NonNegativeInt = Field(
        default=0, description="height and width that images are scaled to; 0: as they are"
    )
    max_image_pixels: Count = Field(
        default=100_000_000,
        description="height times width of the largest image of folder:DIR that is read, as a small file can unpack to "
        "more than the memory",
    )
    train_size: NonNegativeInt = Field(
        default=0, description="training images; 0: all that meta and validation set leave"
    )
    meta_size: Count = Field(default=150, description="clean images that drive the labels (or train the baselines)")
    val_size: Count = Field(default=250, description="clean images that drive the search")
    noise: NoiseName = Field(
        default="none", description="how training labels are corrupted; given: the data set's own noisy labels"
    )
    noise_rate: FractionBelowOne = Field(
        default=0.0,
        description="fraction of training labels made wrong; asymmetric: of those in each class that the map names",
    )
    noise_map: NoiseMap = Field(
        default="",
        description="asymmetric: the class map, by name or index, as in 'cat>dog dog>cat' or '2>7 3>8'; where names "
        "are numbers, a number is a name; quotes hold an entry with blanks together; empty: the usual map of the data "
        "set, or c>c+1",
    )
    given_labels: str = Field(default="y_train_given", description="npz: key of the noisy labels")
    require_given_labels: bool = Field(
        default=False,
        description="folder: whether every training image needs a row in given.csv; without one it keeps its folder's "
        "class",
    )
    reference_labels: str = Field(
        default="reference", description="npz: key, before _train or _test, of soft labels to compare with"
    )
    augment: Literal["none", "crop_flip", "crop_flip_cutout"] = Field(
        default="none",
        description="augmentation: shifts by up to an eighth and mirroring, then a square cut out",
    )

    model: ModelName = Field(
        default="mlp", description="network by name, torchvision:NAME, or module:function of your own"
    )
    width: Count = Field(
        default=128,
        description="hidden units of the MLP, channels of the first block of cnn and resnet, factor k of wrn28",
    )

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
    label_gradient: Literal["forward", "forward_recompute", "double_backward", "finite_difference"] = Field(
        default="forward",
        description="how the label gradient is computed; forward: a Jacobian-vector product; forward_recompute: the "
        "same with less memory and one more pass; double_backward: autograd twice; finite_difference: approximate",
    )
    meta_interval: Count = Field(default=1, description="model steps between two label updates")
    meta_batch_size: Count = Field(default=150, description="meta images per label update, at most meta_size are used")
    meta_balanced: bool = Field(default=False, description="whether a meta batch holds the classes equally often")
    retrain_share: FractionBelowOne = Field(
        default=0.0, description="fraction of the epochs, at the end, that train a fresh model on the learned labels"
    )
    train_on_meta: bool = Field(default=False, description="whether the meta set's images are trained on too")

    label_smoothing: FractionBelowOne = Field(default=0.0, description="mass spread evenly over all classes")
    fine_tune_share: FractionBelowOne = Field(
        default=0.25, description="fine_tuning: fraction of the epochs, at the end, that train on the meta set alone"
    )
    fine_tune_lr: PositiveNumber = Field(
        default=0.005, description="fine_tuning: model learning rate of those epochs at their start"
    )
    bootstrap_weight: Fraction = Field(
        default=0.95, description="bootstrapping: weight of the given label in the target"
    )
    gce_q: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.7, description="gce: from cross-entropy (near 0) to mean absolute error (1)"
    )
    elr_momentum: FractionBelowOne = Field(default=0.7, description="elr: momentum of the running target")
    elr_weight: Annotated[float, Field(ge=0)] = Field(default=3.0, description="elr: weight of the regulariser")
    ols_weight: Fraction = Field(
        default=0.5, description="online_label_smoothing: weight of the given label in the target"
    )
    weight_net_lr: PositiveNumber = Field(
        default=1e-3, description="reweighting: learning rate of the weighting network (Adam)"
    )
    weight_net_width: Count = Field(default=100, description="reweighting: hidden units of the weighting network")
    teacher: str = Field(
        default="", description="distillation: folder of the teacher's logits, SEED/logits.npz for each seed"
    )
    distill_temperature: PositiveNumber = Field(
        default=4.0, description="distillation: temperature that divides both logits"
    )
    distill_weight: Fraction = Field(
        default=0.9, description="distillation: weight of the teacher beside the given label"
    )

    epochs: Count = Field(default=40, description="passes over the training images")
    batch_size: Count = Field(
        default=64, description="images per model step; a rest of one image joins the step before"
    )
    optimizer: Literal["sgd", "adam", "adamw"] = Field(default="sgd", description="optimiser of the model")
    lr: PositiveNumber = Field(default=0.05, description="model learning rate at the start of its schedule")
    schedule: Literal["cosine", "constant"] = Field(default="cosine", description="schedule of the model learning rate")
    momentum: FractionBelowOne = Field(
        default=0.9, description="momentum of SGD; first moment's decay of Adam and AdamW"
    )
    nesterov: bool = Field(default=False, description="Nesterov's form of SGD's momentum")
    weight_decay: Annotated[float, Field(ge=0, le=1e30)] = Field(
        default=5e-4, description="L2 penalty of SGD and Adam, decoupled decay of AdamW"
    )

    changes: MidRunChanges = Field(
        default="",
        description="settings that change in mid-run, as in '8: label_lr=0.05; 16: lr=0.02': after 8 epochs, after 16",
    )
    seed: Annotated[int, Field(ge=0)] = Field(default=0, description="draws split, noise, initial weights and order")
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="where to compute; auto: the GPU if there is one"
    )
    deterministic: bool = Field(default=True, description="whether a GPU gives the same run bit for bit")
    amp: Literal["none", "bf16"] = Field(
        default="none", description="bf16: matrix products and convolutions in bfloat16, weights and labels in float32"
    )
    channels_last: bool = Field(
        default=False, description="whether images and activations are in channels-last memory format"
    )
    compile: bool = Field(
        default=False,
        description="whether passes go through torch.compile (needs a C++ compiler); the training pass of a label "
        "update does not",
    )

    def at_epoch(self, epoch: int) -> "RunConfig":
        """The settings after so many epochs, with all `changes` up to there; ValidationError for a bad value."""
        changed = {k: v for at, each in parse_changes(self.changes).items() if at <= epoch for k, v in each.items()}
        return RunConfig(**{**self.model_dump(), **changed}) if changed else self
