"""Tables in text files as people save them: the one reader of all csv files of a user's data.

| what | read as |
| --- | --- |
| encoding | UTF-8, or UTF-16 or UTF-32 with a byte order mark; anything else is refused |
| line ends | of Linux, Windows and old macOS |
| separator | comma, semicolon or tab, found from the file; a first line `sep=;`, as Excel writes it, is obeyed |
| cells | without blanks around them; quoted ones may hold separators and line ends |
| blank lines, empty cells at the end of a line | left out |
"""

import codecs
import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from harness.training.errors import DataError

SEPARATORS = ",;\t"
SNIFFED_LINES = 200
SHOWN_CELLS = 6
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


@dataclass(frozen=True)
class Row:
    """The cells of a line, and the number of the line (of the last one, where a cell holds line ends)."""

    line: int
    cells: list[str]

    def __str__(self) -> str:
        return ",".join(self.cells[:SHOWN_CELLS]) + ",…" * (len(self.cells) > SHOWN_CELLS)


@dataclass(frozen=True)
class TextTable:
    """The rows of a file that are not blank; the first may be a header."""

    file: Path
    separator: str
    rows: list[Row]

    def number(self, cell: str) -> float:
        """The number in a cell; ValueError if there is none. Decimal commas are read where no comma separates cells."""
        return float(cell if self.separator == "," else cell.replace(",", "."))


def read_table(file: Path) -> TextTable:
    """Read the table in `file`; DataError with file and line if it is no text or its quotes do not match."""
    text = _read_text(file)
    if declared := declared_separator(text):
        text = text.replace(declared[0], "\n" * declared[0].count("\n"), 1)  # lines keep their numbers
    try:
        separator = declared[1] if declared else find_separator(text)
        rows = _parse(text, separator)
    except csv.Error as error:
        raise DataError(f"{file}: expected a table, got the error: {error}; look at its quotes") from error
    if not rows:
        raise DataError(f"{file}: expected a table, got an empty file; fill or remove it")
    return TextTable(file, separator, rows)


def _read_text(file: Path) -> str:
    """The text of the file, its lines ended by a line feed each."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: expected a table, got the error: {error.strerror}; correct or remove it") from error
    try:
        text = content.decode(find_encoding(content))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{file}:{line}: expected text in UTF-8, got the byte 0x{content[error.start]:02x}; save the table as csv "
            "in UTF-8"
        ) from None
    if "\0" in text:
        raise DataError(f"{file}: expected text in UTF-8, got bytes of value 0; save the table as csv in UTF-8")
    return with_line_feeds(text)


def with_line_feeds(text: str) -> str:
    """The text with its lines, of whichever system, ended by a line feed each."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def find_encoding(content: bytes) -> str:
    """The encoding of a text file by its byte order mark."""
    return next((name for mark, name in BYTE_ORDER_MARKS.items() if content.startswith(mark)), "utf-8")


def declared_separator(text: str) -> re.Match[str] | None:
    """The first line that tells the separator, its group 1."""
    return re.match(r"\s*sep=(.)\n", text, re.IGNORECASE)


def find_separator(text: str) -> str:
    """The separator that divides most of the first lines; of two such, the one that gives the header more cells."""
    lines = [line for line in text.split("\n", SNIFFED_LINES)[:SNIFFED_LINES] if line.strip()]

    def divided(separator: str) -> tuple[int, int]:
        counts = [len(cells) for cells in csv.reader(lines, delimiter=separator, skipinitialspace=True)]
        return sum(count > 1 for count in counts), counts[0] if counts else 0

    return max(SEPARATORS, key=divided)


def _parse(text: str, separator: str) -> list[Row]:
    reader = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True, strict=True)
    rows = []
    for cells in reader:
        cells = [cell.strip() for cell in cells]
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            rows.append(Row(reader.line_num, cells))
    return rows
