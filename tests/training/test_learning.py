"""What the harness is for: labels that learn put wrong annotations right, and the model is better for it."""

import pytest

from harness.training.config.run_config import RunConfig
from harness.training.run import Run
from tests.training.run_helpers import epochs

NOISY = RunConfig(noise="symmetric", noise_rate=0.4, lr=0.05, label_lr=0.1, epochs=40)


@pytest.mark.parametrize("seed", [0, 1])
def test_learned_labels_put_most_of_40_percent_wrong_labels_right(seed: int) -> None:
    config = NOISY.model_copy(update={"seed": seed})
    learned = epochs(Run(config), 40)
    one_hot = epochs(Run(config.model_copy(update={"method": "one_hot", "train_on_meta": True})), 40)
    assert learned[0]["label_accuracy"] < 0.7
    # Seen over seeds 0 to 9: labels right 0.89 to 0.94, corrected 0.86 to 0.92, kept 0.91 to 0.96, validation accuracy
    # 0.93 to 0.97, of one-hot 0.81 to 0.87.
    assert learned[-1]["label_accuracy"] > 0.88
    assert learned[-1]["noisy_labels_corrected"] > 0.85
    assert learned[-1]["clean_labels_kept"] > 0.9
    assert learned[-1]["val_accuracy"] > one_hot[-1]["val_accuracy"] + 0.04
