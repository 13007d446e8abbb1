"""What must not be stored: the patterns that `redact:` of a source names, or brings itself."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from include.sources.formats import check_pattern

_KEY = (
    r"(?i)(?P<keep>(?:passw(?:or)?d|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key"
    r"""|private[_-]?key|credentials?)(?:\\?["'])?\s*[=:]\s*"""
)
# By name; quotes stay, so that JSON stays JSON.
KINDS = {
    "email": (r"[A-Za-z0-9._%+'-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+",),
    "ipv4": (r"\b(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)\b",),
    "ipv6": (
        r"\b(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}\b",
        r"\b(?:[0-9A-Fa-f]{1,4}:){1,7}:(?:[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4}){0,6}\b)?",
    ),
    "mac": (r"\b[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}\b",),
    "iban": (r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b",),
    "jwt": (r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*",),
    "bearer": (r"(?i)(?P<keep>\b(?:bearer|basic) +)[A-Za-z0-9._~+/=-]{8,}",),
    "secret": (
        _KEY + r'\\")(?:[^"\\]|\\[^"])+',
        _KEY + r'")(?:[^"\\]|\\.)+',
        _KEY + r"')(?:[^'\\]|\\.)+",
        _KEY + r""")\[?[^\s"'\\&,;)}\]\[]+\]?""",
    ),
    "url_password": (r"(?P<keep>\b[A-Za-z][A-Za-z0-9+.-]*://[^\s:/@]*:)[^\s/@]+(?P<after>@)",),
}


class Redaction(BaseModel):
    """A kind of value that is masked as `[name]` before anything is stored.

    What groups called `keep` and `after` match stays; the rest of the match is masked. Masked text
    may be masked again: nothing changes then.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    pattern: Annotated[str, AfterValidator(check_pattern)]


def expand_kinds(items: Any) -> Any:
    """The items of `redact:` with the patterns of a kind in place of its name."""
    if not isinstance(items, list):
        return items
    expanded: list[Any] = []
    for item in items:
        if not isinstance(item, str):
            expanded.append(item)
        elif item in KINDS:
            expanded += [Redaction(name=item, pattern=pattern) for pattern in KINDS[item]]
        else:
            raise ValueError(
                f"no kind {item!r}; there are: {', '.join(KINDS)}; or give a name and a pattern"
            )
    return expanded
