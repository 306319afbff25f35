"""`harness.search` with short intervals: a snapshot in the store every half second, nobody waited for for long."""

import sys

from harness.search.__main__ import main
from harness.tuning.cluster import head_watch
from harness.tuning.execution import start_watch
from harness.tuning.storage import lease, working_copy

EXPIRY_SECONDS = 4.0
PATIENCE_SECONDS = 6.0
GONE_SECONDS = 8.0

if __name__ == "__main__":
    working_copy.SNAPSHOT_SECONDS = 0.5
    lease.EXPIRY_SECONDS = EXPIRY_SECONDS
    start_watch.PATIENCE_SECONDS = PATIENCE_SECONDS
    head_watch.POLL_SECONDS, head_watch.GONE_SECONDS = 1.0, GONE_SECONDS
    sys.exit(main())
