"""Doubts about the test part: accuracy there is far below that on validation images, or no better than chance.

Each accuracy p on n images and k seeds, with standard deviation s over the seeds, has a 95 % interval of half-width

    h = 1.96 √( p̃(1 - p̃)/(n + 4) + s²/k ),    p̃ = (n p + 2)/(n + 4)        (Agresti and Coull 1998, and the seeds)

Far below: the interval of the test accuracy lies below that of the validation accuracy by more than both half-widths
again, so p_val - p_test > 2 (h_val + h_test). Not shown to be better than chance, the share of the most frequent class:
p_test - h_test is at most that. Either may be true of a sound comparison. The usual reason is that the test images are
of another kind, on another scale, or labelled in another way.
"""

import math
import statistics
from collections.abc import Sequence

from harness.common.formatting import format_accuracy, format_list
from harness.results.measurement import ConfigurationResults

REMEDY = "look whether the test images are of the same kind, scale and classes as the others before you believe it"


def doubt(measured: Sequence[tuple[ConfigurationResults, int]], chance: float | None) -> str:
    """What makes the verdict doubtful, in a phrase; empty if nothing does.

    Args:
        measured: configurations, each with its number of validation images.
        chance: share of the most frequent class of the test part; None where it is not known.
    """
    complete = [
        (configuration, val_images)
        for configuration, val_images in measured
        if configuration.n and configuration.val_accuracy
    ]
    far = [
        f"{configuration.name} {format_accuracy(configuration.test_accuracy_mean)} beside "
        f"{format_accuracy(configuration.val_accuracy_mean)}"
        for configuration, val_images in complete
        if _is_far_below(configuration, val_images)
    ]
    if far:
        return f"test accuracy is far below validation accuracy ({format_list(far)}); {REMEDY}"
    at_chance = [
        f"{configuration.name} {format_accuracy(configuration.test_accuracy_mean)}"
        for configuration, _ in complete
        if chance is not None
        and statistics.fmean(configuration.test_accuracy)
        - _half_width(configuration.test_accuracy, configuration.test_images)
        <= chance
    ]
    if at_chance:
        chance_text = f"{format_accuracy(chance)} ({format_list(at_chance)})"
        return f"test accuracy is not shown to be better than chance, {chance_text}; {REMEDY}"
    return ""


def _is_far_below(configuration: ConfigurationResults, val_images: int) -> bool:
    gap = statistics.fmean(configuration.val_accuracy) - statistics.fmean(configuration.test_accuracy)
    on_validation = _half_width(configuration.val_accuracy, val_images)
    on_test = _half_width(configuration.test_accuracy, configuration.test_images)
    return gap > 2 * (on_validation + on_test)


def _half_width(accuracies: Sequence[float], images: int) -> float:
    p = (images * statistics.fmean(accuracies) + 2) / (images + 4)
    over_seeds = statistics.variance(accuracies) / len(accuracies) if len(accuracies) > 1 else 0.0
    return 1.96 * math.sqrt(p * (1 - p) / (images + 4) + over_seeds)
