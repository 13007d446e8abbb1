"""What people change in a catalogue holds in all later runs."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.templates import Catalogue, count_shapes, edits
from ml.templates.edits import InvalidEdit

NAMES = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"]
# Six and more values in one place, all else equal: a parameter.
DISKS = [f"disk {name} state good" for name in NAMES]
MESSAGES = [*DISKS, "volume is full", "disk is full", "user 17 left after 3 s"]

words = st.sampled_from([*NAMES, "failed", "is", "full", "disk", "17", "0x1f"])
messages = st.lists(st.lists(words, min_size=1, max_size=5).map(" ".join), max_size=12)


def learnt(texts: Sequence[str], known: Catalogue | None = None) -> Catalogue:
    shapes = count_shapes(pl.Series("message", texts, pl.String))
    return (known or Catalogue.empty("disk")).learn(shapes)


def id_of(catalogue: Catalogue, message: str) -> str:
    return str(catalogue.identify(pl.Series("message", [message]))[0])


def stored(catalogue: Catalogue) -> Catalogue:
    """As it comes back from the database."""
    return Catalogue.from_frame(catalogue.source, catalogue.masks, catalogue.to_frame())


def kinds(before: Catalogue, after: Catalogue) -> list[str]:
    return [change.kind for change in edits.changes_between(before, after)]


@pytest.fixture(scope="module")
def mined() -> Catalogue:
    return learnt(MESSAGES)


def test_a_name_stands_beside_the_text(mined: Catalogue) -> None:
    full = id_of(mined, "disk is full")
    renamed = stored(edits.rename(mined, full, "disk full"))
    assert renamed.templates[full].name == "disk full"
    assert renamed.text(full) == "disk is full"
    assert kinds(mined, renamed) == ["renamed"]
    assert edits.rename(renamed, full, "") == mined


def test_what_is_merged_counts_as_the_other_and_renders_as_itself(mined: Catalogue) -> None:
    volume, disk = id_of(mined, "volume is full"), id_of(mined, "disk is full")
    merged = stored(edits.merge(mined, volume, disk))
    (found,) = merged.match(pl.Series("message", ["volume is full"])).rows(named=True)
    assert merged.resolve(found["template_id"]) == disk
    assert merged.render(found["template_id"], found["parameters"]) == "volume is full"
    assert kinds(mined, merged) == ["merged"]
    assert edits.restore(merged, volume) == mined


def test_a_split_gives_later_lines_their_own_template(mined: Catalogue) -> None:
    state = id_of(mined, DISKS[0])
    apart = stored(edits.split(mined, state, 1, ["alpha", "omega"]))
    own = {name: id_of(apart, f"disk {name} state good") for name in ("alpha", "omega", "beta")}
    assert own["beta"] == state
    assert len(set(own.values())) == 3
    assert apart.text(own["alpha"]) == "disk alpha state good"
    assert kinds(mined, apart) == ["split", "split"]


def test_the_pinned_is_not_widened() -> None:
    few = learnt([DISKS[0]])
    alone = id_of(few, DISKS[0])
    assert learnt(DISKS, few).templates[alone].text == "disk <*> state good"
    pinned = learnt(DISKS, stored(edits.pin(few, alone)))
    assert pinned.templates[alone].text == DISKS[0]
    assert id_of(pinned, DISKS[0]) == alone
    freed = edits.unpin(pinned, alone)
    assert kinds(pinned, freed) == ["unpinned"]


def test_the_retired_comes_back_with_its_lines(mined: Catalogue) -> None:
    full = id_of(mined, "disk is full")
    retired = stored(edits.retire(mined, full))
    assert learnt([DISKS[0], "something new"], retired).templates[full].is_retired
    back = learnt(["disk is full"], retired)
    assert not back.templates[full].is_retired
    assert kinds(retired, back) == ["restored"]


def test_what_mining_does_is_told_too(mined: Catalogue) -> None:
    few = learnt(DISKS[:2])
    assert kinds(Catalogue.empty("disk"), few) == ["created"] * 2
    assert set(kinds(few, learnt(DISKS, few))) == {"widened", "merged"}


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda c, a, b: edits.pin(c, "nothing"), "no template 'nothing' of source disk"),
        (lambda c, a, b: edits.merge(c, a, a), "into itself"),
        (lambda c, a, b: edits.merge(edits.merge(c, a, b), b, a), "was merged: it goes by"),
        (lambda c, a, b: edits.split(c, a, 1, ["x"]), "parameter 1 of .* is no word of its own"),
        (lambda c, a, b: edits.split(c, b, 2, ["x"]), "choose one of 1 to 1"),
        (lambda c, a, b: edits.split(c, b, 1, ["17"]), "'17' is masked or more than one word"),
        (lambda c, a, b: edits.split(c, b, 1, ["x y"]), "more than one word"),
        (
            lambda c, a, b: edits.split(edits.split(c, b, 1, ["x"]), b, 1, ["x"]),
            "the lines with 'x' have a template already",
        ),
    ],
)
def test_what_cannot_be_is_refused(mined: Catalogue, edit: object, told: str) -> None:
    full, state = id_of(mined, "disk is full"), id_of(mined, DISKS[0])
    with pytest.raises(InvalidEdit, match=told):
        edit(mined, full, state)  # type: ignore[operator]


def test_what_mining_has_merged_stays_merged() -> None:
    after = learnt(DISKS, learnt(DISKS[:2]))
    gone = next(key for key, each in after.templates.items() if each.replaced_by)
    with pytest.raises(InvalidEdit, match="merged by mining"):
        edits.restore(after, gone)


@settings(max_examples=40, deadline=None)
@given(later=st.lists(messages, min_size=1, max_size=3))
def test_edits_hold_whatever_comes_later(mined: Catalogue, later: list[list[str]]) -> None:
    volume, disk = id_of(mined, "volume is full"), id_of(mined, "disk is full")
    state, user = id_of(mined, DISKS[0]), id_of(mined, MESSAGES[-1])
    edited = edits.merge(mined, volume, user)
    edited = edits.split(edited, state, 1, ["alpha"])
    alpha = id_of(edited, "disk alpha state good")
    edited = edits.rename(edits.pin(edited, disk), disk, "disk full")
    for batch in later:
        edited = learnt(batch, stored(edited))
    assert edited.resolve(id_of(edited, "volume is full")) == edited.resolve(user)
    assert id_of(edited, "disk alpha state good") == alpha
    assert id_of(edited, "disk is full") == disk
    assert edited.templates[disk].text == "disk is full"
    assert edited.templates[disk].name == "disk full"
    everything = [*MESSAGES, *(text for batch in later for text in batch)]
    found = edited.match(pl.Series("message", everything, pl.String))
    assert not found["template_id"].has_nulls()
    rendered = [edited.render(key, parameters) for key, parameters in found.iter_rows()]
    assert rendered == everything
