"""What is proposed for logs that nobody has described."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from include.sources import InvalidSource, SessionWindowing, TimeWindowing, dump_source
from include.sources.detect import propose_source, source_name

# system: its format, and the least share of lines that must parse
SYSTEMS = {
    "Android": ("an expression of its own", 1),
    "Apache": ("an expression of its own", 1),
    "BGL": ("bgl", 1),
    "HDFS": ("hdfs", 1),
    "Hadoop": ("log4j", 1),
    # The rest has times whose milliseconds are not filled with zeros.
    "HealthApp": ("an expression of its own", 0.96),
    "Linux": ("syslog_rfc3164", 0.999),
    "Mac": ("syslog_rfc3164", 1),
    "OpenStack": ("an expression of its own", 1),
    "Spark": ("log4j", 1),
}


@pytest.mark.parametrize("system", SYSTEMS)
def test_real_samples(system: str, data_dir: Path) -> None:
    format_name, least_share = SYSTEMS[system]
    found = propose_source(data_dir / "templates" / system / f"{system}_2k.log")
    assert found.format_name == format_name
    assert found.share_parsed >= least_share


@pytest.mark.parametrize("system", ["Android", "Apache", "OpenStack"])
def test_levels_are_found_where_no_preset_fits(system: str, data_dir: Path) -> None:
    path = data_dir / "templates" / system / f"{system}_2k.log"
    pattern = propose_source(path).source.line_format.pattern
    lines = path.read_text().splitlines()
    found = [re.match(pattern, line) for line in lines]
    assert sum(bool(match and match["severity"]) for match in found) >= 0.99 * len(lines)


def test_sessions_are_seen_in_hdfs(data_dir: Path) -> None:
    found = propose_source(data_dir / "hdfs" / "HDFS_2pct.log.gz", "hdfs")
    windowing = found.source.windowing
    assert isinstance(windowing, SessionWindowing)
    assert windowing.idle_timeout.total_seconds() > 3600, "half of the sessions pause that long"


def test_bgl_has_no_sessions(data_dir: Path) -> None:
    found = propose_source(data_dir / "bgl" / "BGL_100k.log.gz", "bgl")
    assert isinstance(found.source.windowing, TimeWindowing)


def sample(path: Path, line: str, count: int = 60) -> Path:
    """A log of `count` lines in which `{n}` is the line's number and `{key}` changes every ten."""
    text = "".join(f"{line.format(n=n, s=n % 60, key=f'{n // 10:08x}')}\n" for n in range(count))
    path.write_bytes(gzip.compress(text.encode()))
    return path


@pytest.mark.parametrize(
    ("line", "preset"),
    [
        ('{{"ts": 17000000{s:02}, "msg": "x {n}"}}', "json"),
        ("2024-03-01T10:00:{s:02}Z stdout F x {n}", "kubernetes_cri"),
        ("<34>1 2024-03-01T10:00:{s:02}Z host app - - - x {n}", "syslog_rfc5424"),
        ('1.2.3.4 - - [01/Mar/2024:10:00:{s:02} +0000] "GET /{n}" 200 1 "-" "-"', "nginx_access"),
        ('1.2.3.4 - - [01/Mar/2024:10:00:{s:02} +0000] "GET /{n}" 200 1', "apache_access"),
        ("2024-03-01 10:00:{s:02},123 - shop - INFO - x {n}", "python"),
        ("2024-03-01 10:00:{s:02},123 [main] INFO  a.b.C - x {n}", "log4j"),
        ("Mar  1 10:00:{s:02} host cron[{n}]: x", "syslog_rfc3164"),
    ],
)
def test_presets_are_told_apart(line: str, preset: str, tmp_path: Path) -> None:
    found = propose_source(sample(tmp_path / "x.log", line))
    assert (found.format_name, found.share_parsed) == (preset, 1)


@pytest.mark.parametrize("token", ["request_{key}", "req={key}", "trace-id: {key}"])
def test_a_token_that_groups_lines_becomes_the_session_key(token: str, tmp_path: Path) -> None:
    path = sample(tmp_path / "x.log", f"2024-03-01 10:00:{{s:02}} INFO a.b: step {{n}} {token}")
    windowing = propose_source(path).source.windowing
    assert isinstance(windowing, SessionWindowing)


def test_a_token_of_one_line_each_is_no_session(tmp_path: Path) -> None:
    path = sample(tmp_path / "x.log", "2024-03-01 10:00:{s:02} INFO a.b: req={n:08x}")
    assert isinstance(propose_source(path).source.windowing, TimeWindowing)


def test_a_proposal_can_be_written_down(tmp_path: Path) -> None:
    found = propose_source(sample(tmp_path / "7-my app.log.gz", "2024/03/01 10:00:{s:02} x {n}"))
    assert found.source.name == "logs_7_my_app"
    assert "%Y/%m/%d %H:%M:%S" in dump_source(found.source)


def test_a_named_preset_is_taken_as_it_is(tmp_path: Path) -> None:
    path = sample(tmp_path / "x.log", "2024-03-01 10:00:{s:02} INFO a.b: x")
    assert propose_source(path, preset="python").source.format == "python"
    with pytest.raises(InvalidSource, match="no format 'perl'; there are: apache_access, "):
        propose_source(path, preset="perl")


@pytest.mark.parametrize(("text", "told"), [("", "holds no lines"), ("a\nb\n", "no known format")])
def test_what_cannot_be_read_is_said(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_text(text)
    with pytest.raises(InvalidSource, match=told):
        propose_source(path)


@pytest.mark.parametrize(
    ("file", "name"), [("App-1.log.gz", "app_1"), ("2024.log", "logs_2024"), ("_.log", "logs")]
)
def test_names_are_made_of_file_names(file: str, name: str) -> None:
    assert source_name(Path(file)) == name
