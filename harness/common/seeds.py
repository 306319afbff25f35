"""Seeds derived by purpose, without torch, so that the driver of a search uses them too."""

import hashlib


def consecutive_seeds(seed: int, count: int) -> range:
    """Return the seeds of a trial on `count` seeds: its configuration's own and those that follow."""
    return range(seed, seed + count)


def derive_seed(seed: int, purpose: str) -> int:
    """Return a 63-bit seed for `purpose`, a pure function of its arguments."""
    digest = hashlib.blake2b(f"{seed}:{purpose}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
