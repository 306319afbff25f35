"""Files that only grow, taken to a store in pieces."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.tuning.storage.segments import BadSegments, Segment, decode, join

CONTENTS = st.tuples(st.binary(max_size=60), st.binary(max_size=60))


@st.composite
def histories(draw: st.DrawFn) -> tuple[tuple[bytes, bytes], list[tuple[int, int]]]:
    """What two files hold in the end, and how long they were at moments in between."""
    contents = draw(CONTENTS)
    count = draw(st.integers(0, 6))
    lengths = [sorted(draw(st.lists(st.integers(0, len(each)), min_size=count, max_size=count))) for each in contents]
    return contents, list(zip(*lengths, strict=True))


def cut(contents: tuple[bytes, bytes], moments: list[tuple[int, int]]) -> list[Segment]:
    """The segments of what was gained from each moment to the next."""
    ends = [*moments, (len(contents[0]), len(contents[1]))]
    starts = [(0, 0), *moments]
    return [
        Segment(start, (contents[0][start[0] : end[0]], contents[1][start[1] : end[1]]))
        for start, end in zip(starts, ends, strict=True)
    ]


@given(histories(), st.randoms(use_true_random=False), st.data())
def test_any_split_of_what_was_appended_gives_the_same_bytes(history, random, data) -> None:  # type: ignore[no-untyped-def]
    contents, moments = history
    segments = [decode(each.encode(), each.name) for each in cut(contents, moments)]
    random.shuffle(segments)
    # the whole files may be of any moment before, after or between the segments' own
    whole = [each[: data.draw(st.integers(0, len(each)))] for each in contents]
    assert join(whole, segments, "s3://b/x") == contents


@given(histories(), st.data())
def test_a_missing_segment_is_recognised(history, data) -> None:  # type: ignore[no-untyped-def]
    contents, moments = history
    segments = cut(contents, moments)
    missing = data.draw(st.integers(0, len(segments) - 1))
    left = [each for place, each in enumerate(segments) if place != missing]
    if any(segments[missing].parts) and missing < len(segments) - 1:
        with pytest.raises(BadSegments, match="missing"):
            join([b"", b""], left, "s3://b/x")
    else:  # the last: as if it had never been
        found = join([b"", b""], left, "s3://b/x")
        assert found == tuple(each[: len(whole)] for each, whole in zip(contents, found, strict=True))


@given(CONTENTS, st.data())
def test_a_damaged_segment_is_recognised(contents, data) -> None:  # type: ignore[no-untyped-def]
    content = Segment((0, 0), contents).encode()
    place = data.draw(st.integers(0, len(content) - 1))
    flipped = bytearray(content)
    flipped[place] ^= data.draw(st.integers(1, 255))
    with suppress(BadSegments):
        assert decode(bytes(flipped), "s3://b/x/tail/0-0").encode() == content, "a blank of the header, at most"


def test_what_two_drivers_wrote_does_not_join() -> None:
    one, other = Segment((0, 0), (b"a\nb\n", b"")), Segment((2, 0), (b"c\n", b""))
    with pytest.raises(BadSegments, match="two drivers wrote"):
        join([b"", b""], [one, other], "s3://b/x")


def test_a_segment_of_another_version_is_refused() -> None:
    newer = Segment((0, 0), (b"", b"")).encode().replace(b'"version": 1', b'"version": 2')
    with pytest.raises(BadSegments, match="version 1, got 2"):
        decode(newer, "s3://b/x/tail/0-0")
