import gzip
import os
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.templates import Batch, Catalogue, count_shapes, merge_shapes

DATA = Path(os.environ.get("LOGANALYZER_DATA", Path(__file__).parents[3] / "../shared/data"))
# What could be taken for a slot or for a mark of ours, or trip the cutting of bytes.
TRICKY = [
    "\x1a",
    "<*>",
    "0",
    "-0",
    "00",
    "é-1",
    "w",
    "\x00",
    "\u2028",
    "\ue000",
    "() [] \"\" ''",
    "=",
]
TEXT = st.lists(
    st.one_of(st.text(max_size=8), st.sampled_from(TRICKY), st.integers().map(str)), max_size=6
).map("".join)
WORDS = [
    "user",
    "alice",
    "bob",
    "qxzk",
    "vbnw",
    "failed",
    "7",
    "10.0.0.1:80",
    "/a/b",
    "(",
    "=",
    ",",
]
SENTENCES = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)


def learnt(messages: pl.Series, *more: pl.Series) -> Catalogue:
    catalogue = Catalogue.empty("test").learn(count_shapes(messages))
    for each in more:
        catalogue = catalogue.learn(count_shapes(each))
    return catalogue


def rendered(catalogue: Catalogue, messages: pl.Series) -> list[str | None]:
    return [
        None if template_id is None else catalogue.render(template_id, parameters)
        for template_id, parameters in catalogue.match(messages).iter_rows()
    ]


@settings(deadline=None)
@given(st.lists(st.one_of(TEXT, SENTENCES), max_size=40))
def test_every_message_comes_back_exactly(texts: list[str]) -> None:
    messages = pl.Series("message", texts, pl.String)
    assert rendered(learnt(messages), messages) == texts


@settings(deadline=None)
@given(
    st.lists(st.one_of(TEXT, SENTENCES), max_size=20),
    st.lists(st.one_of(TEXT, SENTENCES), max_size=20),
)
def test_messages_of_any_age_come_back_after_widening(old: list[str], new: list[str]) -> None:
    first, second = pl.Series(old, dtype=pl.String), pl.Series(new, dtype=pl.String)
    before = learnt(first)
    stored = before.match(first)
    after = before.learn(count_shapes(second))
    assert [after.render(*row) for row in stored.iter_rows()] == old
    assert rendered(after, first) == old
    assert rendered(after, second) == new
    for (then,), now in zip(
        stored.select("template_id").iter_rows(), after.identify(first), strict=True
    ):
        assert after.resolve(after.resolve(then)) == after.resolve(then)
        assert now in after.templates


@settings(deadline=None)
@given(st.lists(SENTENCES, max_size=40), st.integers(1, 9), st.randoms())
def test_partitions_in_any_order_give_the_catalogue_of_one_pass(
    texts: list[str], size: int, random
) -> None:  # type: ignore[no-untyped-def]
    shuffled = random.sample(texts, len(texts))
    parts = [
        count_shapes(pl.Series(shuffled[start : start + size], dtype=pl.String))
        for start in range(0, len(texts), size)
    ]
    whole = count_shapes(pl.Series("message", texts, pl.String))
    merged = merge_shapes([whole.clear(), *random.sample(parts, len(parts))])
    assert Catalogue.empty("test").learn(merged) == Catalogue.empty("test").learn(whole)


@settings(deadline=None)
@given(st.lists(SENTENCES, max_size=30))
def test_what_was_mined_is_not_mined_again(texts: list[str]) -> None:
    messages = pl.Series("message", texts, pl.String)
    catalogue = learnt(messages)
    assert catalogue.learn(count_shapes(messages)) is catalogue
    assert catalogue.identify(messages).equals(catalogue.match(messages)["template_id"])


def test_a_widened_template_keeps_its_id_and_old_events_render() -> None:
    monday = pl.Series([f"disk {name} is healthy" for name in ["sdqx"]])
    tuesday = pl.Series([f"disk {name} is healthy" for name in ["xvqk", "nvqw"]])
    before = learnt(monday)
    [template_id] = before.templates
    after = before.learn(count_shapes(tuesday))
    assert after.text(template_id) == "disk <*> is healthy"
    assert after.render(template_id, []) == "disk sdqx is healthy"
    assert after.render(template_id, ["nvqw"]) == "disk nvqw is healthy"
    assert set(after.identify(tuesday)) == {template_id}


