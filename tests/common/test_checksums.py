import json
import zlib
from pathlib import Path

import pytest

from harness.common.checksums import append_checksum, decode_line, encode_line, is_intact, strip_checksum

VALUE = {"kind": "EpochMetrics", "text": 'zwölf "crc32" \n', "metrics": {"val_error": 0.25}}
LINE = encode_line(VALUE)


def test_a_line_is_json_whose_last_key_is_its_checksum() -> None:
    assert list(json.loads(LINE)) == [*VALUE, "crc32"]
    assert LINE.count(b"\n") == 1
    assert decode_line(LINE) == VALUE


def test_a_flipped_bit_or_a_cut_in_a_line_is_found() -> None:
    for place in range(len(LINE)):
        assert not is_intact(LINE[:place])
        for bit in range(8):
            assert not is_intact(LINE[:place] + bytes([LINE[place] ^ 1 << bit]) + LINE[place + 1 :])


@pytest.mark.parametrize("body", [b'[1,"a"', b"{not json", b"[" * 100_000])
def test_a_right_checksum_does_not_make_an_object(body: bytes) -> None:
    line = body + b',"crc32":"%08x"}\n' % zlib.crc32(body + b"}")
    assert is_intact(line)
    assert decode_line(line) is None


def test_a_file_is_read_back_without_its_checksum_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"weights\n")
    append_checksum(file)
    content = file.read_bytes()
    assert strip_checksum(content) == b"weights\n"
    for place in range(len(content)):
        damaged = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        assert strip_checksum(damaged) is None
        assert strip_checksum(content[:place]) is None
