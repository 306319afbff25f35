"""Files of the harness: JSON that may be damaged, and where what can be had again lies."""

from pathlib import Path

import pytest

from harness.common.urls import Url
from harness.common.user_dirs import cache_dir
from harness.results import Confirmation, ResultFileError
from harness.tracking.spool.cursor import Cursor, cursor_path
from harness.training.data.array_cache import cache_key, cached_arrays

DAMAGED = ["", "{", "[1]", "null", "[" * 100_000, '"\\ud800"', b"\xff", '{"format_version": 1}', '{"offset": "x"}']


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_json_file_reads_as_none_or_as_a_new_one(tmp_path: Path, content: str | bytes) -> None:
    uri = "sqlite:///mlflow.db"
    for file in (tmp_path / Confirmation.FILE, cursor_path(tmp_path, uri)):
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert Confirmation.load_or_none(tmp_path) is None
    with pytest.raises(ResultFileError, match=r"confirm\.json: .*run python -m harness\.confirm again"):
        Confirmation.load(tmp_path)
    assert Cursor.load(tmp_path, uri) == Cursor(tracking_uri=uri)


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
    assert Url.parse("s3://bucket/runs").local_copy.is_relative_to(folder)
    cached_arrays(cache_key(["a set"], []), dict)
    assert [file.name for file in tmp_path.iterdir()] == ["home"]


def test_an_absolute_cache_home_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "soft-label-harness"
