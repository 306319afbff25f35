"""`harness.search` in an object store with a snapshot every half second, and a lease that expires after four."""

import sys

from harness.search.__main__ import main
from harness.tuning.storage import lease, working_copy

EXPIRY_SECONDS = 4.0

if __name__ == "__main__":
    working_copy.SNAPSHOT_SECONDS = 0.5
    lease.EXPIRY_SECONDS = EXPIRY_SECONDS
    sys.exit(main())
