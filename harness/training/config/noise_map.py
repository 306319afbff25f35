"""Class maps of asymmetric noise as text: `2>7 3>8`, `cat>dog dog>cat`, `"Ankle boot>Sneaker" Coat>Pullover`.

A class is named by its name or its index. Quotes, as in a shell, keep a name with blanks together.
"""

import shlex

from harness.training.config.registry import value_error


def parse_noise_map(text: str) -> list[tuple[str, str]]:
    """Return (class, wrong class) of each entry, as written; an error for pydantic if the form is another."""
    try:
        entries = [tuple(side.strip() for side in entry.split(">")) for entry in shlex.split(text)]
    except ValueError:  # a quote without its end
        entries = [()]
    if not all(len(entry) == 2 and all(entry) and entry[0][-1] not in "-=" for entry in entries):
        remedy = "write FROM>TO for each, with blanks between, and quotes around an entry that holds blanks"
        raise value_error("classes as in '2>7 3>8' or 'cat>dog'", f"the string {text!r}", remedy)
    return [(entry[0], entry[1]) for entry in entries]
