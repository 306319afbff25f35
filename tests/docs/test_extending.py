"""docs/extending.md: its method, noise and data set are swept over from a folder that is no package of ours."""

from pathlib import Path

import pytest

from tests.conftest import run
from tests.docs.code_blocks import ROOT, blocks

PAGE = ROOT / "docs" / "extending.md"
METHOD, OWN = "mine:SymmetricCrossEntropy", {"sce_alpha", "sce_beta", "sce_clamp"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the module and the space file of the page."""
    folder = tmp_path_factory.mktemp("page")
    for name, language in (("mine.py", "python"), ("wine.yaml", "yaml")):
        (text,) = blocks(PAGE, language)
        (folder / name).write_text(text)
    return folder


def test_the_parameters_of_the_method_are_printed(folder: Path) -> None:
    done = run("harness.space", "--method", METHOD, cwd=folder)
    assert done.code == 0, done.all
    assert done.out.startswith(f"{METHOD}: Symmetric cross-entropy (Wang et al. 2019")
    assert "sce_alpha: a number above 0; default 0.1\n    weight of the cross-entropy\n" in done.out


def test_one_run_trains_by_all_three(folder: Path) -> None:
    done = run("harness.train", "--space", "wine.yaml", "--set", "sce_alpha=0.5", "--set", "lr=0.1", cwd=folder)
    assert done.code == 0, done.all
    assert "data: mine:wine · 178 vectors · a fifth of them is the test part" in done.all
    assert "sce_alpha 0.5" in done.out.replace("=", " ")


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_search_confirmation_report_and_mlflow_have_the_parameters_for_runs_of_the_method_alone(
    folder: Path, ray_address: str
) -> None:
    import mlflow

    words = ("--address", ray_address, "--runs-dir", str(folder / "runs"))
    done = run("harness.search", "--space", "wine.yaml", *words, cwd=folder)
    assert done.code == 0, done.all
    assert "6/6 trials · 0 running · 0 failed" in done.out
    done = run("harness.confirm", "wine", "--seeds", "2", *words, cwd=folder)
    assert done.code == 0, done.all
    assert "sce_alpha" in (folder / "runs" / "wine" / "report.html").read_text()

    client = mlflow.MlflowClient(f"sqlite:///{folder / 'runs' / 'mlflow.db'}")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    params = [run.data.params for run in client.search_runs(experiments) if "method" in run.data.params]
    assert {run_params["method"] for run_params in params} == {METHOD, "learned", "one_hot"}
    for run_params in params:
        assert (run_params.keys() & OWN == OWN) == (run_params["method"] == METHOD)
        assert ("label_lr" in run_params) == (run_params["method"] == "learned")

    module = folder / "mine.py"
    module.write_text(module.read_text().replace("found.data.astype", "(1 + found.data).astype"))
    done = run("harness.search", "--space", "wine.yaml", "--trials", "9", *words, cwd=folder)
    assert done.code == 2
    assert "expected the data that this sweep began with, got other ones" in done.err
