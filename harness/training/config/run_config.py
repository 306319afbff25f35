"""Settings of one run: a flat, frozen, validated record. Imports no torch.

It is flat because the same names are the keys of a space file, the columns of a study and the parameters of an MLflow
run. The fields of `RunConfig` are the settings of every run; beside them stand the parameters of the run's method,
which the method declares (`harness.training.config.methods`):

    RunConfig(method="elr", elr_momentum=0.9).model_dump()      has elr_momentum and elr_weight, and no label_lr
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from harness.common.formatting import format_list
from harness.training.config import registry
from harness.training.config.field_types import Count, FractionBelowOne, NonNegativeInt, PositiveNumber
from harness.training.config.method_lookup import methods_with, parameter_fields, parameters_type
from harness.training.config.methods import METHODS, MethodParameters
from harness.training.config.mid_run_changes import parse_changes
from harness.training.config.noise_map import parse_noise_map

if TYPE_CHECKING:
    MethodName = str
    NoiseName = str
    DatasetName = str
    ModelName = str
else:
    MethodName = Annotated[
        registry.name_type(METHODS, registry.USER_PATTERN, "a method, or module:Class of your own"),
        AfterValidator(lambda name: check_method(name)),
    ]
    NoiseName = registry.name_type(
        ("none", *registry.NOISES, "given"), registry.USER_PATTERN, "a noise, or module:function of your own"
    )
    DatasetName = registry.name_type(
        registry.DATASETS,
        registry.USER_DATASET_PATTERN,
        "a data set, npz:FILE, folder:DIR or table:FILE",
        registry.user_dataset,
    )
    ModelName = registry.name_type(
        registry.MODELS, registry.USER_PATTERN, "a model, torchvision:NAME or module:function"
    )


def _check_noise_map(text: str) -> str:
    parse_noise_map(text)
    return text


def check_method(name: str) -> str:
    """Return the name; an error for pydantic if a user's own method cannot be loaded.

    Or if one of its parameters has the name of a setting of every run, or of a metric.
    """
    declared = parameters_type(name).model_fields
    if taken := [key for key in declared if key in RunConfig.model_fields or hasattr(RunConfig, key)]:
        got = f"{format_list(taken)}, which every run has already"
        raise registry.value_error(f"parameters of {name} with names of their own", got, "rename it")
    if taken := [key for key in declared if key in registry.METRICS]:
        got = f"{format_list(taken)}, which is a metric"
        raise registry.value_error(f"parameters of {name} with names of their own", got, "rename it")
    return name


def _check_changes(text: str) -> str:
    parse_changes(text)
    return text


NoiseMap = Annotated[str, AfterValidator(_check_noise_map)]
MidRunChanges = Annotated[str, AfterValidator(_check_changes)]


class RunConfig(BaseModel):
    """The settings of one run. Rates are fractions, sizes are numbers of images, durations are epochs."""

    # Extra fields are the method's parameters. They are validated below; `extra="allow"` lets them through to there.
    model_config = ConfigDict(frozen=True, extra="allow", strict=True, allow_inf_nan=False)

    method: MethodName = Field(
        default="learned",
        description="training method: labels learned by meta-gradient, a baseline, or module:Class of your own",
    )

    dataset: DatasetName = Field(
        default="digits",
        description="digits (ships with scikit-learn), a set of torchvision by name, npz:FILE, folder:DIR or "
        "table:FILE, or module:function of your own",
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
        default="none",
        description="how training labels are corrupted; given: the data set's own noisy labels; or "
        "module:function of your own",
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

    train_on_meta: bool = Field(default=False, description="whether the meta set's images are trained on too")

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

    graph: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="whether model steps are captured as CUDA graphs and replayed; auto: where device and method allow "
        "it",
    )

    if TYPE_CHECKING:

        def __init__(self, **settings: Any) -> None: ...

    @model_validator(mode="wrap")
    @classmethod
    def _validate_parameters(cls, values: Any, validator: ModelWrapValidatorHandler[Self]) -> Self:
        """Validate the parameters by their declaration; errors of all settings come together."""
        try:
            config = validator(values)
        except ValidationError as error:
            details = [_details(problem) for problem in error.errors()]
            if isinstance(values, Mapping) and not any(detail["loc"] == ("method",) for detail in details):
                extra = {name: value for name, value in values.items() if name not in cls.model_fields}
                details += _parameter_errors(values.get("method", cls.model_fields["method"].default), extra)
            raise ValidationError.from_exception_data(cls.__name__, details) from None
        if config.model_extra is not None and config is not values:
            if details := _parameter_errors(config.method, config.model_extra):
                raise ValidationError.from_exception_data(cls.__name__, details)
            parameters = config.parameters.model_dump()
            config.model_extra.clear()
            config.model_extra.update(parameters)
        return config

    @property
    def parameters(self) -> MethodParameters:
        """The parameters of the method, of the type that it declares."""
        return parameters_type(self.method).model_validate(self.model_extra)

    def at_epoch(self, epoch: int) -> "RunConfig":
        """The settings after so many epochs, with all `changes` up to there; ValidationError for a bad value."""
        changed = {k: v for at, new in parse_changes(self.changes).items() if at <= epoch for k, v in new.items()}
        return RunConfig(**{**self.model_dump(), **changed}) if changed else self

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Copy with other settings, which are validated. Another method has its own parameters, at their defaults."""
        changes = dict(update or {})
        kept = self.model_dump()
        if changes.get("method", self.method) != self.method:
            kept = {name: value for name, value in kept.items() if name in type(self).model_fields}
        return type(self)(**{**kept, **changes})

    def other_than_default(self) -> dict[str, Any]:
        """The settings whose values are not the defaults of the method's runs."""
        defaults = default_settings(self.method)
        return {name: value for name, value in self.model_dump().items() if value != defaults[name]}


