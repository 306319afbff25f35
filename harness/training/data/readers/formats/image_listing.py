"""Files of a data set in folders: which belong to which part and class, in the order in which they are read.

Links are followed, to files and to folders. Hidden files and folders, and those that systems and programs leave behind,
are no data. One walk serves the reader and the key of the cache, so that the cache never stands for other files.
"""

import mimetypes
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.common.formatting import format_list
from harness.training.errors import DataError

PART_FOLDERS = {
    "train": ("train", "training"),
    "trusted": ("trusted",),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
"""Part → names of its folder, in any case."""

SYSTEM_NAMES = {
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "#recycle", "$recycle.bin"),
    *("system volume information", "lost+found", "__pycache__"),
}
"""What Windows, macOS, network disks and Python leave in folders, in lower case; other such names begin with a dot."""

DETECTION_FOLDERS = {"images", "jpegimages"}, {"labels", "annotations", "masks"}
"""Folders that lie side by side, in lower case, in data sets for the detection or segmentation of objects."""

FEW = 3
"""So many of the folders in the place of classes are searched for a data set one level below."""


@dataclass(frozen=True)
class FolderLayout:
    """Where the parts of a data set lie: part → folder that holds a folder for each class."""

    folder: Path
    parts: dict[str, Path]
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class ListedFile:
    """A file in the folder of a class. Its content says whether it is an image."""

    path: Path
    part: str
    class_name: str


def printable(name: str | Path) -> str:
    """A name in which each byte that is no UTF-8 is written as an escape sequence."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is no data: it begins with a dot, or a system made it."""
    return name.startswith(".") or name.lower() in SYSTEM_NAMES


def find_layout(folder: Path) -> FolderLayout:
    """Return where the parts lie: in folders of their own, or all classes in `folder`, which is then the part train.

    DataError if the layout is none that is read. The folders of classes are not listed.
    """
    names = class_folders(folder)
    _check_links(folder)
    parts: dict[str, Path] = {}
    for part, spellings in PART_FOLDERS.items():
        matches = [name for name in names if name.lower() in spellings and class_folders(folder / name)]
        if len(matches) > 1:
            raise DataError(
                f"dataset: expected one folder of {part} images in {folder}, got {' and '.join(matches)}; join them"
            )
        if matches:
            parts[part] = folder / matches[0]
    if not parts:
        parts = {"train": folder}
        _check_classes_alone(folder, names)
    elif "train" not in parts:
        others = " and ".join(path.name for path in parts.values())
        raise DataError(f"dataset: expected train/CLASS beside {others} in {folder}, got none; add it")
    for part_folder in parts.values():
        _check_links(part_folder)
        _check_classes(part_folder, class_folders(part_folder))
    return FolderLayout(folder, parts, tuple(_left_out(folder, names, parts)))


def class_folders(folder: Path) -> list[str]:
    """Names of the visible folders in a folder, in order, links to folders among them; none if it is no folder.

    A link back to `folder`, or to one that holds it, is left out.
    """
    names = sorted(entry.name for entry in _visible(folder) if _is_folder(entry))
    links = [name for name in names if (folder / name).is_symlink()]
    above = _identities(folder) if links else frozenset()
    return [name for name in names if name not in links or _identity(folder / name) not in above]


def list_files(layout: FolderLayout) -> list[ListedFile]:
    """Return the files in the class folders of all parts, ordered by part, class and path."""
    return [
        ListedFile(path, part, name)
        for part, part_folder in layout.parts.items()
        for name in class_folders(part_folder)
        for path in sorted(_walk(part_folder / name, _identities(part_folder)))
    ]


def _check_links(folder: Path) -> None:
    """DataError if a part or a class is a link that leads nowhere, as to a disk that is not there: it would be missing.

    A link that is named as a file is none of them.
    """
    links = [entry.path for entry in _visible(folder) if entry.is_symlink() and not os.path.exists(entry.path)]
    if dead := [link for link in sorted(links) if not Path(link).suffix]:
        target = printable(os.readlink(dead[0]))
        raise DataError(
            f"dataset: expected a folder, got {printable(dead[0])}, a link to {target}, which is not there; mount or "
            "restore that, or remove the link"
        )


