"""A stream for each purpose, and none of them the process's own."""

import torch

from harness.common.seeds import derive_seed
from harness.training.config.run_config import RunConfig
from harness.training.data.splits import load_splits
from harness.training.rng import GlobalStream, generator
from harness.training.run import Run
from tests.training.run_helpers import same_state

CONFIG = RunConfig(noise="symmetric", noise_rate=0.4)


def test_streams_of_different_purposes_and_seeds_are_unrelated() -> None:
    draws = {
        (seed, purpose): tuple(torch.randperm(50, generator=generator(seed, purpose)).tolist())
        for seed in (0, 1)
        for purpose in ("split", "noise", "order", "meta order")
    }
    assert len(set(draws.values())) == 8
    assert derive_seed(1, "2") != derive_seed(12, "") != derive_seed(0, "12")


def test_a_change_of_noise_or_model_leaves_the_other_draws_as_they_were() -> None:
    noisy, clean = Run(CONFIG), Run(CONFIG.model_copy(update={"noise": "none"}))
    other = load_splits(CONFIG.model_copy(update={"model": "cnn", "labels": "class"}))
    assert torch.equal(noisy.splits.train.inputs, other.train.inputs)
    assert torch.equal(noisy.splits.noisy, other.noisy)
    assert torch.equal(noisy.splits.train.inputs, clean.splits.train.inputs)
    assert same_state(noisy.model.state_dict(), clean.model.state_dict())
    assert torch.equal(noisy.streams["order"].get_state(), clean.streams["order"].get_state())
    assert not torch.equal(noisy.splits.noisy, clean.splits.noisy)


def test_a_run_neither_reads_nor_moves_the_process_s_own_random_state() -> None:
    def weights(process_seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(process_seed)
        before = torch.get_rng_state()
        run = Run(CONFIG.model_copy(update={"epochs": 1}))
        run.train_epoch()
        assert torch.equal(torch.get_rng_state(), before)
        return run.model.state_dict()

    assert same_state(weights(1), weights(2))


def test_a_global_stream_goes_on_where_it_was() -> None:
    stream, whole = GlobalStream(0, "model"), GlobalStream(0, "model")
    with whole.active():
        expected = torch.rand(6)
    with stream.active():
        first = torch.rand(3)
    torch.rand(17)  # the process's own, in between
    with stream.active():
        second = torch.rand(3)
    assert torch.equal(torch.cat([first, second]), expected)