def default_settings(method: str) -> dict[str, Any]:
    """Return the value of every setting of a run of `method` that says nothing else."""
    return {**RunConfig(method=method).model_dump(), "method": RunConfig.model_fields["method"].default}


def known_settings(method: object) -> list[str]:
    """Return the names of the settings of a method's runs; of all shipped methods' for one that is none."""
    try:
        return list(setting_fields([str(method)]))
    except PydanticCustomError:
        return list(setting_fields(METHODS))


def setting_fields(methods: Iterable[str]) -> dict[str, FieldInfo]:
    """Return the declarations of the settings of every run, then of the parameters of the methods, by name."""
    return {**RunConfig.model_fields, **parameter_fields(methods)}


def parameter_of_others(name: object, method: str) -> PydanticCustomError | None:
    """Return the error for a parameter that other methods have and `method` has not; None if none of them has it."""
    others = methods_with(name)
    if not others:
        return None
    got = f"{name}, a parameter of {format_list(others)}"
    return registry.value_error(f"a setting of every run or of {method}", got, "remove it, or choose that method")


def _parameter_errors(method: str, values: Mapping[str, Any]) -> list[InitErrorDetails]:
    declared = parameters_type(method)
    foreign = {
        name: error
        for name in values
        if name not in declared.model_fields and (error := parameter_of_others(name, method))
    }
    details = [InitErrorDetails(type=error, loc=(name,), input=values[name]) for name, error in foreign.items()]
    try:
        declared.model_validate({name: value for name, value in values.items() if name not in foreign})
    except ValidationError as error:
        details += [_details(problem) for problem in error.errors()]
    return details


def _details(error: ErrorDetails) -> InitErrorDetails:
    """An error of pydantic, to be raised again."""
    context = error.get("ctx", {})
    again = registry.value_error(**context) if context.keys() == {"expected", "got", "remedy"} else error["type"]
    return InitErrorDetails(type=again, loc=error["loc"], input=error["input"], ctx=context)
