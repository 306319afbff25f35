"""Settings that change in mid-run, as text: `8: label_lr=0.05; 16: label_lr=0.2 lr=0.02`.

Before epoch 9 (after 8 have ended) label_lr becomes 0.05, before epoch 17 both change. Population based training
(Jaderberg et al. 2017, arXiv:1711.09846) finds such schedules.
"""

import re
from collections.abc import Iterable
from typing import Any

from harness.training.config.registry import value_error

CHANGEABLE = (
    *("lr", "weight_decay", "momentum", "meta_interval"),
    *("label_lr", "label_momentum", "label_decay", "label_smoothing", "label_follow", "label_sharpen"),
)
"""Settings that may change in mid-run. They take effect at the next step."""

ENTRY = re.compile(r"(\d+):((?: +\w+=[-+.\w]+)+)")
Changes = dict[int, dict[str, float | int]]


def parse_changes(text: str) -> Changes:
    """Return epochs that have ended → settings from there on; an error for pydantic if the form is another."""
    changes: Changes = {}
    for entry in text.split(";") if text.strip() else []:
        match = ENTRY.fullmatch(entry.strip())
        if match is None:
            raise value_error(
                "EPOCH: NAME=VALUE …; EPOCH: …, as in '8: label_lr=0.05; 16: lr=0.02'",
                repr(entry.strip()),
                "correct it",
            )
        epoch = int(match[1])
        if epoch < 1 or epoch <= max(changes, default=0):
            raise value_error("epochs from 1 on, in order", f"{epoch}", "sort them")
        changes[epoch] = dict(_setting(setting) for setting in match[2].split())
    return changes


def format_changes(changes: Iterable[tuple[int, dict[str, Any]]]) -> str:
    """The text of changes: the inverse of `parse_changes`."""
    texts = ((epoch, " ".join(f"{name}={value!r}" for name, value in new.items())) for epoch, new in changes)
    return "; ".join(f"{epoch}: {text}" for epoch, text in texts if text)


def _setting(text: str) -> tuple[str, float | int]:
    name, _, value = text.partition("=")
    if name not in CHANGEABLE:
        raise value_error(f"one of {', '.join(CHANGEABLE)}", name, "only these may change in mid-run")
    try:
        return name, int(value) if re.fullmatch(r"[-+]?\d+", value) else float(value)
    except ValueError:
        raise value_error(f"a number for {name}", value, f"write {name}=NUMBER") from None
