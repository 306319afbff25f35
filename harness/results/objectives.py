"""Column heading and number format of each objective."""

from harness.common.formatting import MISSING

HEADINGS = {
    "val_accuracy": ("validation\naccuracy", "{:.3f}"),
    "val_loss": ("validation\nloss", "{:.3f}"),
    "val_calibration_error": ("calibration\nerror", "{:.3f}"),
    "epochs": ("epochs", "{:.0f}"),
    "busy_seconds": ("busy\nseconds", "{:.1f}"),
}


def heading(metric: str) -> str:
    return HEADINGS[metric][0]


def test_heading(metric: str) -> str:
    """The heading where the objective was measured on the test part."""
    if metric == "val_calibration_error":
        return f"{heading(metric)}, test"
    return heading(metric).replace("validation", "test")


def format_objective(metric: str, value: float | None) -> str:
    return MISSING if value is None else HEADINGS[metric][1].format(value)
