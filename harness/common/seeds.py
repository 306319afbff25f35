"""One seed a purpose: pure arithmetic, no torch, so that the driver of a search can use it too."""

import hashlib


def successive(seed: int, count: int) -> range:
    """The seeds of a trial that is run on so many: from its configuration's own up."""
    return range(seed, seed + count)


def derive(seed: int, purpose: str) -> int:
    """A 63-bit seed for `purpose`, a pure function of its arguments."""
    digest = hashlib.blake2b(f"{seed}:{purpose}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
