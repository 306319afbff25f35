"""Schedule of the label steps: warm-up, meta-interval and label learning rate."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LabelSchedule:
    """A label step at model step `warmup`, and every `interval` model steps from then on.

    ValueError if a setting is out of bounds.
    """

    label_lr: float
    interval: int = 1  # model steps
    warmup: int = 0  # model steps before the first label step
    follow_model: bool = False  # label_lr falls as the model's learning rate does

    def __post_init__(self) -> None:
        for name, least in (("interval", 1), ("warmup", 0), ("label_lr", 0)):
            if not (value := getattr(self, name)) >= least:  # NaN is refused too
                raise ValueError(f"{name}: expected {least} or more, got {value}")

    def is_due(self, step: int) -> bool:
        """Whether model step `step`, counted from 0, has a label step."""
        return step >= self.warmup and (step - self.warmup) % self.interval == 0

    def label_lr_at(self, model_lr_factor: float) -> float:
        """label_lr when the model's learning rate is `model_lr_factor` times its initial value."""
        return self.label_lr * model_lr_factor if self.follow_model else self.label_lr
