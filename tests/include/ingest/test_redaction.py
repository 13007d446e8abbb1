"""What is masked before anything is stored, and what is left alone."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.ingest.redaction import redacted
from include.sources import LogSource
from include.sources.redaction import KINDS


def masked(text: str, *redact: object) -> str:
    source = LogSource.model_validate(
        {
            "name": "app",
            "format": "log4j",
            "windowing": {"kind": "time", "size": "5m", "step": "5m"},
            "redact": list(redact),
        }
    )
    return str(pl.select(redacted(pl.lit(text), source.redact)).item())


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("email", "mail to jo.o'neil+x@mail.example.org.", "mail to [email]."),
        ("email", "user@host is no address of mail", None),
        ("ipv4", "from 10.251.43.21:50010 up", "from [ipv4]:50010 up"),
        ("ipv4", "version 1.2.3, 300.1.2.3", None),
        ("ipv6", "from 2001:db8::ff00:42:8329 up", "from [ipv6] up"),
        ("ipv6", "from 2001:db8:0:0:0:ff00:42:8329 up", "from [ipv6] up"),
        ("ipv6", "at 10:20:30 in std::vector", None),
        ("mac", "dev 00:1B:44:11:3a:B7 lost", "dev [mac] lost"),
        ("mac", "at 10:20:30", None),
        ("iban", "pay DE89 3704 0044 0532 0130 00 now", "pay [iban] now"),
        ("iban", "block AB12", None),
        ("jwt", "got eyJhbGciOi.eyJzdWIi.SflKx-w_1 ok", "got [jwt] ok"),
        ("bearer", "Authorization: Bearer abc.DEF-123~", "Authorization: Bearer [bearer]"),
        ("bearer", "a bearer of news", None),
        ("secret", "login password=hunter2, retry", "login password=[secret], retry"),
        ("secret", "password=[hunter2] x", "password=[secret] x"),
        ("secret", "api-key: k1&user=a", "api-key: [secret]&user=a"),
        (
            "secret",
            """{"password": "hun\\"ter 2", "a": 1}""",
            """{"password": "[secret]", "a": 1}""",
        ),
        ("secret", """{"m": "pwd=\\"hun ter\\" x"}""", """{"m": "pwd=\\"[secret]\\" x"}"""),
        ("secret", "token='a b' c", "token='[secret]' c"),
        ("secret", "max_tokens=5, the secret of it", None),
        ("url_password", "db at pg://app:pw1@db:5432/x", "db at pg://app:[url_password]@db:5432/x"),
        ("url_password", "see http://host:8080/a and b@c", None),
    ],
)
def test_kinds(kind: str, text: str, expected: str | None) -> None:
    assert masked(text, kind) == (text if expected is None else expected)


def test_own_patterns_keep_what_they_say() -> None:
    own = {"name": "account", "pattern": "(?P<keep>acc=)[0-9]+"}
    assert masked("acc=123 by a@b.org", own, "email") == "acc=[account] by [email]"


@given(text=st.text(alphabet="pwd=:'\"\\ []a1@.:/", max_size=60))
def test_masking_twice_changes_nothing_more(text: str) -> None:
    once = masked(text, *KINDS)
    assert masked(once, *KINDS) == once
