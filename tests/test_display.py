"""What the sentence under the table says about chance."""

import math
import re
from typing import Any

import pytest
from scipy.stats import t

from harness.display import verdict


def summary(seeds: int, spread: float | None) -> dict[str, Any]:
    def arm(role: str, accuracy: float) -> dict[str, Any]:
        return {"role": role, "val_accuracy": accuracy, "val_accuracy_std": spread, "val_images": 250}

    return {"seeds_per_trial": seeds, "arms": {"learned": arm("arm", 0.95), "one_hot": arm("baseline", 0.93)}}


BINOMIAL = 0.95 * 0.05 + 0.93 * 0.07


@pytest.mark.parametrize(
    ("seeds", "spread", "of", "chance"),
    [
        (1, None, "one seed", 1.96 * math.sqrt(BINOMIAL / 250)),
        (4, 0.002, "each of 4 seeds", 1.96 * math.sqrt(BINOMIAL / 1000)),  # the images alone move it further
        (4, 0.03, "each of 4 seeds", t.ppf(0.975, 6) * 0.03 * math.sqrt(2 / 4)),  # the seeds do
    ],
)
def test_chance_is_told_over_images_and_seeds(seeds: int, spread: float | None, of: str, chance: float) -> None:
    said = verdict(summary(seeds, spread))
    assert f"learned is 2.0 points above the best baseline, one_hot, on 250 validation images of {of}; " in said
    told = re.search(r"by up to (\d+\.\d) points", said)
    assert told is not None
    assert float(told[1]) == pytest.approx(100 * chance, abs=0.05)
