"""Points in a file of their own: `points: tried.yaml` is replaced by the list in that file.

The file is YAML or JSON. Its path is relative to the folder of the space file, or to the current folder if `--set`
gives it. The space keeps the points, not the path.
"""

from dataclasses import replace
from pathlib import Path

from harness.space.errors.problems import Origin, SpaceError
from harness.space.yaml_file.overrides import sections
from harness.space.yaml_file.reader import Source, read
from harness.space.yaml_file.text_files import display_path, read_text


def read_points(source: Source, folder: Path) -> None:
    """Replace the paths of points by the lists in the files, and add the problems of these to `source`.

    Args:
        folder: folder of the space file.
    """
    for arm, section in sections(source.data):
        given, path = section.get("points"), (*arm, "points")
        if not arm or not isinstance(given, str):
            continue
        file = (Path() if source.origin(path).line is None else folder) / given
        section["points"] = []
        try:
            text = read_text(file, "a list of points")
        except SpaceError as error:
            source.problems += [replace(problem, path=path) for problem in error.problems]
            continue
        name = display_path(file)
        points = read(text, lambda line, name=name: Origin(name, line), json=file.suffix == ".json")  # type: ignore[misc]
        # A string would be taken for a path again.
        section["points"] = [points.data] if isinstance(points.data, str) else points.data
        source.replace_at(path, points)
