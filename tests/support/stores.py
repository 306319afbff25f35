"""An object store on this machine, spoken to as S3 is: moto's server, in a thread of the tests."""

import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_EC2_METADATA_DISABLED": "true",
}
BUCKET = "bucket"


@dataclass(frozen=True)
class S3:
    """A store with one bucket."""

    endpoint: str

    def url(self, prefix: str | None = None, bucket: str = BUCKET) -> str:
        """A place in it that is nobody else's, unless it is named."""
        return f"s3://{bucket}/{prefix or uuid.uuid4().hex}?endpoint_override={self.endpoint}&scheme=http"


@contextmanager
def served(port: int = 0) -> Iterator[S3]:
    """A server, at that port or any that is free. What one held the next one holds: it is this process that does."""
    import logging

    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    request = urllib.request.Request(f"http://{host}:{port}/{BUCKET}", method="PUT")
    with suppress(urllib.error.HTTPError):  # it is there already
        urllib.request.urlopen(request).close()
    try:
        yield S3(f"{host}:{port}")
    finally:
        server.stop()


def names(url: str) -> set[str]:
    """The objects at a place."""
    from harness.common.urls import Url
    from harness.tuning.storage.object_store import Store  # pyarrow takes half a second to import

    return set(Store(Url.parse(url)).list_files())
