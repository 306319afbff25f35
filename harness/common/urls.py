"""Addresses in an object store, s3://BUCKET/PREFIX?endpoint_override=…, and where their local copies lie.

    s3://bucket/runs?region=eu-west-1    →    ~/.cache/soft-label-harness/FINGERPRINT/runs

The fingerprint is that of the store alone, so copies are nested as addresses are. Nothing here connects to a store. An
address that may hold a secret is refused, so a `Url` can be printed anywhere.
"""

import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Self
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from harness.common.errors import HarnessError
from harness.common.redaction import names_secret, redact
from harness.common.user_dirs import cache_dir

SCHEMES = ("s3", "gs", "gcs", "abfs", "abfss", "file")
EXPECTED = "a folder, or s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, abfs://CONTAINER/PREFIX, file:///PATH"
S3_OPTIONS = ("region", "scheme", "endpoint_override", "force_virtual_addressing", "tls_ca_file_path")
"""Options after the `?` of an S3 address. For other stores, those that pyarrow takes."""


class BadUrl(HarnessError, ValueError):
    """An address that cannot be used. The message says what was expected, and shows no possible secret."""


@dataclass(frozen=True)
class Url:
    """An address: `authority` is the bucket, `path` the decoded path from its slash on, `query` as given."""

    scheme: str
    authority: str
    path: PurePosixPath
    query: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse an address; BadUrl if `text` is none, or may hold a secret."""
        shown = f"'{redact(text).partition('?')[0]}'"
        try:
            parts = urlsplit(text)
        except ValueError:
            raise BadUrl(f"expected {EXPECTED}, got {shown}") from None
        scheme = parts.scheme.lower()
        anonymous = scheme in ("gs", "gcs") and parts.netloc.startswith("anonymous@")
        if "@" in text + unquote(parts.query) and not (anonymous and text.count("@") == 1):
            raise BadUrl(
                f"expected an address without user and password, got {shown} after one; leave them out: credentials "
                "are looked for where the store's own tools do (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
                "~/.aws/credentials, the machine's role), on every node"
            )
        if scheme not in SCHEMES:
            raise BadUrl(f"expected {EXPECTED}, got {shown}")
        if (scheme == "file") == bool(parts.netloc):
            raise BadUrl(f"expected {EXPECTED}, got {shown}, without a {'path' if scheme == 'file' else 'bucket'}")
        names = [name for name in unquote(parts.path).split("/") if name]
        if any(name in (".", "..") or not name.isprintable() for name in names) or parts.fragment:
            raise BadUrl(f"expected a path without . and .. and #, got {shown}; write it out")
        for option, _ in parse_qsl(parts.query, keep_blank_values=True):
            if names_secret(option) or (scheme == "s3" and option not in S3_OPTIONS) or scheme == "file":
                known = {"s3": f"one of {', '.join(S3_OPTIONS)}", "file": "nothing"}.get(scheme, "no secret")
                raise BadUrl(f"expected {known} behind the ?, got '{redact(option)}'; leave it out")
        return cls(scheme, parts.netloc, PurePosixPath("/", *names), parts.query)

    def __str__(self) -> str:
        path = quote(str(self.path)) if self.path.name else ""
        return f"{self.scheme}://{self.authority}{path}" + (f"?{self.query}" if self.query else "")

    def __truediv__(self, name: str | PurePosixPath) -> Self:
        return replace(self, path=self.path / name)

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def local_copy(self) -> Path:
        """Where the local copy of its files lies on this machine."""
        store = hashlib.sha256(f"{self.scheme}://{self.authority}?{self.query}".encode()).hexdigest()[:12]
        return cache_dir() / store / self.path.relative_to("/")


def parse_location(text: str) -> Path | Url:
    """Return the local folder or the address in an object store that `text` is; BadUrl if it cannot be used."""
    return Url.parse(text) if is_url(text) else Path(text)


def is_url(text: str) -> bool:
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text) is not None
