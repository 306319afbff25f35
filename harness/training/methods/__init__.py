"""Training methods: learned labels, and in `baselines` what they are compared with.

`method` has their base class, and what a method is given: `Task`, `Batch`. `METHODS` in the registry names them.
"""

from harness.training.methods.method import Batch, Method, Phase, Task

__all__ = ["Batch", "Method", "Phase", "Task"]
