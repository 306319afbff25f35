"""Confident learning (Northcutt, Jiang and Chuang 2021, arXiv:1911.00068): find wrong labels, leave them out, train.

    fold k of K    a fresh model learns from the other folds, and predicts fold k        cl_share of the epochs, over K
    then           cleanlab finds label issues in these predictions
    last           a fresh model learns from what is left                                the rest of the epochs

`epochs` counts all of them, so that each method's run trains for the same number of epochs; only an epoch of a fold is
shorter, by 1/K. Folds hold the annotated classes evenly. Images of the meta set, where it is trained on, are in every
fold's training part, and never left out. The soft label of an image left out is the prediction for it; other images
keep their class.
"""

import torch
from torch import Tensor

from harness.training.config.methods import ConfidentLearningParameters
from harness.training.data.meta_set import rank_within_class
from harness.training.methods.method import Method, Phase, Task
from harness.training.metrics import logits_in_batches


class ConfidentLearning(Method):
    Parameters = ConfidentLearningParameters
    parameters: ConfidentLearningParameters
    updates_labels = True
    static_steps = True
    state = ("predictions", "kept", "epochs_ended")

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        given = task.given
        self.predictions = torch.zeros(len(given), task.classes, device=given.device)  # of the model of other folds
        self.kept = torch.ones_like(task.trusted)
        self.epochs_ended = torch.zeros((), dtype=torch.int64)
        self.fold = (rank_within_class(given) % self.parameters.cl_folds).where(~task.trusted, -1)
        self.fold_epochs = self.parameters.fold_epochs(self.config.epochs)

    def phases(self) -> list[Phase]:
        images, lr, folds = self.task.training_index, self.config.lr, self.parameters.cl_folds
        fold = self.fold[images]
        crossed = [Phase(self.fold_epochs, images[fold != k], lr, fresh_model=k > 0) for k in range(folds)]
        last = self.config.epochs - folds * self.fold_epochs
        return [*crossed, Phase(last, images[self.kept[images]], lr, fresh_model=True)]

    def end_epoch(self) -> None:
        self.epochs_ended += 1
        fold, rest = divmod(int(self.epochs_ended), self.fold_epochs)
        if rest or fold > self.parameters.cl_folds:
            return
        self._predict((self.fold == fold - 1).nonzero().flatten())
        if fold == self.parameters.cl_folds:
            self.kept.copy_(~self._find_issues())

    def soft_labels(self) -> Tensor:
        return super().soft_labels().where(self.kept[:, None], self.predictions)

    def _predict(self, index: Tensor) -> None:
        """Keep the predictions of the present model for these images."""
        batches = logits_in_batches(self.task.model, len(index), lambda rows: self.task.inputs(index[rows]))
        for rows, logits in batches:
            self.predictions[index[rows]] = logits.float().softmax(1)

    def _find_issues(self) -> Tensor:
        """Images whose labels cleanlab finds wrong, bool [images]."""
        from cleanlab.filter import find_label_issues  # takes seconds to import

        noisy = (~self.task.trusted).nonzero().flatten()
        is_issue = find_label_issues(
            labels=self.task.given[noisy].cpu().numpy(),
            pred_probs=self.predictions[noisy].cpu().numpy(),
            filter_by=self.parameters.cl_filter,
            n_jobs=1,
        )
        issues = torch.zeros_like(self.kept)
        issues[noisy] = torch.as_tensor(is_issue, device=issues.device)
        return issues
