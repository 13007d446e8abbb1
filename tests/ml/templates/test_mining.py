import pytest

from ml.templates.masking import SLOT
from ml.templates.mining import mine


def patterns(*shapes: str) -> set[str]:
    found = mine({each.replace("<*>", SLOT) for each in shapes})
    return {each.replace(SLOT, "<*>") for each in found.values()}


USERS = ["alice", "robert", "carol", "daniel", "susan", "frank"]


def test_many_values_make_a_parameter() -> None:
    assert patterns(*(f"login of user {user} failed" for user in USERS)) == {
        "login of user <*> failed"
    }


@pytest.mark.parametrize("count", [2, 3])
def test_few_words_stay_apart(count: int) -> None:
    shapes = {f"login of user {user} failed" for user in USERS[:count]}
    assert patterns(*shapes) == shapes


def test_states_stay_apart_longer_than_names() -> None:
    states = ["Started", "Stopped", "Paused", "Resumed", "Deleted"]
    shapes = {f"the instance was {state} by request" for state in states}
    assert patterns(*shapes) == shapes


def test_two_templates_with_parameters_stay_apart() -> None:
    opened = [f"session opened for user {user} now" for user in USERS]
    closed = [f"session closed for user {user} now" for user in USERS]
    assert patterns(*opened, *closed) == {
        "session opened for user <*> now",
        "session closed for user <*> now",
    }


def test_a_rare_template_is_not_swallowed() -> None:
    shapes = [f"disk {name} is healthy" for name in ["sdqx", "sdqz", "xvqk", "nvqw", "zfqq"]]
    assert patterns(*shapes, "disk failure is imminent") == {
        "disk <*> is healthy",
        "disk failure is imminent",
    }


def test_single_words_are_messages_of_their_own() -> None:
    assert patterns("start", "halt", "sleep", "wake", "dump", "flush") == {
        "start", "halt", "sleep", "wake", "dump", "flush",
    }  # fmt: skip


def test_values_that_vary_together_are_parameters() -> None:
    shapes = [f"copied block qx{a}zk from hq{a}wz to vb{b}qk" for a, b in ["ab", "cd", "ef", "gh"]]
    assert patterns(*shapes) == {"copied block <*> from <*> to <*>"}


def test_nothing_between_brackets_is_a_value_that_was_not_there() -> None:
    assert patterns("connection from <*> () at <*>", "connection from <*> (<*>) at <*>") == {
        "connection from <*> (<*>) at <*>"
    }


def test_json_and_logfmt_give_one_template() -> None:
    logfmt = [f"level=info user={user} action=login took=<*>" for user in USERS]
    as_json = [f'{{"level":"info","user":"{user}","took":<*>}}' for user in USERS]
    assert patterns(*logfmt, *as_json) == {
        "level=info user=<*> action=login took=<*>",
        '{"level":"info","user":"<*>","took":<*>}',
    }


def test_flags_stay_apart() -> None:
    shapes = {"sync enabled=true now", "sync enabled=false now"}
    assert patterns(*shapes) == shapes


def test_names_with_numbers_are_values_of_one_parameter() -> None:
    assert patterns("stored block rdd_<*> in memory", "stored block piece_<*> in memory") == {
        "stored block <*> in memory"
    }


def test_messages_that_differ_in_a_word_before_dots_stay_apart() -> None:
    shapes = {"interrupt: illegal instruction...<*>", "interrupt: imprecise exception...<*>"}
    assert patterns(*shapes) == shapes
