"""`harness.search` in an object store with a snapshot every half second, and a lease that expires after four."""

import sys

from harness.search.__main__ import main
from harness.tuning.storage import lease, object_store_sync

EXPIRY_SECONDS = 4.0

if __name__ == "__main__":
    object_store_sync.SNAPSHOT_SECONDS = 0.5
    lease.EXPIRY_SECONDS = EXPIRY_SECONDS
    sys.exit(main())
