"""From lines to events and to the quarantine."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.ingest.decode import LONGEST_LINE
from include.ingest.records import LONGEST_RECORD
from include.lake.schema import PARSED_SCHEMA, QUARANTINE_SCHEMA
from include.sources.formats import PRESETS

Parse = Callable[..., Any]

# name of the case: preset, line, and what is to be read of it
LINES: dict[str, tuple[str, str, dict[str, object]]] = {
    "hdfs": (
        "hdfs",
        "081109 203518 143 INFO dfs.DataNode$DataXceiver: Receiving block blk_-16 src: /10.2",
        {
            "event_time": datetime(2008, 11, 9, 20, 35, 18, tzinfo=UTC),
            "severity": "INFO",
            "component": "dfs.DataNode$DataXceiver",
            "host": None,
            "message": "Receiving block blk_-16 src: /10.2",
        },
    ),
    "hdfs without a message": (
        "hdfs",
        "081109 203518 143 WARN dfs.DataNode:",
        {"component": "dfs.DataNode", "message": ""},
    ),
    "bgl, and its label is in no field": (
        "bgl",
        "APPREAD 1117838570 2005.06.03 R02-M1 2005-06-03-15.42.50.363779 R02-M1 RAS KERNEL INFO "
        "parity error",
        {
            "event_time": datetime(2005, 6, 3, 15, 42, 50, 363779, tzinfo=UTC),
            "host": "R02-M1",
            "component": "KERNEL",
            "severity": "INFO",
            "message": "parity error",
        },
    ),
    "bgl without a message": (
        "bgl",
        "- 1117838570 2005.06.03 R02-M1 2005-06-03-15.42.50.363779 R02-M1 RAS KERNEL FATAL ",
        {"severity": "FATAL", "message": ""},
    ),
    "log4j, thread after the level": (
        "log4j",
        "2015-10-18 18:01:47,978 INFO [main] org.apache.App: Created",
        {
            "event_time": datetime(2015, 10, 18, 18, 1, 47, 978000, tzinfo=UTC),
            "component": "org.apache.App",
            "message": "Created",
        },
    ),
    "log4j, thread before the level": (
        "log4j",
        "2015-10-18 18:01:47,978 [pool-1 thread 2] WARN  com.acme.Billing - late by 3 days",
        {"severity": "WARN", "component": "com.acme.Billing", "message": "late by 3 days"},
    ),
    "log4j as Spring writes it": (
        "log4j",
        "2024-03-01T10:00:00.123+01:00  INFO 4711 --- [           main] c.acme.Shop  : Started",
        {
            "event_time": datetime(2024, 3, 1, 9, 0, 0, 123000, tzinfo=UTC),
            "component": "c.acme.Shop",
            "message": "Started",
        },
    ),
    "log4j with a short year": (
        "log4j",
        "17/06/09 20:10:40 INFO spark.SecurityManager: Changing view acls to: yarn",
        {
            "event_time": datetime(2017, 6, 9, 20, 10, 40, tzinfo=UTC),
            "message": "Changing view acls to: yarn",
        },
    ),
    "python logging": (
        "python",
        "2024-03-01 10:00:00,123 - shop.cart - WARNING - 3 items left",
        {"severity": "WARN", "component": "shop.cart", "message": "3 items left"},
    ),
    "python logging, level first": (
        "python",
        "2024-03-01 10:00:00 ERROR no route",
        {"severity": "ERROR", "message": "no route"},
    ),
    "syslog of the day before": (
        "syslog_rfc3164",
        "Jan  1 15:16:01 combo sshd(pam_unix)[19939]: authentication failure; uid=0",
        {
            "event_time": datetime(2026, 1, 1, 15, 16, 1, tzinfo=UTC),
            "host": "combo",
            "component": "sshd(pam_unix)",
            "message": "authentication failure; uid=0",
        },
    ),
    "syslog of the year before": (
        "syslog_rfc3164",
        "Dec 31 23:59:59 combo kernel: tick",
        {"event_time": datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC)},
    ),
    "syslog of a leap day": (
        "syslog_rfc3164",
        "Feb 29 00:00:00 combo kernel: leap",
        {"event_time": datetime(2024, 2, 29, tzinfo=UTC)},
    ),
    "syslog with a priority": (
        "syslog_rfc3164",
        "<34>Jan  1 15:16:01 combo su: failed",
        {"severity": "CRITICAL", "component": "su"},
    ),
    "new syslog": (
        "syslog_rfc5424",
        '<165>1 2003-10-11T22:14:15.003-07:00 mymachine evntslog - ID47 [ex@1 iut="3"] An event',
        {
            "event_time": datetime(2003, 10, 12, 5, 14, 15, 3000, tzinfo=UTC),
            "severity": "NOTICE",
            "host": "mymachine",
            "component": "evntslog",
            "message": '[ex@1 iut="3"] An event',
        },
    ),
    "new syslog with nothing known": (
        "syslog_rfc5424",
        "<8>1 2003-10-11T22:14:15Z - - - - - down",
        {"severity": "FATAL", "host": None, "component": None, "message": "down"},
    ),
    "nginx": (
        "nginx_access",
        r'10.0.0.1 - - [10/Oct/2023:13:55:36 -0700] "GET /a\"b HTTP/1.1" 502 7 "-" "curl/8"',
        {
            "event_time": datetime(2023, 10, 10, 20, 55, 36, tzinfo=UTC),
            "severity": "ERROR",
            "host": "10.0.0.1",
            "message": r'"GET /a\"b HTTP/1.1" 502 7 "-" "curl/8"',
        },
    ),
    "apache, common": (
        "apache_access",
        '127.0.0.1 - frank [10/Oct/2000:13:55:36 +0000] "GET /x HTTP/1.0" 404 -',
        {"severity": "WARN", "message": '"GET /x HTTP/1.0" 404 -', "session_key": None},
    ),
    "apache, combined": (
        "apache_access",
        '127.0.0.1 - - [10/Oct/2000:13:55:36 +0000] "GET /x HTTP/1.0" 200 5 "-" "Mozilla"',
        {"severity": "INFO"},
    ),
    "kubernetes": (
        "kubernetes_cri",
        "2024-03-01T10:00:00.123456789Z stderr F WARN disk is full",
        {
            "event_time": datetime(2024, 3, 1, 10, 0, 0, 123456, tzinfo=UTC),
            "severity": "WARN",
            "message": "WARN disk is full",
        },
    ),
    "kubernetes, a level in brackets": (
        "kubernetes_cri",
        "2024-03-01T10:00:00Z stdout F [error] disk is full",
        {"severity": "ERROR"},
    ),
    "kubernetes, a word that only looks like a level": (
        "kubernetes_cri",
        "2024-03-01T10:00:00Z stdout F error budgets are fine",
        {"severity": None},
    ),
    "kubernetes around JSON": (
        "kubernetes_cri",
        '2024-03-01T10:00:00Z stdout F {"level":"warning","msg":"x"}',
        {"severity": "WARN", "message": '{"level":"warning","msg":"x"}'},
    ),
    "JSON with an ISO time": (
        "json",
        '{"ts":"2024-03-01T10:00:00+01:00","lvl":"warn","logger":"a.b","hostname":"n1",'
        '"msg":"late","days":3,"who":{"id":"é"}}',
        {
            "event_time": datetime(2024, 3, 1, 9, tzinfo=UTC),
            "severity": "WARN",
            "component": "a.b",
            "host": "n1",
            "message": 'late days=3 who={"id": "é"}',
        },
    ),
    "JSON with milliseconds": (
        "json",
        '{"time":1709287200123,"message":"x"}',
        {"event_time": datetime(2024, 3, 1, 10, 0, 0, 123000, tzinfo=UTC)},
    ),
    "JSON with a fraction of seconds": (
        "json",
        '{"time":1709287200.5,"message":"x"}',
        {"event_time": datetime(2024, 3, 1, 10, 0, 0, 500000, tzinfo=UTC)},
    ),
    "JSON with what no database takes": (
        "json",
        r'{"time":1709287200,"host":"a\u0000b","msg":"\ud800"}',
        {"host": "a\u2400b", "message": "?"},
    ),
}


@pytest.mark.parametrize("case", LINES)
def test_a_line_of_each_format(case: str, parse: Parse) -> None:
    preset, line, wanted = LINES[case]
    found = parse(f"{line}\n", preset)
    assert found.quarantined.rows() == []
    (event,) = found.events.rows(named=True)
    assert {name: event[name] for name in wanted} == wanted
    assert (event["source"], event["object_key"], event["line_number"]) == ("app", "app/1.log", 1)


def test_every_preset_has_a_line_here() -> None:
    assert {preset for preset, _, _ in LINES.values()} == set(PRESETS)


def test_columns_fit_the_schemas_of_the_lake(parse: Parse) -> None:
    found = parse("2024-03-01 10:00:00 INFO fine\nnonsense\n")
    for frame, schema in ((found.events, PARSED_SCHEMA), (found.quarantined, QUARANTINE_SCHEMA)):
        assert frame.columns == schema.names
        assert frame.to_arrow().cast(schema).num_rows == 1


@pytest.mark.parametrize(
    ("severity", "wanted"),
    [("FINEST", "TRACE"), ("WARNING", "WARN"), ("SEVERE", "ERROR"), ("CRIT", "CRITICAL"),
     ("EMERG", "FATAL"), ("INFORMATION", "INFO")],
)  # fmt: skip
def test_severities_are_made_one(severity: str, wanted: str, parse: Parse) -> None:
    found = parse(f"2024-03-01 10:00:00 {severity} x\n")
    assert found.events["severity"].to_list() == [wanted]


def test_an_unknown_severity_is_none(parse: Parse) -> None:
    own = {"pattern": r"^(?P<time>\S+) (?P<severity>\w+) (?P<message>.*)$", "time": "iso8601"}
    found = parse("2024-03-01T10:00:00 Odd x\n2024-03-01T10:00:00 warn y\n", own)
    assert found.events["severity"].to_list() == [None, "WARN"]


def test_session_keys_come_from_the_message(parse: Parse) -> None:
    text = "2024-03-01 10:00:00 INFO got req=ab12\n2024-03-01 10:00:00 INFO idle\n"
    for key in ("req=([0-9a-f]+)", "([0-9a-f]{4})"):
        windowing = {"kind": "session", "key": key, "idle_timeout": "1m", "longest_span": "1h"}
        found = parse(text, windowing=windowing)
        assert found.events["session_key"].to_list() == ["ab12", None]


@pytest.mark.parametrize(
    ("zone", "text", "wanted"),
    [
        ("Europe/Berlin", "2024-07-01 12:00:00", datetime(2024, 7, 1, 10, tzinfo=UTC)),
        ("Europe/Berlin", "2024-07-01 12:00:00Z", datetime(2024, 7, 1, 12, tzinfo=UTC)),
        ("Europe/Berlin", "2024-10-27 02:30:00", datetime(2024, 10, 27, 0, 30, tzinfo=UTC)),
        ("Asia/Kolkata", "2024-07-01 12:00:00-0330", datetime(2024, 7, 1, 15, 30, tzinfo=UTC)),
    ],
)
def test_time_zones(zone: str, text: str, wanted: datetime, parse: Parse) -> None:
    found = parse(f"{text} INFO x\n", time_zone=zone)
    assert found.events["event_time"].to_list() == [wanted]


@pytest.mark.parametrize("first", ["", ",5", ",123", ".123456", ".123456789"])
def test_fractions_of_a_second_may_have_any_width(first: str, parse: Parse) -> None:
    fractions = {first: None, "": 0, ",5": 500_000, ",123": 123_000, ".123456": 123_456}
    fractions |= {".123456789": 123_456, ".000001Z": 1}
    text = "".join(f"2024-07-01 12:00:00{fraction} INFO x\n" for fraction in fractions)
    found = parse(text).events["event_time"].dt.microsecond()
    assert found.to_list() == list(fractions.values())


@pytest.mark.parametrize(
    ("format", "line", "reason"),
    [
        ("python", "nothing like a log line", "does not match the line format of source app"),
        ("python", "  at a.b(C.java:1)", "no record starts before this line"),
        ("python", "2024-13-01 10:00:00 INFO x", "the time is not iso8601"),
        ("python", "1989-12-31 23:59:59 INFO x", "before 1990"),
        ("python", "2026-01-03 12:00:01 INFO x", "over a day after the object was stored"),
        ("python", "2024-03-01 10:00:00 INFO " + "x" * LONGEST_LINE, "longer than 1048576"),
        ("python", "x" * (LONGEST_LINE + 1), "longer than 1048576"),
        ("json", '{"time": 1709287200, "msg": }', "no JSON object with a time"),
        ("json", '{"msg": "no time"}', "no JSON object with a time"),
        ("json", '{"time": 1709287200}', "no message"),
        ("json", '{"time": "soon", "msg": "x"}', "the time is not iso8601 or epoch"),
        ("json", '{"a":' * 100_000 + "1" + "}" * 100_000, "no JSON object with a time"),
    ],
)
def test_bad_lines_go_to_the_quarantine_with_a_reason(
    format: str, line: str, reason: str, parse: Parse
) -> None:
    found = parse(f"{line}\n", format)
    assert found.lines_read == 1
    (row,) = found.quarantined.rows(named=True)
    assert reason in row["reason"]
    assert (row["object_key"], row["line_number"]) == ("app/1.log", 1)
    assert line.startswith(row["line"])


def test_a_time_that_a_clock_change_left_out_is_refused(parse: Parse) -> None:
    found = parse("2024-03-31 02:30:00 INFO x\n", time_zone="Europe/Berlin")
    assert "never was in Europe/Berlin" in found.quarantined["reason"][0]


def test_undecodable_bytes_stay_an_event_with_marks(parse: Parse) -> None:
    found = parse(b"2024-03-01 10:00:00 INFO caf\xe9 \x00\n")
    assert found.events["message"].to_list() == ["caf\ufffd \u2400"]


TRACE = """2024-03-01 10:00:00 ERROR it broke
java.lang.IllegalStateException: no
\tat a.B.c(B.java:1)

