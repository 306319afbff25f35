"""A user's own feature vectors in a table: Parquet, or CSV.

table:FILE   label                 class of each row: an index or a name; empty where unknown
             given                 optional: its noisy label
             split                 optional: train, val or test; without test rows a fifth is set aside
             every other column    a feature: a number in each row

The file's content says whether it is Parquet. In a text, numbers may have decimal commas where semicolons or tabs
separate the cells, as Excel writes them in many countries; a file has decimal commas or points, not both.
"""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from harness.common.formatting import format_list
from harness.training.config.run_config import RunConfig
from harness.training.data.class_names import doubtful_names
from harness.training.data.readers.formats.image_listing import PART_FOLDERS
from harness.training.data.readers.formats.label_arrays import encode_labels
from harness.training.data.readers.formats.text_table import (
    declared_separator,
    find_encoding,
    find_separator,
    with_line_feeds,
)
from harness.training.data.readers.raw_part import Array, RawDataset, RawPart, checked_part
from harness.training.data.readers.reader import user_path
from harness.training.errors import DataError

LABEL, GIVEN, SPLIT = "label", "given", "split"
PARQUET_MARK = b"PAR1"
SNIFFED_BYTES = 1 << 16
THOUSANDS = r"^\s*[+-]?[1-9]\d{0,2}(,\d{3})+\s*$"
ROW_INDEX = re.compile(r"|Unnamed: \d+|__index_level_\d+__")
"""Names of the column in which pandas writes and reads its row index: in sorted data it tells the class."""


def problems(config: RunConfig) -> list[str]:
    file = user_path(config)
    if not file.is_file():
        return [f"dataset: expected a Parquet or CSV file, got nothing at {file}; correct the path"]
    try:
        names = _read(file, names_only=True)
    except DataError as error:
        return [str(error)]
    needed = [LABEL, *([GIVEN] if config.noise == "given" else [])]
    got = f"got {format_list(names, 12)}; rename the column that it is, or add it"
    return [f"dataset: expected a column {name} in {file}, {got}" for name in needed if name not in names]


def files(config: RunConfig) -> Iterable[Path]:
    return (user_path(config),)


def read(config: RunConfig) -> RawDataset:
    file = user_path(config)
    table = _read(file)
    names = [name for name in table.column_names if name not in (LABEL, GIVEN, SPLIT)]
    if not names:
        raise DataError(f"{file}: expected columns of features beside {LABEL}, got none; add them")
    if numbering := [name for name in names if ROW_INDEX.fullmatch(name)]:
        raise DataError(
            f"{file}: expected features alone, got {numbering[0]!r}, which numbers the rows of a data frame of "
            "pandas; remove the column, or write the file with index=False"
        )
    features = np.stack([_numbers(file, name, table.column(name)) for name in names], axis=1)
    labels = {name: _labels(table.column(name)) for name in (LABEL, GIVEN) if name in table.column_names}
    encoded = encode_labels(file, labels, None)
    rows = _rows(file, table)

    def make_part(part: str) -> RawPart:
        chosen = rows[part]
        given = encoded.classes[GIVEN][chosen] if GIVEN in labels and part == "train" else None
        return checked_part(
            f"{file}: {part}", features[chosen], encoded.classes[LABEL][chosen], len(encoded.names), given
        )

    parts = {part: make_part(part) for part in rows}
    remarks = (*encoded.remarks, *doubtful_names(encoded.names))
    return RawDataset(parts["train"], parts.get("test"), encoded.names, parts.get("validation"), remarks)


def _read(file: Path, *, names_only: bool = False) -> Any:
    """The file as an Arrow table, or the names of its columns without its rows; DataError if it is no table."""
    import pyarrow as pa  # takes half a second to import
    from pyarrow import csv, parquet

    try:
        with file.open("rb") as opened:
            start = opened.read(SNIFFED_BYTES)
        if start.startswith(PARQUET_MARK):
            return parquet.read_schema(file).names if names_only else _with_unique_names(file, parquet.read_table(file))
        text = with_line_feeds(start.decode(encoding := find_encoding(start), "replace"))
        declared = declared_separator(text)
        separator = declared[1] if declared else find_separator(text)
        options = {
            "read_options": csv.ReadOptions(encoding=encoding.removesuffix("-sig"), skip_rows=1 if declared else 0),
            "parse_options": csv.ParseOptions(delimiter=separator),
        }
        if names_only:
            with csv.open_csv(file, **options) as reader:
                return [name.strip() for name in reader.schema.names]
        table = csv.read_csv(file, **options)
        table = _with_unique_names(file, table.rename_columns([name.strip() for name in table.column_names]))
        if separator == "," or not _text_features(table):
            return table
        commas = csv.ConvertOptions(decimal_point=",")
        with_commas = csv.read_csv(file, **options, convert_options=commas)
        return _join_features(file, table, with_commas.rename_columns(table.column_names))
    except UnicodeError as error:
        raise DataError(f"{file}: expected text in UTF-8, got the error: {error}; save the table in UTF-8") from error
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{file}: expected a Parquet or CSV table, got the error: {error}; write it anew") from error


