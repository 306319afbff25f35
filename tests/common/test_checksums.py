import io
import json
import zlib

import pytest

from harness.common.checksums import (
    ChecksumWriter,
    decode_line,
    encode_line,
    has_trailer,
    is_intact,
    strip_trailer,
)

VALUE = {"kind": "EpochMetrics", "text": 'zwölf "crc32" \n', "metrics": {"val_error": 0.25}}


def test_a_line_is_json_whose_last_key_is_its_checksum() -> None:
    line = encode_line(VALUE)
    assert list(json.loads(line)) == [*VALUE, "crc32"]
    assert line.count(b"\n") == 1
    assert decode_line(line) == VALUE


def test_any_flipped_bit_of_a_line_is_found() -> None:
    line = encode_line(VALUE)
    for place in range(len(line)):
        for bit in range(8):
            damaged = bytearray(line)
            damaged[place] ^= 1 << bit
            assert not is_intact(bytes(damaged))


def test_a_line_cut_short_is_not_intact() -> None:
    line = encode_line(VALUE)
    assert not any(is_intact(line[:length]) for length in range(len(line)))


@pytest.mark.parametrize("body", [b'[1,"a"', b"{not json", b"[" * 100_000])
def test_a_right_checksum_does_not_make_an_object(body: bytes) -> None:
    line = body + b',"crc32":"%08x"}\n' % zlib.crc32(body + b"}")
    assert is_intact(line)
    assert decode_line(line) is None


def test_a_file_is_read_back_without_its_trailer_or_not_at_all() -> None:
    file = io.BytesIO()
    writer = ChecksumWriter(file)
    for part in (b"weights", b"", b"\n"):
        writer.write(part)
    writer.write_trailer()
    content = file.getvalue()
    assert strip_trailer(content) == b"weights\n"
    for place in range(len(content)):
        damaged = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        assert strip_trailer(damaged) is None
        assert strip_trailer(content[:place]) is None
    assert has_trailer(content)
    assert not has_trailer(content[:-1])
