"""Take secrets out of text that people will see.

It errs on the side of hiding: everything between `://` and the last `@` of a word goes, because
a password that nobody escaped may itself hold `/`, `:` and `@`.
"""

import re

HIDDEN = "***"

_PEM = re.compile(r"-----BEGIN [^-]*-----.*?(?:-----END [^-]*-----|\Z)", re.DOTALL)
_USER_INFO = re.compile(r"://\S*@")
# redis-py reads credentials from the query string too.
_QUERY = re.compile(r"([?&][\w-]*(?:password|secret|token|api_key)=)[^&\s]*", re.IGNORECASE)


def redact_url(url: str) -> str:
    """Return *url* without its user name and password, wherever they stand."""
    return _QUERY.sub(rf"\g<1>{HIDDEN}", _USER_INFO.sub(f"://{HIDDEN}@", url))


def redact_text(text: str) -> str:
    """Return *text* without PEM blocks and without credentials inside URLs."""
    if "-----BEGIN " in text:
        text = _PEM.sub("[redacted PEM]", text)
    return redact_url(text) if "://" in text else text
