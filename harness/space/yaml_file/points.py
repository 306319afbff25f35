"""Points that stand in a file of their own: `points: tried.yaml` → the list that the file holds, with its lines.

The file is YAML or JSON, shaped as the points of an arm are. Its path is taken from the folder of the space file, or
from the current one where `--set` named it. What was read is part of the space from then on: a sweep keeps the points,
not the path.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.space.errors.problems import Origin, SpaceError, dotted, quote, short
from harness.space.errors.problems import Path as Place
from harness.space.yaml_file.overrides import sections
from harness.space.yaml_file.source import Source, read
from harness.space.yaml_file.text_files import reason, shown, text_of

POINTS = "points"
EXPECTED = "a list, or the path of a file that holds one"


def read_points(source: Source, folder: Path) -> None:
    """Put the points of files in the place of their paths; problems join those of `source`.

    Args:
        folder: that of the space file.
    """
    for arm, section in sections(source.data):
        named = section.get(POINTS)
        place: Place = (*arm, POINTS)
        if arm and isinstance(named, str):
            source.unread.add(place)  # until it is read
            file = Path() / named if source.origin(place).line is None else folder / named
            section[POINTS] = _read(source, place, file, named)


def _read(source: Source, place: Place, file: Path, named: str) -> Any:
    """What the file holds, or None."""
    try:
        if not file.is_file():
            got, remedy = f"{short(named)}, which is not there", f"put it in {file.parent}/"
            if file.is_dir():
                got, remedy = "a folder", "name a file in it"
            source.complain(place, EXPECTED, got, remedy)
            return None
        text = text_of(file, "a list of points")
    except (OSError, ValueError) as error:
        source.complain(place, EXPECTED, reason(error), "name another file")
        return None
    except SpaceError as error:
        source.problems.extend(error.problems)
        return None
    found = read(text, lambda line: Origin(shown(file), line), json=file.suffix == ".json")
    if isinstance(found.data, str):  # no path again
        found.complain((), "a list", quote(found.data), "write [ … ]")
        found.data = None
    source.problems.extend(replace(problem, key=_within(place, problem.key)) for problem in found.problems)
    source.origins.update({(*place, *below): origin for below, origin in found.origins.items()})
    source.unread.update((*place, *below) for below in found.unread)
    if found.data is not None or not found.problems:
        source.unread.discard(place)
    return found.data


def _within(place: Place, key: str) -> str:
    return dotted(place) + ("" if key.startswith("[") or not key else ".") + key
