"""Passwords: what they must be, and hashes of them that are slow on purpose (Argon2id)."""

from __future__ import annotations

import threading
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

SHORTEST, LONGEST = 12, 200

_hasher = PasswordHasher()
# Each takes 64 MiB while it runs, and many may want to log in at once.
_room = threading.Semaphore(4)


def fault_of(password: str, name: str) -> str | None:
    """Why somebody of this name may not have this password; None where they may."""
    if not SHORTEST <= len(password) <= LONGEST:
        return f"a password has {SHORTEST} to {LONGEST} characters"
    if password.lower() == name.lower():
        return "the password is the name: choose another"
    return None


def hashed(password: str) -> str:
    with _room:
        return _hasher.hash(password)


def matches(password: str, kept: str | None) -> bool:
    """Whether a hash is that of a password. It takes as long where there is no hash: nobody is to
    learn from it who exists."""
    with _room:
        try:
            return _hasher.verify(kept or _of_nobody(), password) and kept is not None
        except VerifyMismatchError:
            return False


def is_outdated(kept: str) -> bool:
    """Whether a hash was made with other parameters than new ones are."""
    return _hasher.check_needs_rehash(kept)


@lru_cache(maxsize=1)
def _of_nobody() -> str:
    return _hasher.hash("the password of nobody")
