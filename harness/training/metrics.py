"""Metrics of an epoch; each is defined here and nowhere else.

| name | what it is | better |
| --- | --- | --- |
| `train_loss` | training loss against the current labels, mean over steps, nats | lower |
| `meta_loss`, `val_loss` | cross-entropy on the clean part at the epoch's end, nats | lower |
| `meta_accuracy`, `val_accuracy` | share of the clean part whose largest logit is the true class | higher |
| `meta_calibration_error`, `val_calibration_error` | expected calibration error on the clean part, below | lower |
| `label_accuracy` | share of training labels whose argmax is the true class, where that is known | higher |
| `noisy_labels_corrected` | share of the wrong given labels whose argmax is now true; absent without noise | higher |
| `clean_labels_kept` | share of the right given labels still true by argmax; absent where none was right | higher |
| `label_entropy` | mean entropy of the training labels, nats | neither |
| `label_moved` | mean total variation distance of the labels from their start; where labels move | neither |
| `mistakes_auc` | how well the mass taken from the given class ranks wrong labels before right ones | higher |
| `label_gradient_norm` | at the epoch's first label step, mean over its images of ‖(B/s) ∂M/∂y_i‖₂ | neither |
| `label_step_norm` | at that step, mean over its images of ‖Δy_i‖₂ | neither |
| `lr` | model learning rate at the epoch's last step | neither |
| `seconds` | wall-clock time of the epoch, this measuring included | lower |

On several seeds (see `replicates`) each is the mean; `val_accuracy_std` and the like are sample standard deviations.

The expected calibration error is that of Naeini, Cooper and Hauskrecht (2015), with the bins of Guo et al. (2017):
images fall into B = 15 bins by the largest probability they are given, (0, 1/15] to (14/15, 1], and

    ECE = Σ_b n_b/n · |share right in b − mean confidence in b|

On few images it is above 0 even for a calibrated model, since each bin's share right is a draw.

`mistakes_auc` is the area under the receiver operating characteristic of the score 1 - y_i,given(i) for the event that
the given class is not the true one: the chance that a wrong label has lost more mass than a right one, a tie counting
half (Hanley and McNeil 1982). With R the sum of the ranks of the W wrong ones among all W + K,

    AUC = (R - W (W + 1)/2) / (W K)

It is absent where labels do not move, or where none or all of the given ones are wrong. Metrics that use true classes
of training images are for the reader alone: no method and no search uses them.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.training.data.images import Images

Metrics = dict[str, float]

EVALUATION_BATCH = 2048
CALIBRATION_BINS = 15


@torch.no_grad()
def logits_in_batches(
    model: nn.Module, count: int, inputs: Callable[[slice], Tensor]
) -> Iterator[tuple[slice, Tensor]]:
    """Yield rows of `count` images and the logits of `model` in eval mode for them; it ends in train mode.

    `inputs` returns the model's inputs for rows, as `Images.batch` does.
    """
    model.eval()
    for start in range(0, count, EVALUATION_BATCH):
        rows = slice(start, start + EVALUATION_BATCH)
        yield rows, model(inputs(rows))
    model.train()


@torch.no_grad()
def evaluate(model: nn.Module, images: Images, part: str) -> Metrics:
    """Return loss, accuracy and calibration error of `model` in eval mode on a clean part."""
    loss = torch.zeros((), device=images.targets.device)
    right, confidence = [], []
    for rows, logits in logits_in_batches(model, len(images), images.batch):
        targets = images.targets[rows]
        loss += functional.cross_entropy(logits, targets, reduction="sum")
        right.append(logits.argmax(1) == targets)
        confidence.append(logits.float().softmax(1).amax(1))
    hits = torch.cat(right)
    return {
        f"{part}_loss": float(loss) / len(images),
        f"{part}_accuracy": float(hits.sum()) / len(images),
        f"{part}_calibration_error": calibration_error(torch.cat(confidence), hits),
    }


def calibration_error(confidence: Tensor, right: Tensor) -> float:
    """Return the expected calibration error of n predictions, given confidence [n] in (0, 1] and correctness [n]."""
    confidence, right = confidence.cpu().double(), right.cpu().double()  # on a CPU sums are deterministic
    bins = (confidence * CALIBRATION_BINS).ceil().long().clamp(1, CALIBRATION_BINS) - 1
    gaps = torch.zeros(CALIBRATION_BINS, dtype=torch.float64)  # n_b (share right − mean confidence)
    gaps.index_add_(0, bins, right - confidence)
    return float(gaps.abs().sum()) / len(confidence)


def label_metrics(soft: Tensor, given: Tensor, truth: Tensor) -> Metrics:
    """Compare soft labels [N, C] with the given classes [N] and with the true ones [N], -1 where unknown."""
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


def mistakes_auc(soft: Tensor, given: Tensor, truth: Tensor) -> Metrics:
    """Return how well soft labels [N, C] separate wrong given classes [N] from right ones, given true ones [N]."""
    known = truth >= 0
    wrong = (given != truth)[known]
    score = -soft.gather(1, given[:, None])[known, 0]
    count = int(wrong.sum())
    if count in (0, len(wrong)):
        return {}
    _, group, ties = score.unique(return_inverse=True, return_counts=True)
    ranks = ties.cumsum(0).double() - (ties - 1) / 2  # mean rank of equal scores
    surplus = float(ranks[group[wrong]].sum()) - count * (count + 1) / 2
    return {"mistakes_auc": surplus / (count * (len(wrong) - count))}
