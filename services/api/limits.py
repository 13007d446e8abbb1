"""How often somebody may do what is dear, or what could be guessed by trying.

A process counts for itself: several behind one address let through as many times more.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network

from fastapi import Depends, Request
from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from services.api.access import Identified
from services.api.problems import Problem

LOGINS = parse("20/minute")


def address_of(request: Request) -> str:
    """Where a request comes from; of an IPv6 address the network, which is one customer's."""
    host = request.client.host if request.client else ""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return str(ip_network((address, 64), strict=False))
    return host


def user_of(caller: Identified) -> str:
    return caller.identity.name


def limited(
    what: str, rate: str, whose: Callable[..., str] = user_of
) -> Callable[[Request, str], None]:
    """For `Depends`: lets each user, or each address with `whose=address_of`, do something as often
    as the rate says, such as `60/minute`. Raises Problem 429 beyond that."""
    item = parse(rate)

    def limit(request: Request, who: str = Depends(whose)) -> None:
        count(request, item, what, who)

    return limit


def count(request: Request, item: RateLimitItem, what: str, who: str) -> None:
    """Count what somebody does. Raises Problem 429 where it is too often."""
    limiter: MovingWindowRateLimiter = request.app.state.limiter
    if not limiter.hit(item, what, who):
        wait = max(1, round(limiter.get_window_stats(item, what, who).reset_time - time.time()))
        told = f"too often: at most {item}; try again in {wait} s"
        raise Problem(429, told, {"Retry-After": str(wait)})


def new_limiter() -> MovingWindowRateLimiter:
    return MovingWindowRateLimiter(MemoryStorage())


def count_login(request: Request) -> None:
    """Against guessing: counts logins and registrations by address. Raises Problem 429."""
    count(request, LOGINS, "login", address_of(request))
