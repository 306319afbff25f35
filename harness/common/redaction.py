"""Text that is shown or kept, without what may be a secret in it. The standard library alone: all that writes uses it.

    http://me:pw@lab/x?token=pw  →  http://lab/x?token=***          --set hub_token=pw  →  --set hub_token=***

What is cut off an address goes up to the last `@` of the word it stands in: a password may hold any sign, written as it
is. A path with an `@` is lost with it, which is the lesser harm; one of this machine (`sqlite:///…`) is left.
"""

import re

HIDDEN = "***"
NAMES = r"(?:token|password|passwd|secret|credential|api.?key|access.?key)"

_USER = re.compile(r"(?<=://)(?!/)\S*@")
_BARE = re.compile(r"(?:(?<=[\s='\"])|^)[^\s/:@='\"]+:[^\s/@]+@(?=[\w.-]+:\d)")  # me:pw@host:5000
_QUERY = re.compile(rf"(?i)([?&][^=&\s]*{NAMES}[^=&\s]*=)[^&\s'\"]*")
_ASSIGNED = re.compile(rf"(?is)(.*?{NAMES}[^=]*=).*")
_NAMED = re.compile(rf"(?i){NAMES}")


def scrub(text: str) -> str:
    """`text` with the user and password cut out of every address in it, and values of its query named like a secret."""
    return _QUERY.sub(rf"\1{HIDDEN}", _BARE.sub("", _USER.sub("", text)))


def hide(word: str) -> str:
    """`word`, of a command line: as `scrub`, and where it assigns to what is named like a secret, without its value."""
    return scrub(_ASSIGNED.sub(rf"\1{HIDDEN}", word))


def names_secret(option: str) -> bool:
    """Whether an option is named like a secret, so that the next word is one."""
    return _NAMED.search(option) is not None
