"""Training methods: learned labels, and in `baselines` what they are compared with.

`method` has their base class, and what a method is given: `Task`, `Batch`. `harness.training.config.methods` names them
and declares their parameters. A user's own method is a subclass of `Method` in any module.
"""

from harness.training.config.methods import MetaStepParameters, MethodParameters
from harness.training.methods.method import Batch, Method, Phase, Task

__all__ = ["Batch", "MetaStepParameters", "Method", "MethodParameters", "Phase", "Task"]