def test_merged_templates_leave_a_redirect() -> None:
    users = [f"login of user {name} failed" for name in ["alice", "robert", "carol", "daniel"]]
    before = learnt(pl.Series(users[:3]))
    after = before.learn(count_shapes(pl.Series(users[3:])))
    assert len(before) == 3
    assert {after.resolve(each) for each in before.templates} == set(
        after.identify(pl.Series(users))
    )
    for template_id, message in zip(before.identify(pl.Series(users[:3])), users[:3], strict=True):
        assert after.render(template_id, []) == message


def test_ids_follow_from_source_and_text() -> None:
    messages = pl.Series(["service is up"])
    shapes = count_shapes(messages)
    assert learnt(messages) == learnt(messages)
    assert (
        Catalogue.empty("a")
        .learn(shapes)
        .templates.keys()
        .isdisjoint(Catalogue.empty("b").learn(shapes).templates)
    )


@settings(deadline=None)
@given(st.lists(st.one_of(TEXT, SENTENCES), max_size=20))
def test_a_frame_gives_the_catalogue_back(texts: list[str]) -> None:
    catalogue = learnt(pl.Series(texts, dtype=pl.String))
    frame = catalogue.to_frame()
    assert Catalogue.from_frame("test", (), frame) == catalogue
    # Postgres stores no NUL in a text.
    assert not any("\0" in each for column in ("text", "body") for each in frame[column])


def test_nulls_and_unknown_messages_have_no_template() -> None:
    catalogue = learnt(pl.Series(["took 1 ms"]))
    messages = pl.Series(["took 22 ms", None, "something else 5", "took -3 ms"])
    known = catalogue.identify(messages)
    assert known.is_null().to_list() == [False, True, True, False]
    assert catalogue.match(messages)["parameters"].to_list() == [["22"], None, None, ["-3"]]
    assert catalogue.identify(Batch(messages)).equals(known)


def test_new_values_of_a_parameter_match() -> None:
    catalogue = learnt(pl.Series([f"disk {name} is healthy" for name in ["sdqx", "xvqk", "nvqw"]]))
    found = catalogue.match(pl.Series(["disk zzqk is healthy"]))
    assert found["parameters"].to_list() == [["zzqk"]]


def test_parameters_have_types() -> None:
    catalogue = learnt(
        pl.Series(
            ["took 12ms for /var/log/x.log at 10.0.0.1:80", "took 9ms for /a/b at 10.0.0.2:80"]
        )
    )
    [template] = catalogue.templates.values()
    assert template.parameter_types == ("duration", "path", "address")


def test_a_wrong_number_of_parameters_is_refused() -> None:
    catalogue = learnt(pl.Series(["took 1 ms"]))
    with pytest.raises(ValueError, match="never had 2 parameters"):
        catalogue.render(next(iter(catalogue.templates)), ["1", "2"])


def test_masks_of_a_source_hold_in_match() -> None:
    messages = pl.Series(["user bob left", "user amy left"])
    masks = [r"\b(?:bob|amy)\b"]
    catalogue = Catalogue.empty("test", masks).learn(count_shapes(messages, masks))
    assert catalogue.match(messages)["parameters"].to_list() == [["bob"], ["amy"]]


@pytest.mark.skipif(not DATA.exists(), reason="the labelled logs are not on this machine")
@pytest.mark.parametrize("name", ["hdfs/HDFS_2pct.log.gz", "bgl/BGL_100k.log.gz"])
def test_real_lines_come_back_exactly(name: str) -> None:
    with gzip.open(DATA / name, "rt", encoding="utf-8", errors="replace") as stream:
        lines = pl.Series("message", stream.read().split("\n"))
    assert rendered(learnt(lines), lines) == lines.to_list()


@pytest.mark.skipif(not DATA.exists(), reason="the labelled logs are not on this machine")
def test_the_raw_samples_come_back_exactly() -> None:
    paths = sorted(DATA.glob("templates/*/*_2k.log"))
    assert paths
    for path in paths:
        lines = pl.Series("message", path.read_text("utf-8", errors="replace").split("\n"))
        assert rendered(learnt(lines), lines) == lines.to_list(), path.name
