"""What goes wrong in a trial, for real: that trial is failed with its reason, and all else goes on."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Result, run
from tests.support.faulty_network import CRASHES, DIES, EXITS, GOOD, GREEDY, HANGS
from tests.support.trial_records import trial_records

pytestmark = pytest.mark.slow

SPACE = f"""
study: faulty
fixed: {{dataset: digits, noise: symmetric, noise_rate: 0.4, model: "tests.support.faulty_network:network", epochs: 2}}
arms:
  ours:
    method: one_hot
    parameters:
      width: {{type: categorical, choices: [{HANGS}, {GREEDY}, {DIES}, {GOOD}, {EXITS}, {CRASHES}]}}
search: {{trials: 6, sampler: grid, pruner: none, resources: {{limit_seconds: 8}}}}
"""


def write_space(folder: Path) -> str:
    file = folder / "faulty.yaml"
    file.write_text(SPACE)
    return str(file)


def read(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text())
    return found


class Faulty:
    """A sweep of one good trial and five that go wrong, a way each."""

    def __init__(self, runs: Path, address: str) -> None:
        self.folder = runs / "faulty"
        self.words = ("--space", write_space(runs), "--address", address, "--runs-dir", str(runs))
        self.result = run("harness.search", *self.words)

    def trial(self, width: int) -> int:
        (number,) = [entry.number for entry in trial_records(self.folder) if entry.params["width"] == width]
        return number

    def reason(self, width: int) -> str:
        return str(read(self.folder / "summary.json")["failures"][str(self.trial(width))])


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory, ray_address: str) -> Faulty:
    return Faulty(tmp_path_factory.mktemp("runs"), ray_address)


def test_trials_that_go_wrong_are_failed_and_their_neighbour_lives(faulty: Faulty) -> None:
    assert faulty.result.code == 0, faulty.result.all
    assert faulty.result.err == ""
    found = read(faulty.folder / "summary.json")
    assert found["states"] == {"complete": 1, "pruned": 0, "failed": 5}
    assert found["best"]["params"] == {"width": GOOD}


def test_a_trial_that_hangs_in_c_is_ended_at_its_limit_and_says_where_it_was(faulty: Faulty) -> None:
    reason = faulty.reason(HANGS)
    assert re.fullmatch(r"time limit: not done after 8 s of computing, in match \(__init__.py:\d+\)", reason), reason
    left = faulty.folder / "trials" / str(faulty.trial(HANGS))
    assert not (left / "hung.txt").exists()
    assert "faulty_network.py" in (left / "time_limit.txt").read_text(), "who called it"


def test_a_trial_that_runs_out_of_device_memory_fails_with_that_reason(faulty: Faulty) -> None:
    assert faulty.reason(GREEDY) == "out of memory: CUDA out of memory. Tried to allocate 20.00 GiB."


def test_a_trial_that_takes_its_worker_down_each_time_is_given_up_with_a_likely_reason(faulty: Faulty) -> None:
    words = "worker lost, 4 times in a row: its process died, or was killed as the system does where memory runs out"
    assert faulty.reason(DIES) == words


def test_a_trial_that_exits_fails_with_what_it_said_and_where(faulty: Faulty) -> None:
    assert re.fullmatch(r"SystemExit: enough of this, at faulty_network.py:\d+", faulty.reason(EXITS))


def test_a_trial_that_crashes_in_c_is_given_up_with_the_place(faulty: Faulty) -> None:
    crash = r"worker lost, 4 times in a row: its process died: Segmentation fault, at faulty_network.py:\d+"
    assert re.fullmatch(crash, faulty.reason(CRASHES))


def test_a_sweep_whose_workers_all_die_stops_before_its_journal_is_spent(tmp_path: Path, ray_address: str) -> None:
    widths = f"arms.ours.parameters.width={{type: categorical, choices: [{DIES}, {CRASHES}]}}"
    words = ("--space", write_space(tmp_path), "--set", widths, "--address", ray_address, "--runs-dir", str(tmp_path))
    result = run("harness.search", *words, "--trials", "2")
    assert result.code == 2, result.all
    assert re.search(r"expected workers that train, got \d that were lost before any had a result; ", result.err)
    assert len(result.err.splitlines()) == 1
    assert "Traceback" not in result.all
    assert "raylet" not in result.all
    assert not (tmp_path / "faulty").exists()


def test_what_failed_is_not_run_again_unless_it_is_asked_for(faulty: Faulty) -> None:
    again = run("harness.search", *faulty.words)
    assert again.code == 0, again.all
    assert "first result" not in again.out


def test_a_confirmation_gives_a_run_up_that_hangs_and_goes_on_with_the_others(tmp_path: Path, ray_address: str) -> None:
    """The journal says that both were complete, on a machine where they did not hang."""
    from harness.space import dump, load
    from harness.tuning.storage.sweep_folder import SweepFolder
    from harness.tuning.study.sweep_study import SweepStudy

    widths = f"arms.ours.parameters.width={{type: categorical, choices: [{HANGS}, {GOOD}]}}"
    space = load(write_space(tmp_path), [widths, "search.trials=2"])
    with SweepFolder(tmp_path / "faulty") as folder:
        folder.space.write_text(dump(space))
        study = SweepStudy(folder.journal, space)
        while (trial := study.next()) is not None:
            study.report(trial.number, trial.config.epochs, {"val_accuracy": 0.9, "val_loss": 0.1})
            study.complete(trial.number)
    words = ("faulty", "--seeds", "1", "--top", "2", "--runs-dir", str(tmp_path), "--address", ray_address)
    result: Result = run("harness.confirm", *words)
    assert result.code == 0, result.all
    found = read(tmp_path / "faulty" / "confirm.json")
    assert any("time limit: not done after 8 s of computing" in note for note in found["notes"]), found["notes"]
    assert sorted(one["n"] for one in found["arms"]["ours"]["configurations"].values()) == [0, 1]