def _check_classes_alone(folder: Path, names: list[str]) -> None:
    if not names:
        files = _files_in(folder)
        got = "an empty folder" if folder.is_dir() else "a file" if folder.exists() else "nothing there"
        got = f"{len(files)} file{'s' * (len(files) > 1)} and no folders" if files else got
        raise DataError(
            f"dataset: expected {folder} to hold train/CLASS and perhaps test/CLASS, or CLASS alone, got {got}; "
            "correct the path, or move the images"
        )
    if all(map(_is_part_name, names)):
        raise DataError(
            f"dataset: expected folders of classes in {folder / names[-1]}, got none; move the images into "
            f"{names[-1]}/CLASS"
        )


def _check_classes(folder: Path, names: list[str]) -> None:
    """DataError if the folders in a part are plainly none of classes, or have names that are no text."""
    if wrong := [name for name in names if name != printable(name)]:
        raise DataError(f"dataset: expected folders named in UTF-8, got {printable(folder / wrong[0])}; rename it")
    images, others = (next((name for name in names if name.lower() in kind), None) for kind in DETECTION_FOLDERS)
    if images and others:
        raise DataError(
            f"dataset: expected a folder of images for each class, got {images} beside {others} in {folder}, a layout "
            "for the detection of objects; move the images into CLASS/*, or choose another data set"
        )
    for name in names[:FEW]:
        inside = class_folders(folder / name)
        train = [inner for inner in inside if inner.lower() in PART_FOLDERS["train"]]
        if train and all(_is_part_name(inner) for inner in inside) and not class_folders(folder / name / train[0]):
            raise DataError(
                f"dataset: expected classes inside parts in {folder}, got {name}/{train[0]}; move its images to "
                f"{train[0]}/{name}"
            )
        is_set = any(class_folders(folder / name / part) for part in train)
        if is_set or (inside and len(names) == 1 and not _files_in(folder / name)):
            raise DataError(
                f"dataset: expected a folder of images for each class in {folder}, got {name}, which holds "
                f"{'a data set' if is_set else 'folders alone'}; did you mean folder:{folder / name}?"
            )


def _is_part_name(name: str) -> bool:
    return any(name.lower() in spellings for spellings in PART_FOLDERS.values())


def _left_out(folder: Path, names: list[str], parts: dict[str, Path]) -> Iterator[str]:
    """A sentence on the folders beside the parts, and one on images beside the folders of classes."""
    beside = [name for name in names if folder / name not in parts.values()]
    if folder not in parts.values() and beside:
        yield f"left out: folders in {folder} that are no part, or hold none of classes: {format_list(beside)}"
    for part_folder in dict.fromkeys((folder, *parts.values())):
        images = [name for name in _files_in(part_folder) if (mimetypes.guess_type(name)[0] or "").startswith("image/")]
        if images:
            several = f"{len(images)} images that are" if len(images) > 1 else "1 image that is"
            yield f"left out: {several} in no folder of a class, in {part_folder}"


def _files_in(folder: Path) -> list[str]:
    return [entry.name for entry in _visible(folder) if not _is_folder(entry)]


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    """Entries of a folder that may be data; none if it is no folder."""
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not is_hidden(entry.name)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise DataError(f"dataset: expected a folder that can be listed, got the error: {error}; mend it") from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _walk(folder: Path, above: frozenset[tuple[int, int]]) -> Iterator[Path]:
    """All visible files below a folder. Folders `above`, to which a link may lead back, are not entered again.

    A link that leads nowhere counts as a file, so that reading it names it; a socket or a pipe is none.
    """
    entered = _identities(folder) if folder.is_symlink() else frozenset({_identity(folder)})
    if _identity(folder) in above:
        return
    for entry in _visible(folder):
        if _is_folder(entry):
            yield from _walk(Path(entry.path), above | entered)
        elif entry.is_symlink() or entry.is_file():
            yield Path(entry.path)


def _identities(folder: Path) -> frozenset[tuple[int, int]]:
    """Identities of a folder and of those that hold it, by the path that leads to it and with its links resolved."""
    paths = (folder.absolute(), folder.resolve())
    return frozenset(_identity(ancestor) for path in paths for ancestor in (path, *path.parents))


def _identity(folder: Path) -> tuple[int, int]:
    info = folder.stat()
    return info.st_dev, info.st_ino
