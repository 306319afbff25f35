"""Points in a file of their own: `points: tried.yaml` is replaced by the list in that file.

The file is YAML or JSON. Its path is relative to the folder of the space file, or to the current folder if `--set`
gives it. The space keeps the points, not the path.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.space.errors.problems import KeyPath, Origin, SpaceError, quote, short
from harness.space.yaml_file.overrides import sections
from harness.space.yaml_file.reader import Source, read
from harness.space.yaml_file.text_files import display_path, os_error_reason, read_text

POINTS = "points"
EXPECTED = "a list, or the path of a file that holds one"


def read_points(source: Source, folder: Path) -> None:
    """Replace the paths of points by the lists in the files, and add the problems of these to `source`.

    Args:
        folder: folder of the space file.
    """
    for arm, section in sections(source.data):
        given = section.get(POINTS)
        path: KeyPath = (*arm, POINTS)
        if arm and isinstance(given, str):
            source.unread.add(path)  # until it is read
            file = Path() / given if source.origin(path).line is None else folder / given
            section[POINTS] = _read_file(source, path, file, given)


def _read_file(source: Source, path: KeyPath, file: Path, given: str) -> Any:
    """Read the data of a file of points; None if it cannot be read."""
    try:
        if not file.is_file():
            got, remedy = f"{short(given)}, which does not exist", f"put it in {file.parent}/"
            if file.is_dir():
                got, remedy = "a folder", "name a file in it"
            source.add_problem(path, EXPECTED, got, remedy)
            return None
        text = read_text(file, "a list of points")
    except (OSError, ValueError) as error:
        source.add_problem(path, EXPECTED, os_error_reason(error), "name another file")
        return None
    except SpaceError as error:
        source.problems.extend(error.problems)
        return None
    points = read(text, lambda line: Origin(display_path(file), line), json=file.suffix == ".json")
    if isinstance(points.data, str):  # not a path again
        points.add_problem((), "a list", quote(points.data), "write [ … ]")
        points.data = None
    source.problems.extend(replace(problem, path=(*path, *problem.path)) for problem in points.problems)
    source.origins.update({(*path, *below): origin for below, origin in points.origins.items()})
    source.unread.update((*path, *below) for below in points.unread)
    if points.data is not None or not points.problems:
        source.unread.discard(path)
    return points.data
