"""Wording: does a token read like a word, or like a value that stands for itself?

Identifiers, hosts and codes differ from words even when they hold no digit: they have one letter,
join several names by dots or dashes, or put letters next to each other that no word does.
"""

import re
from collections.abc import Collection
from enum import IntEnum
from functools import lru_cache

from ml.templates.masking import SLOT

# Pairs of letters that are usual in English words.
_PAIRS_TEXT = """
th he in er an re on at en nd ti es or te of ed is it al ar st to nt ng se ha as ou io le ve co me
de hi ri ro ic ne ea ra ce li ch ll be ma si om ur ca el ta la ns di fo ho pe ec pr no ct us ac ot
il tr ly nc et ut ss so rs un lo wa ge ie wh ee wi em ad ol rt po we na ul ni ts mo ow pa im mi ai
sh ir su id os iv ia am fi ci vi pl ig tu ev ld ry mp fe bl ab gh ty op wo sa ay ex ke fr oo av ag
if ap gr od bo sp rd do uc bu ei ov by rm ep tt oc fa ef cu rn sc gi da yo cr cl du ga qu ue ff ba
ey ls va um pp ua up lu go ht ru ug ds lt pi rc rr eg au ck ew mu br bi pt ak pu ui rg ib tl ny ki
rk ys ob mm fu ph og ms ye ud mb ip ub oi rl gu dr cc tw ft wn nu af hu nn eo vo rv nf xp gn sm fl
iz ok nl my gl aw ju oa eq sy sl ps jo lf nv je nk kn gs dy ze ks xt bs ik dd ye ax ox ix xe xi xc
ka ko sk sw uf ah eb ek az za zo
"""
_USUAL_PAIRS = frozenset(_PAIRS_TEXT.split())
_IDENTIFIER = re.compile(rf"[A-Za-z_-]+{SLOT}[A-Za-z_{SLOT}-]*")
_LETTERS = re.compile(r"[A-Za-z]+")
_ACTION = re.compile(r"(?:ed|ing|ion|able|ive)$|^[A-Z_]{2,}$")
_JOINT = re.compile(r"(?<=\w)[./\\@$%&#+~]+(?=\w)|(?<=\d)[_-]|[_-](?=\d)")
_SHORT_TEXT = """
a add all an and any are as at bad be big but by can cpu did do dns down end err few for ftp get
go had has he if in io ip is it its job key let log low map max may min msg net new no non not now
of off ok old on one or our out own pid put raw ro rw run rx set ssh ssl tag tcp the tls to top
try two tx udp uid up us use via was way we who why xml yes yet you
"""
_SHORT_WORDS = frozenset(_SHORT_TEXT.split())
_FLAGS = frozenset(["true", "false", "yes", "no", "on", "off"])


class Kind(IntEnum):
    """What a token reads like, from what says most about a message to what says least."""

    ACTION = 0  # a state or an action: "terminated", "RUNNING"
    WORD = 1
    NAME = 2  # a short word in lower case, as the names of users and hosts are
    COMPOUND = 3  # names joined by dots or slashes, or with a masked part
    VALUE = 4  # no word at all


@lru_cache(maxsize=65_536)
def kind_of(token: str) -> Kind:
    if not token or token == SLOT or (len(token) == 1 and token.isalpha()):
        return Kind.VALUE
    usual, pairs = _pairs_of_letters(token)
    if pairs and usual < 0.65 * pairs and (pairs >= 3 or not usual):
        return Kind.VALUE
    if SLOT in token or _JOINT.search(token) or token.count("_") + token.count("-") >= 3:
        return Kind.COMPOUND
    if _ACTION.search(token):
        return Kind.ACTION
    return Kind.NAME if token.islower() and len(token) <= 8 else Kind.WORD


def may_be_value(token: str) -> bool:
    """Whether a token may be a value, where its place holds values already."""
    if kind_of(token) >= Kind.COMPOUND:
        return True
    usual, pairs = _pairs_of_letters(token)
    return usual < 0.85 * pairs or is_short(token)


def _pairs_of_letters(token: str) -> tuple[int, int]:
    """How many pairs of neighbouring letters are usual, out of how many."""
    runs = [run.lower() for run in _LETTERS.findall(token)]
    pairs = [run[place : place + 2] for run in runs for place in range(len(run) - 1)]
    return sum(pair in _USUAL_PAIRS for pair in pairs), len(pairs)


def is_telling(token: str) -> bool:
    """Whether a token says what a message is about: it has letters and is no value."""
    return sum(letter.isalpha() for letter in token) >= 2 and kind_of(token) != Kind.VALUE


def is_short(token: str) -> bool:
    """Whether a token is too short to tell a word from a value, and no usual short word."""
    return len(token) <= 3 and token.lower() not in _SHORT_WORDS


def are_identifiers(tokens: Collection[str]) -> bool:
    """Whether every token is a name with a masked number, as `task_<*>` is."""
    return all(_IDENTIFIER.fullmatch(token) for token in tokens)


def are_flags(tokens: Collection[str]) -> bool:
    return all(token.lower() in _FLAGS for token in tokens)
