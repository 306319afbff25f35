"""Training methods: learned labels, and the baselines that they are compared with.

    method      the protocol `Method`, and what a method is given: `Task`, `Batch`
    learned     labels learned by meta-gradients
    baselines   one file each, opening with its equation and citation

`METHODS` in `harness.training.config.registry` names them.
"""

from harness.training.methods.method import Batch, Method, Phase, Task

__all__ = ["Batch", "Method", "Phase", "Task"]
