"""The benchmark of many trials, in small: with its searcher, scheduler, journal, spool and writer, on real Ray."""

import json

import pytest

from tests.conftest import run


@pytest.mark.slow
def test_a_free_worker_takes_the_next_trial_and_those_being_started_are_waited_for() -> None:
    """Ray Tune's own order starts more workers, of which some are given up for others."""
    result = run("benchmarks.scale", "--here", "--trials", "40", "--slots", "4", "--seconds", "0.1")
    assert result.code == 0, result.all
    measured = json.loads(result.out.splitlines()[-1])
    assert measured["trials"] == 40
    assert measured["workers"] == 4
    assert measured["seconds"] > measured["ideal_seconds"]
