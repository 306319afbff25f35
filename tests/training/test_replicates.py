"""One configuration on several seeds: means, spreads, one state."""

import statistics

import pytest

from harness.training.config.run_config import RunConfig
from harness.training.errors import DivergenceError
from harness.training.replicates import Replicates, mean_metrics
from harness.training.run import Run
from tests.training.run_helpers import epochs, through_a_file

CONFIG = RunConfig(noise="symmetric", noise_rate=0.4, width=8, epochs=3, train_size=200, label_lr=0.5, seed=4)


def test_what_is_measured_is_the_mean_of_the_runs_alone_and_their_spread() -> None:
    together = Replicates(CONFIG, 3)
    alone = [epochs(Run(CONFIG.model_copy(update={"seed": seed})), 3) for seed in (4, 5, 6)]
    for epoch in range(3):
        metrics = together.train_epoch()
        values = {name: [curve[epoch][name] for curve in alone] for name in alone[0][0]}
        assert metrics.pop("seconds") > 0
        assert metrics.keys() == values.keys() | {f"{name}_std" for name in values if name.startswith("val_")}
        for name, own in values.items():
            assert metrics[name] == pytest.approx(statistics.fmean(own), rel=1e-12)
        assert metrics["val_accuracy_std"] == pytest.approx(statistics.stdev(values["val_accuracy"]), rel=1e-12)
        assert metrics["val_loss_std"] == pytest.approx(statistics.stdev(values["val_loss"]), rel=1e-12)
        assert metrics["val_accuracy_std"] > 0, "the seeds differ"
    assert together.done
    assert together.first.config == CONFIG


def test_one_seed_is_the_run_itself() -> None:
    one, run = Replicates(CONFIG), Run(CONFIG)
    for _ in range(2):
        mine, its = one.train_epoch(), run.train_epoch()
        assert {**mine, "seconds": 0} == {**its, "seconds": 0}


def test_taken_up_from_a_file_they_go_on_bit_for_bit() -> None:
    straight = Replicates(CONFIG, 2)
    straight.train_epoch()
    state = through_a_file(straight.state_dict())
    rest = [{**straight.train_epoch(), "seconds": 0} for _ in range(2)]
    taken_up = Replicates(CONFIG, 2)
    taken_up.load_state_dict(state)
    assert taken_up.epoch == 1
    assert [{**taken_up.train_epoch(), "seconds": 0} for _ in range(2)] == rest


def test_the_state_of_other_seeds_is_refused() -> None:
    with pytest.raises(ValueError):  # noqa: PT011  (of another length, as Python words it)
        Replicates(CONFIG, 2).load_state_dict(Replicates(CONFIG, 3).state_dict())


def test_divergence_names_its_seed() -> None:
    wild = CONFIG.model_copy(update={"lr": 1e30})
    with pytest.raises(DivergenceError, match=r"^seed 4: \w+ is (nan|inf) after epoch 1"):
        Replicates(wild, 2).train_epoch()


def test_what_some_seeds_lack_is_the_mean_of_the_others_and_seconds_add_up() -> None:
    means = mean_metrics([{"clean_labels_kept": 0.5, "seconds": 1.0}, {"seconds": 2.5}])
    assert means == {"clean_labels_kept": 0.5, "seconds": 3.5}
