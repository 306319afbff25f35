"""Names of classes: one spelling and one order for all readers, and the class that a text of the user's means.

A name is Unicode text in the composed form (NFC): macOS writes `é` as two characters, Linux and Windows as one.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence

from harness.common.formatting import format_list
from harness.training.errors import DataError


def normalized(text: str) -> str:
    """The text in Unicode's composed form."""
    return unicodedata.normalize("NFC", text)


def sort_names(names: Iterable[str]) -> tuple[str, ...]:
    """Names in the order of their classes: as numbers where all are numbers, else as text."""
    unique = {normalized(name) for name in names}
    if all(re.fullmatch(r"-?\d+", name, re.ASCII) for name in unique):
        return tuple(sorted(unique, key=lambda name: (int(name), name)))
    return tuple(sorted(unique))


def numbered_classes(classes: int) -> tuple[str, ...]:
    """Names of classes that are only numbered: 0, 1, …"""
    return tuple(str(c) for c in range(classes))


def find_class(text: str, names: Sequence[str]) -> int | None:
    """The class of this name, else None.

    A name without its surrounding blanks, in another case or as a number with a zero fraction (`3.0`, as pandas writes
    whole numbers beside a gap) will do, if one name alone fits.
    """
    for form in (normalized, _loose):
        wanted = form(text)
        matches = [c for c, name in enumerate(names) if form(name) == wanted]
        if len(matches) == 1:
            return matches[0]
    return None


def find_class_or_index(text: str, names: Sequence[str]) -> int | None:
    """The class of this name, or of this index where no name is a number, else None."""
    index = find_class(text, names)
    if index is None and re.fullmatch(r"\d{1,9}", text, re.ASCII) and not any(name.isdecimal() for name in names):
        index = int(text)
    return index if index is not None and index < len(names) else None


def class_words(names: Sequence[str]) -> str:
    """What to call a class by in a message: `a class of cat, dog, fox`, or `a class from 0 to 9`."""
    if tuple(names) == numbered_classes(len(names)):
        return f"a class from 0 to {len(names) - 1}"
    return f"a class of {format_list(names)}"


def check_names(dataset: str, names: Sequence[str]) -> None:
    """Raise DataError if there are fewer than two classes, or one whose name no page, file or terminal can show."""
    if len(names) < 2:
        raise DataError(
            f"{dataset}: expected images of two classes or more, got {format_list(names)} alone; look at the labels "
            "or folders"
        )
    if odd := [ascii(name) for name in names if {*map(unicodedata.category, name)} & {"Cc", "Cs"}]:
        raise DataError(
            f"{dataset}: expected names of classes in printable characters, got {format_list(odd)}; rename these"
        )


def doubtful_names(spellings: Iterable[str]) -> list[str]:
    """A sentence for each kind of names that may be a slip, of all `spellings` of names."""
    spellings = sorted(set(spellings))
    names = sort_names(spellings)
    remarks = []
    if len(names) < len(spellings):
        merged = [name for name in names if sum(normalized(spelling) == name for spelling in spellings) > 1]
        remarks.append(f"names that differ in their Unicode form alone are one class: {format_list(merged)}")
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(_loose(name), []).append(name)
    if alike := [" and ".join(map(repr, group)) for group in groups.values() if len(group) > 1]:
        remarks.append(f"classes whose names differ in case or blanks alone: {format_list(alike)}")
    if blank := [repr(name) for name in names if name != name.strip()]:
        remarks.append(f"classes whose names begin or end with blanks: {format_list(blank)}")
    return remarks


def _loose(name: str) -> str:
    name = " ".join(normalized(name).split()).casefold()
    return re.sub(r"^(-?\d+)\.0+$", r"\1", name)