def _with_unique_names(file: Path, table: Any) -> Any:
    if repeated := [name for name, count in Counter(table.column_names).items() if count > 1]:
        raise DataError(f"{file}: expected columns of different names, got several named {repeated[0]!r}; rename them")
    return table


def _text_features(table: Any) -> set[str]:
    """Names of the features that are no numbers."""
    is_text = {field.name for field in table.schema if str(field.type) == "string"}
    return is_text - {LABEL, GIVEN, SPLIT}


def _join_features(file: Path, points: Any, commas: Any) -> Any:
    """The table as read with decimal points, but features that are numbers with decimal commas alone as these."""
    with_commas, with_points = (
        _text_features(table) - _text_features(other) for table, other in ((points, commas), (commas, points))
    )
    if with_commas and with_points:
        raise DataError(
            f"{file}: expected decimal points or decimal commas, got commas in {format_list(sorted(with_commas))} and "
            f"points in {format_list(sorted(with_points))}; write all numbers alike"
        )
    if with_commas and not any(_has_decimals(points.column(name)) for name in with_commas):
        raise DataError(
            f"{file}: expected numbers, got commas before three digits alone in {format_list(sorted(with_commas))}, "
            "which may separate thousands; write thousands without a separator, or all numbers with decimal points"
        )
    for name in with_commas:
        points = points.set_column(points.schema.get_field_index(name), name, commas.column(name))
    return points


def _has_decimals(column: Any) -> bool:
    """Whether a comma stands in a number where none that separates thousands would."""
    from pyarrow import compute

    has_comma = compute.match_substring(column, ",")
    return bool(compute.any(compute.and_not(has_comma, compute.match_substring_regex(column, THOUSANDS))).as_py())


def _numbers(file: Path, name: str, column: Any) -> Array:
    """A feature as floats [N], in float16 where the file has that; DataError names column and row."""
    if column.null_count:
        row = np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0]
        raise DataError(f"{file}: {name}: expected a number in each row, got none in row {row}; fill it, or drop it")
    values: Array = column.to_numpy()
    if values.dtype.kind not in "biuf":
        cells = column.to_pylist()
        row = next((row for row, cell in enumerate(cells) if not _is_number(cell)), 0)
        raise DataError(
            f"{file}: {name}: expected a column of numbers, got {column.type} ('{cells[row]}' in row {row}); write "
            "numbers, with a decimal point, or remove the column"
        )
    if values.dtype.kind == "f" and not (finite := np.isfinite(values)).all():
        row = int((~finite).argmax())
        raise DataError(
            f"{file}: {name}: expected finite numbers, got {values[row]} in row {row} ({(~finite).sum()} such); fill it"
        )
    return values if values.dtype == np.float16 else values.astype(np.float32)


def _is_number(value: object) -> bool:
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True


def _labels(column: Any) -> Array:
    """Labels as numbers or text [N]; "" or -1 where there is none."""
    if column.null_count:
        is_text = str(column.type) in ("string", "large_string")
        column = column.fill_null("" if is_text else -1)
    values: Array = column.to_numpy()
    return values.astype(np.str_) if values.dtype == object else values


def _rows(file: Path, table: Any) -> dict[str, Array]:
    """Part → its rows; all are of the part train if no column says otherwise."""
    if SPLIT not in table.column_names:
        return {"train": np.arange(table.num_rows)}
    splits = [str(value).strip().lower() for value in table.column(SPLIT).to_pylist()]
    parts = {spelling: part for part, spellings in PART_FOLDERS.items() for spelling in spellings if part != "trusted"}
    if unknown := sorted(set(splits) - parts.keys()):
        raise DataError(
            f"{file}: {SPLIT}: expected train, val or test in each row, got {format_list(unknown)}; correct it"
        )
    row_parts = np.array([parts[split] for split in splits])
    if "train" not in row_parts:
        raise DataError(f"{file}: {SPLIT}: expected rows of train, got none; name them so")
    return {part: np.flatnonzero(row_parts == part) for part in ("train", "validation", "test") if part in row_parts}
