"""Fine-tuning on the meta set: train on the noisy labels, then on the clean ones alone.

    first  epochs - n:  L over train (and meta, with train_on_meta) at rate lr
    last   n:           L over meta at rate fine_tune_lr,               n = fine_tune_share · epochs, rounded

Transfer from noisy to clean labels in its plainest form (e.g. Xiao et al. 2015, CVPR, on Clothing1M; Hendrycks et al.
2018, arXiv:1802.05300, compare against it). Labels are one-hot throughout.
"""

from harness.training.config.methods import FineTuningParameters
from harness.training.methods.baselines.one_hot import OneHot
from harness.training.methods.method import Phase


class FineTuning(OneHot):
    Parameters = FineTuningParameters
    parameters: FineTuningParameters

    def phases(self) -> list[Phase]:
        config, parameters, meta = self.config, self.parameters, self.task.trusted.nonzero().flatten()
        last = round(parameters.fine_tune_share * config.epochs)
        return [
            Phase(config.epochs - last, self.task.training_index, config.lr),
            Phase(last, meta, parameters.fine_tune_lr),
        ]