Caused by: java.io.IOException
2024-03-01 10:00:01 INFO fine
"""


def test_a_stack_trace_is_one_event(parse: Parse) -> None:
    found = parse(TRACE)
    assert found.events["line_number"].to_list() == [1, 6]
    assert found.events["message"][0].split("\n") == [
        "it broke",
        "java.lang.IllegalStateException: no",
        "\tat a.B.c(B.java:1)",
        "Caused by: java.io.IOException",
    ]
    assert (found.lines_read, found.lines_continued) == (6, 4)


@pytest.mark.parametrize(
    "head", ["2024-13-01 10:00:00 ERROR x", f"2024-03-01 10:00:00 ERROR {'x' * LONGEST_LINE}"]
)
def test_what_continues_a_refused_line_is_kept_in_the_quarantine(head: str, parse: Parse) -> None:
    found = parse(f"{head}\n  at a.b\n2024-03-01 10:00:01 INFO fine\n")
    assert found.events["message"].to_list() == ["fine"]
    assert found.quarantined["line_number"].to_list() == [1, 2]
    assert found.quarantined["reason"][1] == "continues a record that is quarantined"


def test_a_source_may_say_what_continues_a_record(parse: Parse) -> None:
    text = "2024-03-01 10:00:00 INFO a\n> b\n"
    assert len(parse(text).quarantined) == 1
    assert parse(text, continuation="^>").events["message"].to_list() == ["a\n> b"]


@pytest.mark.parametrize("chunk_lines", [10, 999, 1000, 1001, 100_000])
def test_a_record_has_at_most_so_many_lines(chunk_lines: int, parse: Parse) -> None:
    text = "2024-03-01 10:00:00 INFO a\n" + "  b\n" * 2500 + "2024-03-01 10:00:01 INFO c\n"
    found = parse(text, chunk_lines=chunk_lines)
    assert found.events["line_number"].to_list() == [1, 2502]
    assert found.lines_continued == LONGEST_RECORD - 1
    assert found.quarantined["line_number"].to_list() == list(range(LONGEST_RECORD + 1, 2502))
    assert set(found.quarantined["reason"]) == {
        f"the record before has more than {LONGEST_RECORD} lines"
    }


def test_kubernetes_parts_are_joined(parse: Parse) -> None:
    text = (
        "2024-03-01T10:00:00Z stdout P WARN a \n"
        "2024-03-01T10:00:01Z stdout P b\n"
        "2024-03-01T10:00:02Z stdout F c\n"
        "2024-03-01T10:00:03Z stdout F d\n"
        "2024-03-01T10:00:04Z stderr F e\n"
    )
    for chunk_lines in (1, 2, 100):
        found = parse(text, "kubernetes_cri", chunk_lines=chunk_lines)
        assert found.events["message"].to_list() == ["WARN a bc", "d", "e"]
        assert found.events["severity"].to_list() == ["WARN", None, None]
        assert found.lines_continued == 2


@pytest.mark.parametrize("chunk_lines", [7, 100_000])
def test_kubernetes_parts_without_end_are_bounded(chunk_lines: int, parse: Parse) -> None:
    text = "2024-03-01T10:00:00Z stdout P x\n" * 2500 + "2024-03-01T10:00:00Z stdout F y\n"
    found = parse(text, "kubernetes_cri", chunk_lines=chunk_lines)
    assert [len(message) for message in found.events["message"]] == [LONGEST_RECORD]
    assert len(found.quarantined) == 2501 - LONGEST_RECORD


def test_an_expression_may_put_the_message_anywhere(parse: Parse) -> None:
    own = {"pattern": r"^(?P<message>\w+) at (?P<time>\S+)$", "time": "iso8601"}
    assert parse("boom at 2024-03-01T10:00:00\n", own).events["message"].to_list() == ["boom"]


def test_an_expression_may_have_alternatives_and_unknown_groups(parse: Parse) -> None:
    own = {
        "pattern": r"^(?:\[(?P<line>\d+)\] |> )(?P<time>\S+)(?:\||;)(?P<message>.*)$",
        "time": ("iso8601", "epoch"),
    }
    found = parse("[7] 2024-03-01T10:00:00|a\n> 1709287200;b > c\n", own)
    assert found.events["message"].to_list() == ["a", "b > c"]


ROUGH_LINES = st.sampled_from(
    [line.encode() for _, line, _ in LINES.values()]
    + [b"", b"   ", b"  at a.b(C.java)", b"Caused by: x", b"no log line", b"\xff\xfe\x00", b"\r"]
    + [b"2024-03-01T10:00:00Z stdout P part", b"2024-03-01T10:00:00Z stderr P part"]
)
OBJECTS = st.one_of(
    st.binary(max_size=300),
    st.lists(st.one_of(ROUGH_LINES, st.binary(max_size=30)), max_size=25).map(b"\n".join),
)


@settings(max_examples=300, deadline=None)
@given(
    data=OBJECTS,
    preset=st.sampled_from(sorted(PRESETS)),
    chunk_lines=st.integers(1, 30),
    read_bytes=st.integers(1, 400),
)
def test_no_line_is_lost_whatever_the_bytes_and_the_chunks(
    data: bytes, preset: str, chunk_lines: int, read_bytes: int, parse: Parse
) -> None:
    data = data.lstrip(b"\x1f\x28")  # what looks compressed is for the tests of decoding
    whole = parse(data, preset)
    cut = parse(data, preset, chunk_lines=chunk_lines, read_bytes=read_bytes)
    assert whole.lines_read == len(whole.events) + len(whole.quarantined) + whole.lines_continued
    assert (cut.lines_read, cut.lines_continued) == (whole.lines_read, whole.lines_continued)
    assert cut.events.equals(whole.events)
    assert cut.quarantined.equals(whole.quarantined)
    numbers = pl.concat([whole.events["line_number"], whole.quarantined["line_number"]])
    assert numbers.is_unique().all()
    if not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.removeprefix(b"\xef\xbb\xbf")
        assert whole.lines_read == text.count(b"\n") + (text[-1:] not in (b"", b"\n"))
