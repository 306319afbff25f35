"""A command that is refused leaves nothing: no folder, no database, no run on a server; and an old sweep as it was."""

from pathlib import Path

import pytest

from tests.conftest import Result, run
from tests.tracking.conftest import free_port

SMALL = ("--space", "label_lr.yaml", "--set", "epochs=1", "--set", "width=8", "--trials", "2")
REFUSALS = {
    "tracking": (["--tracking-uri", "http://127.0.0.1:{port}"], "--tracking-uri: expected an MLflow server at"),
    "address": (["--address", "127.0.0.1:{port}"], "expected a Ray cluster, got: Connection refused"),
    "data": (["--set", "dataset=npz:{folder}/none.npz"], "none.npz"),
    "another's home": (["--set", "dataset=npz:~nobody9/none.npz"], "~nobody9/none.npz"),
    "not data": (["--set", "dataset=npz:{folder}/space.txt"], "space.txt"),
    "model": (["--set", "model=no_module:Net"], "no_module"),
    "name": (["--name", "a/b"], "--name: expected letters"),
    "warm start": (["--warm-start", "none"], "--warm-start: expected a sweep"),
}
REFUSED_BY_THE_CLUSTER = {
    "gpu": (["--set", "search.resources.gpu=5"], "search.resources: expected what"),
    "cpu": (["--set", "search.resources.cpu=64"], "search.resources: expected what"),
    "accelerator": (["--set", "search.resources.accelerator=A100"], "search.resources.accelerator: expected a type"),
}


def search(runs: Path | str, *words: str) -> Result:
    folder = Path(str(runs).removeprefix("file://")).parent
    port = free_port()
    return run("harness.search", *SMALL, "--runs-dir", str(runs), *(w.format(port=port, folder=folder) for w in words))


def refused(result: Result, expected: str) -> None:
    assert result.code == 2, result.all
    assert expected in result.err
    assert "Traceback" not in result.all


@pytest.mark.parametrize(("words", "expected"), REFUSALS.values(), ids=REFUSALS.keys())
def test_nothing_is_left_of_a_sweep_that_is_refused(words: list[str], expected: str, tmp_path: Path) -> None:
    (tmp_path / "space.txt").write_text("no data", encoding="utf-8")
    refused(search(tmp_path / "new" / "runs", *words), expected)
    assert [path.name for path in tmp_path.iterdir()] == ["space.txt"]


@pytest.mark.parametrize("name", ["r\udcfcns", "r\udcc3\udcbcns"], ids=["Latin-1", "UTF-8 in an ASCII locale"])
def test_a_runs_folder_whose_name_is_no_utf8_is_refused(name: str, tmp_path: Path) -> None:
    refused(search(tmp_path / name), "--runs-dir: expected a path in UTF-8, got")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(("words", "expected"), REFUSED_BY_THE_CLUSTER.values(), ids=REFUSED_BY_THE_CLUSTER.keys())
def test_nothing_is_left_of_a_sweep_that_the_cluster_refuses(
    words: list[str], expected: str, tmp_path: Path, ray_address: str
) -> None:
    refused(search(tmp_path / "new" / "runs", *words, "--address", ray_address), expected)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "store").mkdir()
    refused(search(f"file://{tmp_path}/store/runs", *words, "--address", ray_address), expected)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.slow
def test_a_sweep_that_was_there_keeps_its_inputs(tmp_path: Path, ray_address: str) -> None:
    def state() -> dict[str, bytes]:
        names = ("space.yaml", "provenance.json", "study.journal", "summary.json", "report.html")
        return {name: (tmp_path / "label_lr" / name).read_bytes() for name in names}

    swept = search(tmp_path, "--address", ray_address)
    assert swept.code == 0, swept.all
    before = state()
    words, expected = REFUSED_BY_THE_CLUSTER["gpu"]
    refused(search(tmp_path, *words, "--trials", "4", "--address", ray_address), expected)
    assert state() == before
