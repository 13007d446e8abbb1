"""Every line of the real logs is accounted for."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Parse = Callable[..., Any]

BLOCK_SESSIONS = {
    "kind": "session",
    "key": r"(blk_-?\d+)",
    "idle_timeout": "1d",
    "longest_span": "3d",
}


def test_every_line_of_hdfs_is_an_event_of_a_session(data_dir: Path, parse: Parse) -> None:
    data = (data_dir / "hdfs" / "HDFS_2pct.log.gz").read_bytes()
    found = parse(data, "hdfs", chunk_lines=100_000, windowing=BLOCK_SESSIONS)
    assert (found.lines_read, len(found.events), len(found.quarantined)) == (222_579, 222_579, 0)
    assert found.events["session_key"].null_count() == 0
    assert found.events["session_key"].n_unique() == 11_501
    first, last = found.events["event_time"].min(), found.events["event_time"].max()
    assert [f"{first:%F %T}", f"{last:%F %T}"] == ["2008-11-09 20:35:30", "2008-11-11 11:12:00"]


def test_every_line_of_bgl_is_an_event_without_its_label(data_dir: Path, parse: Parse) -> None:
    data = (data_dir / "bgl" / "BGL_100k.log.gz").read_bytes()
    found = parse(data, "bgl", chunk_lines=33_333)
    assert (found.lines_read, len(found.events), len(found.quarantined)) == (100_000, 100_000, 0)
    assert found.events.select("host", "component", "severity").null_count().row(0) == (0, 0, 0)
    labels = {line.split(b" ", 1)[0].decode() for line in gzip.decompress(data).splitlines()}
    alerts = labels - {"-"}
    assert alerts, "the file holds alerts"
    for column in ("host", "component", "severity"):
        assert alerts.isdisjoint(found.events[column].unique())
    assert not found.events["message"].str.contains_any([f"{alert} 11" for alert in alerts]).any()


@pytest.mark.parametrize("chunk_lines", [1777, 50_000])
def test_the_size_of_chunks_changes_nothing(chunk_lines: int, data_dir: Path, parse: Parse) -> None:
    data = (data_dir / "templates" / "Mac" / "Mac_2k.log").read_bytes()
    whole = parse(data, "syslog_rfc3164")
    cut = parse(data, "syslog_rfc3164", chunk_lines=chunk_lines, read_bytes=5000)
    assert cut.events.equals(whole.events)
    assert cut.quarantined.equals(whole.quarantined)
