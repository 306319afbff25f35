"""A thousand damaged copies of the shipped spaces: each is a `Space` or words, and nothing is left on disk."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from harness.space import Space, SpaceError, dump, load, parse

ROOT = Path(__file__).parents[2]
TEXTS = [file.read_text() for file in sorted((ROOT / "search_spaces").glob("*.y*ml"))]
COPIES = 1000

WORDS = """
1e-3 -1 0 1.5 .nan .inf -.inf 1e999 0x1F 1_000 1:30 true no null ~ 1.0e+308 5.0e-324
'' "" [] {} [1,2] *x &x !!int !!python/none 2020-01-01 << ? | > @ ` % : - # --- ... , ] } 'open "open
type when method high low categorical choices grid cmaes nsga2 objectives epochs val_loss learned é 🙂
"""
TOKENS = [
    *WORDS.split(),
    *("{a: 1}", ": ", "    ", "\t", "\r", "\n", "\0", "\x07", "\u2028", "\ud800", "\ufeff"),
    *("9" * 26, "-" + "9" * 26, "9" * 5000),
]
KEYS = """
label_lr search search.sampler search.pruner.type arms arms.learned arms.learned.parameters.label_lr.low fixed study
parameters.lr a.b objective objectives baselines.one_hot.points constraints
"""


def drop(text: str, draw: random.Random) -> str:
    start = draw.randrange(len(text))
    return text[:start] + text[start + draw.randint(1, 30) :]


def insert(text: str, draw: random.Random) -> str:
    start = draw.randrange(len(text))
    return text[:start] + draw.choice(TOKENS) + text[start:]


def replace_value(text: str, draw: random.Random) -> str:
    lines = text.splitlines()
    at = draw.choice([number for number, line in enumerate(lines) if ": " in line])
    lines[at] = lines[at].rpartition(": ")[0] + ": " + draw.choice(TOKENS)
    return "\n".join(lines)


def shuffle_lines(text: str, draw: random.Random) -> str:
    lines = text.splitlines()
    lines.insert(draw.randrange(len(lines)), lines.pop(draw.randrange(len(lines))))
    return "\n".join(lines)


def indent(text: str, draw: random.Random) -> str:
    lines = text.splitlines()
    at = draw.randrange(len(lines))
    lines[at] = draw.choice(["", " ", "  ", "\t", "      "]) + lines[at].lstrip()
    return "\n".join(lines)


DAMAGES: list[Callable[[str, random.Random], str]] = [drop, insert, replace_value, shuffle_lines, indent]


def parsed(text: str, overrides: Sequence[str] = ()) -> Space | list[str]:
    """The space, or the lines that refuse it; they are always printable and say what was expected."""
    try:
        return parse(text, "damaged.yaml", overrides)
    except SpaceError as error:
        lines = str(error).splitlines()
    assert all(line.isprintable() and ": expected " in line and len(line) < 1500 for line in lines)
    return lines


def test_a_damaged_space_file_is_a_space_or_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert TEXTS
    monkeypatch.chdir(tmp_path)
    draw = random.Random(20090)
    refused = 0
    for _ in range(COPIES):
        text = draw.choice(TEXTS)
        for _ in range(draw.randint(1, 4)):
            text = draw.choice(DAMAGES)(text, draw)
        outcome = parsed(text)
        if isinstance(outcome, Space):
            assert parse(dump(outcome)) == outcome
        else:
            refused += 1
            assert outcome
            assert all(line.startswith("damaged.yaml:") for line in outcome)
    assert COPIES // 2 < refused < COPIES  # damage that is never seen, or always fatal, would try little
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_noise_is_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    draw = random.Random(9496)
    for _ in range(100):
        content = TEXTS[0].encode() if draw.random() < 0.5 else b""
        content = content[: draw.randrange(len(content) + 1)] + draw.randbytes(draw.randint(1, 60))
        Path("noise.yaml").write_bytes(content)
        with pytest.raises(SpaceError, match=r"noise\.yaml"):
            load("noise.yaml")


@pytest.mark.parametrize("seed", range(3))
def test_a_damaged_override_is_a_space_or_words(seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(60):
        overrides = [f"{draw.choice(KEYS.split())}={draw.choice(TOKENS)}" for _ in range(draw.randint(1, 3))]
        if draw.random() < 0.3:
            overrides = [insert(override, draw) for override in overrides]
        assert parsed(TEXTS[0], overrides)
