"""What is measured after every epoch; each metric is defined here and nowhere else.

| name | what it is | better |
| --- | --- | --- |
| `train_loss` | cross-entropy against the labels then in force, mean over steps, nats | lower |
| `meta_loss`, `val_loss` | cross-entropy on the clean part at the epoch's end, nats | lower |
| `meta_accuracy`, `val_accuracy` | share of the clean part whose largest logit is the true class | higher |
| `label_accuracy` | share of training labels whose argmax is the true class, where that is known | higher |
| `noisy_labels_corrected` | share of the wrong given labels whose argmax is now true; absent without noise | higher |
| `clean_labels_kept` | share of the right given labels still true by argmax; absent where none was right | higher |
| `label_entropy` | mean entropy of the training labels, nats | neither |
| `lr` | model learning rate at the epoch's last step | neither |
| `seconds` | wall-clock time of the epoch, this measuring included | lower |
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.training.data import Images

Metrics = dict[str, float]

EVALUATION_BATCH = 2048


@torch.no_grad()
def evaluate(model: nn.Module, images: Images, part: str) -> Metrics:
    """Loss and accuracy of `model` in eval mode on a clean part; the model is left in train mode."""
    model.eval()
    loss = torch.zeros((), device=images.targets.device)
    right = torch.zeros((), device=images.targets.device)
    for start in range(0, len(images), EVALUATION_BATCH):
        chosen = slice(start, start + EVALUATION_BATCH)
        targets = images.targets[chosen]
        logits = model(images.batch(chosen))
        loss += functional.cross_entropy(logits, targets, reduction="sum")
        right += (logits.argmax(1) == targets).sum()
    model.train()
    return {f"{part}_loss": float(loss) / len(images), f"{part}_accuracy": float(right) / len(images)}


def label_metrics(soft: Tensor, given: Tensor, truth: Tensor) -> Metrics:
    """How soft labels [N, C] stand to the given classes [N] they started from and to the true ones [N], where known."""
    right, known = soft.argmax(1) == truth, truth >= 0
    metrics = {"label_entropy": float(torch.special.entr(soft.float()).sum(1).mean())}
    for name, among in (
        ("label_accuracy", known),
        ("noisy_labels_corrected", known & (given != truth)),
        ("clean_labels_kept", known & (given == truth)),
    ):
        if among.any():
            metrics[name] = float(right[among].float().mean())
    return metrics
