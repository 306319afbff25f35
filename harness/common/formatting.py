"""Numbers and lists as text: accuracies, intervals, p-values, durations. A missing number is an en dash."""

import math
from collections.abc import Iterable, Mapping, Sequence

MISSING = "–"


def format_accuracy(value: float | None) -> str:
    """`0.968`"""
    return MISSING if value is None or math.isnan(value) else f"{value:.3f}"


def format_percent(fraction: float | None, digits: int = 0) -> str:
    """`97 %`"""
    return MISSING if fraction is None or math.isnan(fraction) else f"{100 * fraction:.{digits}f} %"


def format_points(difference: float) -> str:
    """`2.1 points`, without the sign, of a difference of two fractions."""
    return f"{100 * abs(difference):.1f} points"


def format_p_value(value: float | None) -> str:
    """`0.012`, two significant digits."""
    return MISSING if value is None or math.isnan(value) else f"{value:.2g}"


def format_correlation(value: float | None) -> str:
    """`0.45`, with no minus before a zero."""
    return MISSING if value is None or math.isnan(value) else f"{round(value, 2) + 0.0:.2f}"


def format_interval(
    ends: Sequence[float | None] | None, *, scale: float = 1, digits: int = 3, missing: str = MISSING
) -> str:
    """`[0.951, 0.973]`; `missing` where an end is not known or infinite.

    Args:
        scale: 100 for an interval in points or percent.
    """
    low, high = ends or (None, None)
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return missing
    low, high = (round(scale * end, digits) + 0.0 for end in (low, high))  # + 0.0: no minus before a zero
    return f"[{low:.{digits}f}, {high:.{digits}f}]"


def format_setting(value: object) -> str:
    """The value of a parameter: a float to three significant digits, anything else as it is."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def format_settings(params: Mapping[str, object], equals: str = " ") -> list[str]:
    """`label_lr 0.164` for each parameter."""
    return [f"{name}{equals}{format_setting(value)}" for name, value in params.items()]


def format_duration(seconds: float) -> str:
    """`45 s`, `12 min` or `3.4 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def format_list(items: Iterable[object], shown: int = 5) -> str:
    """`a, b, c, d, e and 225 more`: all items where they are few; `none` of none."""
    texts = [str(item) for item in items]
    if len(texts) <= shown + 1:  # "and 1 more" would say less
        return ", ".join(texts) or "none"
    return f"{', '.join(texts[:shown])} and {len(texts) - shown} more"


def as_sentence(text: str) -> str:
    """`text` with a capital letter and a full stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
