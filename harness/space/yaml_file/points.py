"""Points in a YAML or JSON file of their own: `points: tried.yaml` is replaced by the list in that file."""

from dataclasses import replace
from pathlib import Path

from harness.space.errors.problems import Origin, SpaceError
from harness.space.yaml_file.overrides import sections
from harness.space.yaml_file.reader import Source, read
from harness.space.yaml_file.text_files import display_path, read_text


def read_points(source: Source, folder: Path) -> None:
    """Replace the paths of points by the lists in the files, and add the problems of these to `source`.

    A path is relative to `folder`, that of the space file; one that `--set` gives, to the current folder.
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
        points = read(text, lambda line, name=name: Origin(name, line))  # type: ignore[misc]
        # A string would be taken for a path again.
        section["points"] = [points.data] if isinstance(points.data, str) else points.data
        source.replace_at(path, points)
