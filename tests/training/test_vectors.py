"""Feature vectors: npz files of two dimensions, and tables in Parquet and CSV."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from pyarrow import csv, parquet

from harness.training.config.checks import check_config
from harness.training.config.run_config import RunConfig
from harness.training.data.arrays import load_summary
from harness.training.data.pool import load_pool, load_test, load_validation
from harness.training.data.readers import feature_table
from harness.training.errors import DataError
from harness.training.run import Run

CLASSES, FEATURES, ROWS = 3, 5, 240
SMALL = {"meta_size": 30, "val_size": 30, "epochs": 3, "model": "linear", "label_lr": 0.3}


def arrays(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Vectors around a centre for each class, the first feature on a scale a thousand times that of the others."""
    rng = np.random.default_rng(seed)
    y = np.arange(ROWS) % CLASSES
    x = rng.normal(size=(ROWS, FEATURES)) + 3 * np.eye(CLASSES, FEATURES)[y]
    return (x * [1000, 1, 1, 1, 1]).astype(np.float32), y


def columns(**changes: Any) -> dict[str, Any]:
    x, y = arrays()
    names = np.array(["ant", "bee", "cat"])[y].tolist()
    splits = (["train"] * 4 + ["test"]) * (ROWS // 5)
    return {f"f{i}": x[:, i] for i in range(FEATURES)} | {"label": names, "split": splits} | changes


def write_table(file: Path, data: dict[str, Any], separator: str = ",") -> RunConfig:
    table = pa.table({name: column for name, column in data.items() if column is not None})
    if file.suffix == ".parquet":
        parquet.write_table(table, file)
    else:
        csv.write_csv(table, file, csv.WriteOptions(delimiter=separator))
    return RunConfig(dataset=f"table:{file}", **SMALL)


def write_npz(folder: Path, x: np.ndarray, y: np.ndarray, **settings: Any) -> RunConfig:
    np.savez(folder / "set.npz", x_train=x, y_train=y)
    return RunConfig(dataset=f"npz:{folder / 'set.npz'}", **{**SMALL, **settings})


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int32])
def test_vectors_of_an_npz_file_are_standardised_by_feature(tmp_path: Path, dtype: Any) -> None:
    x, y = arrays()
    config = write_npz(tmp_path, (x / [1000, 1, 1, 1, 1] * 10).astype(dtype), y)
    pool = load_pool(config)
    assert pool.are_vectors
    assert pool.inputs.shape == (ROWS - ROWS // 5, FEATURES, 1, 1)
    assert pool.pixels.stored.dtype == (torch.float16 if dtype == np.float16 else torch.float32)
    torch.testing.assert_close(pool.inputs.mean((0, 2, 3)), torch.zeros(FEATURES), atol=1e-3, rtol=0)
    torch.testing.assert_close(pool.inputs.std((0, 2, 3)), torch.ones(FEATURES), atol=1e-2, rtol=0)


@pytest.mark.parametrize("model", ["linear", "mlp"])
def test_labels_are_learned_on_vectors(tmp_path: Path, model: str) -> None:
    config = write_npz(tmp_path, *arrays(), noise="symmetric", noise_rate=0.3, model=model, epochs=8)
    run = Run(config)
    metrics = [run.train_epoch() for _ in range(8)][-1]
    assert metrics["val_accuracy"] > 0.85
    assert metrics["label_accuracy"] > 0.75
    assert run.label_history is not None
    assert "pixels" not in run.label_history.arrays(run.splits.train)


@pytest.mark.parametrize(
    ("name", "separator"), [("set.parquet", ","), ("set.csv", ","), ("set.csv", ";"), ("set.txt", "\t")]
)
def test_tables_are_read(tmp_path: Path, name: str, separator: str) -> None:
    config = write_table(tmp_path / name, columns(), separator)
    pool, test = load_pool(config), load_test(config)
    assert pool.class_names == ("ant", "bee", "cat")
    assert (len(pool), len(test)) == (ROWS * 4 // 5, ROWS // 5)
    said = load_summary(config).text.replace("\n  ", " · ")
    assert "training 192, test 48 vectors · 3 classes (ant, bee, cat) · 5 features float32" in said
    x, y = arrays()
    is_test = np.arange(ROWS) % 5 == 4
    assert test.targets.tolist() == y[is_test].tolist()
    np.testing.assert_allclose(test.pixels.stored[:, :, 0, 0].numpy(), x[is_test], rtol=1e-5)


def with_decimal_commas(separator: str, **changes: Any) -> str:
    """A table in which all features but whole numbers have decimal commas, but for the changes."""
    cells = {name: [str(cell) for cell in column] for name, column in columns().items()}
    cells |= {f"f{i}": [cell.replace(".", ",") for cell in cells[f"f{i}"]] for i in range(FEATURES)}
    cells |= {"count": [str(row) for row in range(ROWS)], **changes}
    return "\n".join(map(separator.join, [list(cells), *zip(*cells.values(), strict=True)]))


@pytest.mark.parametrize("separator", [";", "\t"])
def test_decimal_commas_are_read_where_no_comma_separates(tmp_path: Path, separator: str) -> None:
    table = tmp_path / "set.csv"
    table.write_text(with_decimal_commas(separator, f1=["1,5e2", "3"] * (ROWS // 2)))
    read = feature_table.read(RunConfig(dataset=f"table:{table}"))
    rows = np.arange(ROWS) % 5 < 4
    expected = np.column_stack([arrays()[0], np.arange(ROWS)]).astype(np.float32)
    expected[:, 1] = np.where(np.arange(ROWS) % 2, 3, 150)
    assert read.train.images[:, [0, 1, 2, 3, 4, 5], 0, 0].tolist() == expected[rows].tolist()
    assert read.class_names == ("ant", "bee", "cat")


@pytest.mark.parametrize(
    ("separator", "changes", "error"),
    [
        (";", {"f1": ["0.5"] * ROWS}, "decimal points or decimal commas, got commas in f0, .* points in f1; write"),
        (";", {"f1": ["0,5", "0.5"] * (ROWS // 2)}, r"f1: expected a column of numbers, got string \('0,5' in row 0\)"),
        (";", {"f1": ["1.234,5"] * ROWS}, r"f1: expected a column of numbers, got string \('1.234,5' in row 0\)"),
        (";", {f"f{i}": ["999", "1,000"] * (ROWS // 2) for i in range(FEATURES)},
         "got commas before three digits alone in f0, .*, which may separate thousands; write thousands without"),
        (",", {f"f{i}": ['"0,5"'] * ROWS for i in range(FEATURES)}, r"f0: expected .* \('0,5' in row 0\); write"),
    ],
    ids=["points in a column", "both in a column", "points as well", "thousands", "in quotes"],
)  # fmt: skip
def test_decimal_commas_that_may_mean_something_else_are_refused(
    tmp_path: Path, separator: str, changes: dict[str, Any], error: str
) -> None:
    (tmp_path / "set.csv").write_text(with_decimal_commas(separator, **changes))
    with pytest.raises(DataError, match=error):
        load_pool(RunConfig(dataset=f"table:{tmp_path / 'set.csv'}"))


PLAIN = "\n".join(["label,größe", *(f"{row % 3},{row / 8}" for row in range(ROWS))])
DIALECTS = {
    "plain": PLAIN.encode(),
    "byte order mark": PLAIN.encode("utf-8-sig"),
    "UTF-16": PLAIN.encode("utf-16"),
    "line ends of old macOS": PLAIN.replace("\n", "\r").encode(),
    "a line that tells the separator": b"sep=;\r\n" + PLAIN.replace(",", ";").replace("\n", "\r\n").encode(),
    "blanks": PLAIN.replace(",", " , ").encode(),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_table_is_read_however_it_was_saved(tmp_path: Path, dialect: str) -> None:
    (tmp_path / "set.csv").write_bytes(DIALECTS[dialect])
    config = RunConfig(dataset=f"table:{tmp_path / 'set.csv'}", **SMALL)
    assert check_config(config) == []
    read = feature_table.read(config)
    assert read.train.images.flatten().tolist() == [row / 8 for row in range(ROWS)]
    assert read.train.truth.tolist() == [row % 3 for row in range(ROWS)]


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (PLAIN.encode("latin-1"), "expected text in UTF-8, got the error: .* 0xf6 in .*; save the table in UTF-8"),
        (PLAIN.replace("größe", "label").encode(), "expected columns of different names, got several named 'label'"),
    ],
)
def test_a_text_that_cannot_be_read_as_a_table_is_refused_in_words(tmp_path: Path, content: bytes, error: str) -> None:
    (tmp_path / "set.csv").write_bytes(content)
    with pytest.raises(DataError, match=error):
        load_summary(RunConfig(dataset=f"table:{tmp_path / 'set.csv'}"))


def test_given_labels_and_a_validation_part_of_a_table(tmp_path: Path) -> None:
    splits = (["train"] * 3 + ["val", "Test"]) * (ROWS // 5)
    y = arrays()[1]
    given = np.where(np.arange(ROWS) % 7 == 0, (y + 1) % CLASSES, y)
    config = write_table(tmp_path / "set.parquet", columns(split=splits, label=y, given=given))
    config = config.model_copy(update={"noise": "given"})
    pool, validation = load_pool(config), load_validation(config)
    assert validation is not None
    assert len(validation) == ROWS // 5
    assert pool.given is not None
    is_train = np.arange(ROWS) % 5 < 3
    assert pool.given.tolist() == given[is_train].tolist()
    assert Run(config).train_epoch()["label_accuracy"] > 0.5


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        (
            {"f2": np.where(np.arange(ROWS) == 7, np.nan, 1.5)},
            r"f2: expected finite numbers, got nan in row 7 \(1 such\)",
        ),
        ({"f2": [None, *[1.0] * (ROWS - 1)]}, r"f2: expected a number in each row, got none in row 0; fill it"),
        ({"f2": ["red"] * ROWS}, r"f2: expected a column of numbers, got string \('red' in row 0\); write numbers"),
        ({"f2": ["1.5"] * 7 + ["red"] * (ROWS - 7)}, r"f2: expected a column of numbers, .* \('red' in row 7\)"),
        ({"f2": np.where(np.arange(ROWS) == 4, 1e30, 1.5)}, r"expected features of at most 1e\+15, got .* at image"),
        ({"": range(ROWS)}, "expected features alone, got '', which numbers the rows .*; remove the column"),
        (
            {"__index_level_0__": range(ROWS)},
            "expected features alone, got '__index_level_0__', which",
        ),
        ({"split": ["learn"] * ROWS}, r"split: expected train, val or test in each row, got learn; correct it"),
        ({"split": ["test"] * ROWS}, r"split: expected rows of train, got none"),
        ({"label": ["ant"] * ROWS}, r"expected images of two classes or more, got ant alone"),
        ({f"f{i}": None for i in range(FEATURES)}, r"expected columns of features beside label, got none; add them"),
    ],
)
def test_a_table_that_cannot_serve_is_refused_in_words(tmp_path: Path, changes: dict[str, Any], error: str) -> None:
    config = write_table(tmp_path / "set.parquet", columns(**changes))
    with pytest.raises(DataError, match=error):
        load_pool(config)


@pytest.mark.parametrize(
    ("missing", "settings", "error"),
    [
        ("label", {}, "expected a column label in .*, got f0, f1, .*; rename the column that it is, or add it"),
        ("given", {"noise": "given"}, "expected a column given in .*set.csv, got f0"),
    ],
)
def test_a_column_that_is_missing_is_told_before_anything_runs(
    tmp_path: Path, missing: str, settings: dict[str, Any], error: str
) -> None:
    config = write_table(tmp_path / "set.csv", columns(**{missing: None}))
    (problem,) = check_config(config.model_copy(update=settings))
    assert re.search(error, problem)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"model": "cnn"}, "model cnn: expected images, got vectors of 5 features; choose linear or mlp"),
        ({"model": "resnet18", "width": 2}, "model resnet18: expected images, got vectors of 5 features"),
        ({"augment": "crop_flip"}, "augment: expected none for feature vectors, got crop_flip"),
        ({"image_size": 8}, "image_size: expected 0 for feature vectors, got 8"),
    ],
)
def test_what_needs_images_is_refused(tmp_path: Path, settings: dict[str, Any], error: str) -> None:
    config = write_npz(tmp_path, *arrays(), **settings)
    with pytest.raises(DataError, match=error):
        Run(config)


def test_a_file_that_is_no_table_is_refused_in_words(tmp_path: Path) -> None:
    file = tmp_path / "set.parquet"
    file.write_bytes(b"PAR1 and nothing else")
    with pytest.raises(DataError, match=r"parquet: expected a Parquet or CSV table, got the error: .*; write it"):
        load_pool(RunConfig(dataset=f"table:{file}"))
    (problem,) = check_config(RunConfig(dataset=f"table:{tmp_path / 'none.csv'}"))
    assert "expected a Parquet or CSV file, got nothing at" in problem
