"""Labels in tables of a folder of images, joined to the images by their paths.

given.csv       image,class           noisy labels of training images, one row an image; or
                image,NAME,NAME,…     a column of classes for each annotator; or
                image,annotator,class a row for each vote: of several votes for an image the majority counts, and of
                                      classes with as many votes each the one named first
reference.csv   image,CLASS,CLASS,…   soft labels or counts, one row an image

A path is relative to the folder or to its train/; one that leads through a folder of its name will do, as an absolute
path does. Its separators may be those of Windows, its accents of either Unicode form. The name of a class may differ in
case. A row that fits no image is an error, as is a second row for an image that is no vote.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from posixpath import normpath

from harness.common.formatting import format_list
from harness.training.data.class_names import class_words, find_class, normalized
from harness.training.data.readers.formats.image_listing import is_hidden
from harness.training.data.readers.formats.text_table import Row, TextTable, read_table
from harness.training.errors import DataError

IMAGE_COLUMNS = {
    *("image", "images", "img", "image_path", "image_name", "image_id"),
    *("file", "files", "filename", "file_name", "filepath", "file_path", "path"),
}
CLASS_COLUMNS = {"class", "label", "category"}
TABLE_ENDINGS = {".csv", ".tsv", ".tab", ".txt", ".xls", ".xlsx", ".ods", ".parquet", ".json", ".jsonl"}
ANNOTATOR_COLUMNS = {"annotator", "worker", "rater", "user"}


@dataclass(frozen=True)
class GivenLabels:
    """The given class of images by path, and what there is to say about the file."""

    classes: Mapping[str, int]
    remarks: Sequence[str] = ()


class ImagePaths:
    """The images of a data set by their paths relative to its folder, `train/cat/00.png`.

    Args:
        training: the folder of the training part.
    """

    def __init__(self, folder: Path, training: Path, paths: Iterable[str]) -> None:
        self._training = normalized(training.relative_to(folder).as_posix())
        self._folder_name = normalized(folder.resolve().name)
        self._paths: dict[str, str] = {}
        for path in paths:
            if (other := self._paths.setdefault(normalized(path), path)) != path:
                raise DataError(
                    f"{folder}: expected paths that tables can tell apart, got two images {path} whose names differ in "
                    f"their Unicode form alone ({other!a}, {path!a}); rename one"
                )

    def find(self, text: str) -> str | None:
        """The image that a table names, else None."""
        return next((self._paths[reading] for reading in self._readings(text) if reading in self._paths), None)

    def nearest(self, text: str, among: Iterable[str] = ()) -> str:
        """The image whose path is most like the text: of images of that name, else in the folder most like.

        Args:
            among: the images that the table is for; by default all.
        """
        wanted = next(iter(self._readings(text.replace("\\", "/"))))
        folder, _, name = wanted.rpartition("/")
        paths = list(map(normalized, among)) or list(self._paths)
        among = [path for path in paths if path.rpartition("/")[2] == name]
        if not among:
            folders = {path.rpartition("/")[0] for path in paths}
            (likeliest,) = get_close_matches(folder, folders, n=1, cutoff=0)
            among = [path for path in paths if path.rpartition("/")[0] == likeliest]
        (close,) = get_close_matches(wanted, among, n=1, cutoff=0)
        return self._paths[close]

    def _readings(self, text: str) -> Iterable[str]:
        """The paths that a text may stand for, the likeliest first."""
        exact = normalized(text)
        for path in dict.fromkeys((exact, exact.replace("\\", "/"))):  # Linux has names with backslashes
            path = normpath(path)
            yield path
            yield f"{self._training}/{path}"
            parts = path.split("/")
            yield from ("/".join(parts[i + 1 :]) for i, part in enumerate(parts[:-1]) if part == self._folder_name)


def find_table(folder: Path, name: str) -> Path | None:
    """The file NAME.csv of the folder, in any case; .tsv will do; DataError if there are two."""
    wanted = {f"{name}.csv", f"{name}.tsv"}
    tables = sorted(file for file in folder.iterdir() if file.name.lower() in wanted) if folder.is_dir() else []
    if len(tables) > 1:
        raise DataError(f"{folder}: expected one {name}.csv, got {format_list(file.name for file in tables)}; keep one")
    return tables[0] if tables else None


def other_tables(folders: Iterable[Path], read: Container[Path | None]) -> list[Path]:
    """Tables in these folders, by their endings, that are not among those `read`: labels in them are not used."""
    files = [file for folder in folders for file in folder.iterdir() if not is_hidden(file.name) and file.is_file()]
    named = [file for file in files if file.suffix.lower() in TABLE_ENDINGS or is_nearly(file, "given", "reference")]
    return sorted(file for file in named if file not in read)


def is_nearly(file: Path, *names: str) -> bool:
    """Whether the name of a file begins as that of one of the tables that are read."""
    return file.name.lower().startswith(names)


def read_given(
    file: Path, images: ImagePaths, training: Sequence[str], class_names: Sequence[str], required: bool
) -> GivenLabels:
    """Read the given labels of the images `training`.

    Args:
        required: whether each of them has to have one.
    """
    table = read_table(file)
    columns, rows = _given_columns(table)
    class_of = cache(lambda cell: find_class(cell, class_names))
    votes: dict[str, list[int]] = defaultdict(list)
    remedy = "keep one, or write votes as columns, or with a column annotator"
    joined = _join(table, rows, columns.image, images, remedy, columns.annotator, training)
    for path, row in joined:
        for column in columns.classes:
            cell = row.cells[column] if column < len(row.cells) else ""
            class_index = class_of(cell)
            if class_index is None and (cell or len(columns.classes) == 1):
                raise DataError(
                    f"{file}:{row.line}: expected image,class with {class_words(class_names)}, got {row}; correct it"
                )
            if class_index is not None:
                votes[path].append(class_index)
    known = set(training)
    classes = {path: Counter(ballots).most_common(1)[0][0] for path, ballots in votes.items() if path in known}
    missing = [path for path in training if path not in classes]
    if missing and (required or not classes):
        remedy = "add them" + (", or set require_given_labels: false" if classes else "")
        raise DataError(
            f"{file}: expected a class for each of {len(training)} training images, got none for {len(missing)}: "
            f"{format_list(missing, 2)}; {remedy}"
        )
    remarks = [f"{file.name}: given labels of {len(classes)} of {len(training)} training images"]
    if missing:
        remarks[0] += "; the others keep the class of their folder"
    if columns.ignored:
        remarks.append(f"{file.name}: columns that are not read: {format_list(columns.ignored)}")
    if others := len(votes.keys() - known):
        remarks.append(f"{file.name}: rows of {others} images that are not trained on, not used")
    if len(joined) > len(votes) or len(columns.classes) > 1:
        ties = sum(_is_tied(votes[path]) for path in classes)
        remarks.append(
            f"{file.name}: {sum(map(len, votes.values()))} votes, the majority counts; images with a tie: {ties}, of "
            "which the class named first counts"
        )
    return GivenLabels(classes, remarks)


def read_references(file: Path, images: ImagePaths, class_names: Sequence[str]) -> dict[str, list[float]]:
    """Read soft labels or counts, in the order of `class_names`, by the path of the image."""
    table = read_table(file)
    head, rows = table.rows[0], table.rows[1:]
    classes = {i: find_class(cell, class_names) for i, cell in enumerate(head.cells) if cell}
    columns_found = [c for c in classes.values() if c is not None]
    if len(classes) != len(class_names) + 1 or sorted(columns_found) != list(range(len(class_names))):
        raise DataError(
            f"{file}:{head.line}: expected {Row(0, ['image', *class_names])}, got {head}; name each of the "
            f"{len(class_names)} classes once"
        )
    image = next(i for i, c in classes.items() if c is None)
    columns = {c: i for i, c in classes.items() if c is not None}
    references = {}
    for path, row in _join(table, rows, image, images, "keep one"):
        try:
            numbers = [table.number(row.cells[columns[c]]) for c in range(len(class_names))]
        except (ValueError, IndexError):
            numbers = []
        if not numbers or len(row.cells) > len(head.cells) or not all(0 <= x < float("inf") for x in numbers):
            raise DataError(
                f"{file}:{row.line}: expected {len(class_names)} numbers of 0 or more after the image, got {row}; "
                "correct it"
            )
        if not sum(numbers):
            raise DataError(f"{file}:{row.line}: expected numbers with a positive sum, got {row}; correct it")
        references[path] = numbers
    return references


@dataclass(frozen=True)
class _GivenColumns:
    """Which columns of a table of given labels hold what; with an annotator, an image may have several rows."""

    image: int
    classes: Sequence[int]
    annotator: int | None = None
    ignored: Sequence[str] = ()


def _given_columns(table: TextTable) -> tuple[_GivenColumns, list[Row]]:
    """The columns by the header, and the rows under it; without a header, image and class."""
    names = [re.sub(r"[\s-]+", "_", normalized(cell).casefold()) for cell in table.rows[0].cells]
    image = next((i for i, name in enumerate(names) if name in IMAGE_COLUMNS), None)
    if image is None:
        is_header = CLASS_COLUMNS.intersection(names)
        if wrong := next((row for row in table.rows if is_header or len(row.cells) > 2), None):
            raise _not_two_cells(table, wrong)
        return _GivenColumns(0, [1]), table.rows
    rows = table.rows[1:]
    others = [i for i, name in enumerate(names) if name and i != image]
    classes = [i for i in others if names[i] in CLASS_COLUMNS]
    annotators = [i for i in others if names[i] in ANNOTATOR_COLUMNS]
    if len(classes) != 1:
        if not others:
            raise _not_two_cells(table, table.rows[0])
        return _GivenColumns(image, others), rows
    if wrong := next((row for row in rows if len(row.cells) > len(names)), None):
        raise _not_two_cells(table, wrong)
    ignored = [table.rows[0].cells[i] for i in others if i not in classes + annotators]
    return _GivenColumns(image, classes, annotators[0] if annotators else None, ignored), rows


def _not_two_cells(table: TextTable, row: Row) -> DataError:
    return DataError(
        f"{table.file}:{row.line}: expected image,class, got {row}; name the columns so, or write these two"
    )


def _join(
    table: TextTable,
    rows: Sequence[Row],
    column: int,
    images: ImagePaths,
    remedy: str,
    annotator: int | None = None,
    expected: Iterable[str] = (),
) -> list[tuple[str, Row]]:
    """The image of each row; DataError for rows of no image, and for a second row of one, or of its annotator.

    Args:
        expected: the images that the table is for, of which an error names the nearest.
    """
    joined, strangers = [], []
    first_lines: dict[tuple[str, str], int] = {}
    for row in rows:
        name = row.cells[column] if column < len(row.cells) else ""
        path = images.find(name)
        if path is None:
            strangers.append((row, name))
            continue
        voter = row.cells[annotator] if annotator is not None and annotator < len(row.cells) else ""
        if (annotator is None or voter) and (path, voter) in first_lines:
            raise DataError(
                f"{table.file}:{row.line}: expected one row an image{' and annotator' * bool(voter)}, got a second of "
                f"{path}{f' by {voter}' * bool(voter)} (first in line {first_lines[path, voter]}); {remedy}"
            )
        first_lines[path, voter] = row.line
        joined.append((path, row))
    if strangers:
        row, name = strangers[0]
        count = f" ({len(strangers)} such rows of {len(rows)})" if len(strangers) > 1 else ""
        raise DataError(
            f"{table.file}:{row.line}: expected the path of an image, got {name or 'none'}{count}; the nearest is "
            f"{images.nearest(name, expected)}; correct or remove the row"
        )
    return joined


def _is_tied(votes: Sequence[int]) -> bool:
    counts = [count for _, count in Counter(votes).most_common(2)]
    return len(counts) == 2 and counts[0] == counts[1]
