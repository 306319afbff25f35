"""Path of a teacher's logits. Imports no torch, so that a missing file is reported before a run starts."""

import os
from pathlib import Path

from harness.common.urls import Url, is_url

LOGITS_FILE = "logits.npz"


def teacher_logits_file(teacher: str, seed: int) -> Path:
    """Return FOLDER/SEED/logits.npz; for a teacher in an object store, the path of its local copy."""
    folder = Url.parse(teacher).local_copy if is_url(teacher) else Path(os.path.expanduser(teacher))
    return folder / str(seed) / LOGITS_FILE
