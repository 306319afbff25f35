"""One seed a purpose: pure arithmetic, no torch, so that the driver of a search can use it too."""

import hashlib


def derive(seed: int, purpose: str) -> int:
    """A 63-bit seed for `purpose`, a pure function of its arguments."""
    digest = hashlib.blake2b(f"{seed}:{purpose}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
