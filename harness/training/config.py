"""What a run is: one flat, frozen, validated record.

Flat on purpose: the same names are the keys of a space file, the columns of a study and the parameters of an MLflow
run. No torch is imported here, so that a command line can validate its input at once.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Method = Literal["learned", "one_hot", "label_smoothing"]

UnitInterval = Annotated[float, Field(ge=0, lt=1)]
Rate = Annotated[float, Field(gt=0, le=1e30)]  # float32, in which rates are multiplied, ends at 3e38
Count = Annotated[int, Field(ge=1)]


class RunConfig(BaseModel):
    """The settings of one run. Rates are fractions, sizes are numbers of images, durations are epochs."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    method: Method = Field("learned", description="how labels are treated: learned by meta-gradient, or a baseline")

    dataset: Literal["digits"] = Field("digits", description="data set by name; digits ships with scikit-learn")
    noise: Literal["none", "symmetric"] = Field("none", description="how training labels are spoiled")
    noise_rate: UnitInterval = Field(0.0, description="share of training labels made wrong")
    meta_size: Count = Field(150, description="clean images that drive the labels (or train the baselines)")
    val_size: Count = Field(250, description="clean images that drive the search")

    model: Literal["mlp", "cnn"] = Field("mlp", description="network by name")
    width: Count = Field(128, description="hidden units of the MLP, or channels of the CNN's first block")

    labels: Literal["instance", "class"] = Field("instance", description="one soft label per image, or one per class")
    label_lr: Rate = Field(0.1, description="label learning rate, in the batch- and rate-free unit of metalabel")
    meta_interval: Count = Field(1, description="model steps between two label updates")
    label_smoothing: UnitInterval = Field(0.0, description="mass spread evenly over all classes")
    train_on_meta: bool = Field(False, description="whether the meta set's images are trained on too")

    epochs: Count = Field(40, description="passes over the training images")
    batch_size: Count = Field(64, description="images per model step")
    meta_batch_size: Count = Field(150, description="meta images per label update, at most meta_size are used")
    lr: Rate = Field(0.05, description="model learning rate at the start of its schedule")
    schedule: Literal["cosine", "constant"] = Field("cosine", description="course of the model learning rate")
    momentum: UnitInterval = Field(0.9, description="momentum of SGD")
    weight_decay: Annotated[float, Field(ge=0)] = Field(5e-4, description="L2 penalty of SGD")

    seed: Annotated[int, Field(ge=0)] = Field(0, description="draws split, noise, initial weights and order")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="where to compute; auto: the GPU if there is one"
    )
