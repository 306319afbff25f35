"""Files of the harness: JSON that may be damaged, and where what can be had again lies."""

from pathlib import Path

import pytest

from harness.common.cache_dir import cache_dir
from harness.common.json_files import read_json, write_json
from harness.common.urls import Url
from harness.training.data.array_cache import cached_arrays


@pytest.mark.parametrize("content", ["", "{", "[1]", "null", "[" * 100_000, '"\\ud800"', b"\xff"])
def test_a_file_that_holds_no_mapping_reads_as_none(tmp_path: Path, content: str | bytes) -> None:
    (tmp_path / "some.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert read_json(tmp_path / "some.json") is None


def test_a_mapping_is_written_and_read(tmp_path: Path) -> None:
    assert read_json(tmp_path / "some.json") is None
    write_json(tmp_path / "some.json", {"a": [1, 0.1]})
    assert read_json(tmp_path / "some.json") == {"a": [1, 0.1]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "some.json", {"a": float("nan")})
    assert read_json(tmp_path / "some.json") == {"a": [1, 0.1]}


@pytest.mark.parametrize("value", [None, "", "relative/cache", "~/cache"])
def test_a_relative_cache_home_is_ignored_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if value is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", value)
    folder = tmp_path / "home" / ".cache" / "soft-label-harness"
    assert cache_dir() == folder
    assert Url.parse("s3://bucket/runs").copy.is_relative_to(folder)
    cached_arrays(["a set"], [], dict)
    assert [each.name for each in tmp_path.iterdir()] == ["home"]


def test_an_absolute_cache_home_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "soft-label-harness"
