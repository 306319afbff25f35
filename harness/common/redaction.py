"""Redaction: removes possible secrets from text that is printed or saved. Imports the standard library alone.

    http://me:pw@lab/x?token=pw  →  http://lab/x?token=***          --set hub_token=pw  →  --set hub_token=***

In an address, everything up to the last `@` of the word is removed, because an unescaped password may contain any
character. This also removes part of a path that contains an `@`. Local paths (`sqlite:///…`) are left alone.
"""

import re

REDACTED = "***"
NAMES = r"(?:token|password|passwd|secret|credential|api.?key|access.?key)"

_USER = re.compile(r"(?<=://)(?!/)\S*@")
_BARE = re.compile(r"(?:(?<=[\s='\"])|^)[^\s/:@='\"]+:[^\s/@]+@(?=[\w.-]+:\d)")  # me:pw@host:5000
_QUERY = re.compile(rf"(?i)([?&][^=&\s]*{NAMES}[^=&\s]*=)[^&\s'\"]*")
_ASSIGNED = re.compile(rf"(?is)(.*?{NAMES}[^=]*=).*")
_NAMED = re.compile(rf"(?i){NAMES}")


def redact(text: str) -> str:
    """`text` without user and password in any address, and without values of query options named like a secret."""
    return _QUERY.sub(rf"\1{REDACTED}", _BARE.sub("", _USER.sub("", text)))


def redact_argument(word: str) -> str:
    """A word of a command line, redacted; of `NAME=VALUE` with a name like a secret, the value too."""
    return redact(_ASSIGNED.sub(rf"\1{REDACTED}", word))


def names_secret(option: str) -> bool:
    """Whether an option is named like a secret, such as `--token`; the next word is then the secret."""
    return _NAMED.search(option) is not None
