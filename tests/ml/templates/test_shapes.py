import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ml.templates import Batch, count_shapes, merge_shapes

MESSAGES = st.lists(st.text(alphabet="ab0-9 =/.\n\x1aé", max_size=12), max_size=30)


def test_counts_and_examples() -> None:
    found = count_shapes(pl.Series(["took 2 ms", "took 1 ms", None, "halt"]))
    assert found["count"].to_list() == [1, 2]
    assert found["example"].to_list() == ["halt", "took 1 ms"]


def test_no_messages_give_an_empty_frame_of_the_same_columns() -> None:
    empty = count_shapes(pl.Series("message", [], pl.String))
    assert empty.schema == count_shapes(pl.Series(["a"])).schema
    assert len(empty) == 0


@settings(deadline=None)
@given(MESSAGES, st.integers(1, 10), st.randoms())
def test_parts_in_any_order_merge_to_the_whole(messages: list[str], size: int, random) -> None:  # type: ignore[no-untyped-def]
    whole = count_shapes(pl.Series("message", messages, pl.String))
    shuffled = random.sample(messages, len(messages))
    parts = [
        count_shapes(pl.Series("message", shuffled[start : start + size], pl.String))
        for start in range(0, len(messages), size)
    ]
    assert_frame_equal(merge_shapes([whole.clear(), *parts]), whole)


def test_a_batch_stands_for_its_messages() -> None:
    messages = pl.Series(["took 2 ms", None])
    assert_frame_equal(count_shapes(Batch(messages)), count_shapes(messages))
