"""One-hot labels: cross-entropy against the annotated class.

    L = -(1/B) Σ_i log p_{y_i}(x_i)

Under label noise its one defence is to stop early (Arpit et al. 2017, arXiv:1706.05394): tune `epochs`.
"""

from typing import ClassVar

from harness.training.config.methods import MethodParameters, OneHotParameters
from harness.training.methods.method import Method


class OneHot(Method):
    """The base class as it is."""

    Parameters: ClassVar[type[MethodParameters]] = OneHotParameters
    static_steps = True
