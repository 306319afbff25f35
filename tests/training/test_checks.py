"""Problems of data and model that are found before torch is imported."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from harness.training.config.checks import check_config
from harness.training.config.registry import TORCHVISION
from harness.training.config.run_config import RunConfig
from tests.conftest import ROOT
from tests.training import data_files as files


def problems(dataset: str = "digits", **settings: Any) -> list[str]:
    return check_config(RunConfig(dataset=dataset, **settings))


def test_existing_files_are_not_a_problem(tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", x_train=np.zeros((3, 2, 2)), y_train=np.arange(3), worse=np.arange(3))
    files.write_idx_set(tmp_path / "MNIST", zipped=True)
    (tmp_path / "train" / "cat").mkdir(parents=True)
    (tmp_path / "given.csv").touch()
    assert problems() == []
    assert problems(f"npz:{tmp_path}/mine.npz", noise="given", given_labels="worse") == []
    assert problems(f"folder:{tmp_path}", noise="given") == []
    assert problems("MNIST", data_root=str(tmp_path)) == []
    assert problems("CIFAR10", data_root=str(tmp_path)) == []
    assert problems("CIFAR10", data_root=str(tmp_path / "absent"), download=True) == []
    assert problems(model="tests.training.own_models:with_dropout") == []
    assert problems(model="torchvision:resnet18") == []


NPZ, FOLDER = {"dataset": "npz:mine.npz"}, {"dataset": "folder:pictures"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"dataset": "npz:absent.npz"}, "dataset: expected an npz file, got nothing at absent.npz; correct the path"),
        ({"dataset": "npz:text.npz"}, "dataset: expected an npz file, got text.npz, which cannot be opened"),
        (NPZ, "dataset: expected the arrays y_train in mine.npz, got x_train; add"),
        ({**NPZ, "noise": "given", "given_labels": "z"}, "dataset: expected the arrays y_train, z in mine.npz"),
        ({"dataset": "folder:absent"}, "dataset: expected absent to hold train/CLASS"),
        ({**FOLDER, "noise": "given"}, "noise: expected pictures/given.csv or pictures/trusted, got"),
        ({"dataset": "MNIST"}, "data_root: expected train-images-idx3-ubyte (or .gz) and its companions in data/MNIST"),
        ({"dataset": "SVHN", "data_root": "none"}, "data_root: expected a folder with the files of SVHN, got none"),
        ({"noise": "given"}, "noise: expected noisy labels in digits, got a set without; choose another noise"),
        ({"model": "no_such_module:f"}, "model: expected the function f of a module that can be imported, got no_such"),
    ],
)
def test_missing_files_are_reported_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    np.savez(tmp_path / "mine.npz", x_train=np.zeros((3, 2, 2)))
    (tmp_path / "text.npz").write_text("no archive")
    (tmp_path / "pictures" / "train" / "cat").mkdir(parents=True)
    assert any(problem.startswith(words) for problem in problems(**settings))


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("digit", "did you mean digits"),
        ("cifar10", "did you mean CIFAR10"),
        ("pictures", "use one of digits, CIFAR10"),
        ("npz:", "did you mean npz:PATH"),
        ("folder", "did you mean folder:PATH"),
        ("Folder:pets", "did you mean folder:pets"),
        ("pets", "did you mean folder:pets"),
        ("./elsewhere/pets", "did you mean folder:./elsewhere/pets"),
        ("pets.npz", "did you mean npz:pets.npz"),
        ("made/vectors.parquet", "did you mean table:made/vectors.parquet"),
    ],
)
def test_a_data_set_of_no_known_name_is_refused_by_the_configuration(
    name: str, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pets").mkdir()
    with pytest.raises(ValidationError, match=remedy):
        RunConfig(dataset=name)


def test_every_set_listed_is_one_of_torchvision() -> None:
    import torchvision.datasets

    for name in TORCHVISION:
        assert callable(getattr(torchvision.datasets, name))


def output(script: str) -> tuple[str, str]:
    """Standard output and error of a fresh Python process."""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    return done.stdout, done.stderr


def test_neither_settings_nor_checks_import_torch() -> None:
    script = (
        "import sys, harness.training.config.run_config, harness.training.config.checks; "
        "print(sorted({'torch', 'torchvision', 'numpy', 'sklearn'} & sys.modules.keys()))"
    )
    assert output(script) == ("[]\n", "")


def test_a_driver_that_checks_the_data_imports_no_torch() -> None:
    script = (
        "import sys, harness; from harness.results.sweep_data import read_data; "
        "read_data([harness.RunConfig()]); print('torch' in sys.modules)"
    )
    assert output(script) == ("False\n", "")
