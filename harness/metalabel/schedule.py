"""Schedule of the label steps: warm-up, meta-interval and label learning rate."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LabelSchedule:
    """A label step at model step `warmup`, and every `interval` model steps from then on.

    Raises:
        ValueError: a setting is out of bounds.
    """

    label_lr: float
    interval: int = 1  # model steps
    warmup: int = 0  # model steps before the first label step
    follow_model: bool = False  # label_lr falls as the model's learning rate does

    def __post_init__(self) -> None:
        if self.interval < 1:
            raise ValueError(f"interval: expected 1 or more model steps, got {self.interval}")
        if self.warmup < 0:
            raise ValueError(f"warmup: expected 0 or more model steps, got {self.warmup}")
        if not self.label_lr >= 0:
            raise ValueError(f"label_lr: expected a rate of 0 or more, got {self.label_lr}")

    def is_due(self, step: int) -> bool:
        """Whether model step `step`, counted from 0, has a label step."""
        return step >= self.warmup and (step - self.warmup) % self.interval == 0

    def label_lr_at(self, model_lr_factor: float) -> float:
        """label_lr when the model's learning rate is `model_lr_factor` times its initial value."""
        return self.label_lr * model_lr_factor if self.follow_model else self.label_lr
