"""How fast are templates mined: ours, drain3, tipping, and what polars alone would take.

    python -m benchmarks.templates [--lines N] [--scale-lines N] [--ingest-lines N] [--rounds N]

Takes the messages of the whole of HDFS_2pct and BGL_100k (below LOGANALYZER_DATA), repeats them
with fresh digits up to N lines, and gives the same lines to each miner, in turns, in the same run.
The best of a miner's rounds counts, since other work on the machine disturbs single ones. Every
miner reads messages that are in memory already, in the form it takes them, and says for each line
which template it is. Prints lines per second, and one JSON line of ratios.

- ours: `count_shapes`, `learn` and `identify`, a batch at a time; and with parameters (`match`).
- floor: one `\\d+` replacement and a distinct count in polars.
- drain3 masks block ids, addresses, hexadecimal and other numbers; tipping has its defaults,
  without templates and masks of parameters, which it would take longer for.

First, time per line and peak memory of ours at 1 million and at --scale-lines. Last, ingest as a
whole (`template_ingest.py`) against drain3's mining of the same --ingest-lines, half of them HDFS,
half BGL.
"""

import argparse
import gzip
import json
import resource
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
import polars as pl

from benchmarks.report import default_data, finish
from benchmarks.template_ingest import Corpus, drain3_seconds, ingest_seconds
from benchmarks.template_peers import PEERS, run
from ml.templates import Batch, Catalogue, count_shapes
from ml.templates.digits import Text

SOURCES = {
    "HDFS_2pct": ("hdfs/HDFS_2pct.log.gz", r"^\d{6} \d{6} \d+ \w+ [^:]+: (.*)$"),
    "BGL_100k": ("bgl/BGL_100k.log.gz", r"^(?:\S+ ){9}(.*)$"),
}
BATCH_LINES = 500_000


def read_lines(data: Path, name: str) -> pl.Series:
    path, _ = SOURCES[name]
    with gzip.open(data / path, "rt", encoding="utf-8", errors="replace") as stream:
        return pl.Series("message", stream.read().split("\n")[:-1])


def read_messages(data: Path, name: str) -> pl.Series:
    _, header = SOURCES[name]
    return read_lines(data, name).str.extract(header).fill_null("")


def batches(messages: pl.Series, lines: int) -> Iterator[pl.Series]:
    """The messages again and again, each time with fresh digits, in batches."""
    made = 0
    for seed in range(10**9):
        fresh = messages if not seed else _with_fresh_digits(messages, seed)
        for start in range(0, len(fresh), BATCH_LINES):
            part = fresh.slice(start, min(BATCH_LINES, lines - made))
            made += len(part)
            yield part
            if made == lines:
                return


def _with_fresh_digits(messages: pl.Series, seed: int) -> pl.Series:
    text = Text.of(messages)
    data = text.data.copy()
    digits = np.flatnonzero((data - np.uint8(ord("0"))) < 10)
    fresh = np.random.default_rng(seed).integers(0, 10, len(digits), dtype=np.uint8)
    data[digits] = fresh + np.uint8(ord("0"))
    return Text(data, text.offsets).series()


def joined(parts: Iterator[pl.Series]) -> Iterator[pl.Series]:
    """The same lines in batches of the full size."""
    held: list[pl.Series] = []
    for part in parts:
        held.append(part)
        if sum(map(len, held)) >= BATCH_LINES:
            yield pl.concat(held).rechunk()
            held = []
    if held:
        yield pl.concat(held).rechunk()


def ours(parts: Iterator[pl.Series], *, parameters: bool) -> float:
    """Seconds, without the making of the batches."""
    catalogue = Catalogue.empty("benchmark")

    def mine(messages: pl.Series) -> None:
        nonlocal catalogue
        batch = Batch(messages)
        catalogue = catalogue.learn(count_shapes(batch))
        found = catalogue.match(batch) if parameters else catalogue.identify(batch)
        if len(found) != len(messages):
            raise RuntimeError("a line got lost")

    return _seconds(mine, parts)


def floor(parts: Iterator[pl.Series]) -> float:
    return _seconds(lambda each: each.str.replace_all(r"\d+", "0").n_unique(), parts)


def floor_streaming(parts: Iterator[pl.Series]) -> float:
    """The floor by polars' streaming engine, which uses both cores for one column."""
    collapsed = pl.col("message").str.replace_all(r"\d+", "0")
    return _seconds(
        lambda each: (
            each.alias("message")
            .to_frame()
            .lazy()
            .group_by(collapsed)
            .len()
            .collect(engine="streaming")
        ),
        parts,
    )


def _seconds(work: Callable[[pl.Series], object], parts: Iterator[pl.Series]) -> float:
    seconds = 0.0
    for part in parts:
        started = perf_counter()
        work(part)
        seconds += perf_counter() - started
    return seconds


def _peer_seconds(name: str, parts: Callable[[], Iterator[pl.Series]]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "messages.txt", Path(folder) / "mined.json"
        with source.open("w", encoding="utf-8") as stream:
            for number, part in enumerate(parts()):
                stream.write("\n" * (number > 0) + "\n".join(part.to_list()))
        run(name, source, target, ["--masked"])
        return float(json.loads(target.read_text("utf-8"))["seconds"])


def measure(data: Path, name: str, lines: int, rounds: int) -> dict[str, float]:
    """Lines per second of each miner on this source: the best of several interleaved rounds."""
    messages = read_messages(data, name)

    def parts() -> Iterator[pl.Series]:
        return joined(batches(messages, lines))

    miners: dict[str, Callable[[], float]] = {
        "ours": lambda: ours(parts(), parameters=False),
        "ours with parameters": lambda: ours(parts(), parameters=True),
        "floor": lambda: floor(parts()),
        "floor streaming": lambda: floor_streaming(parts()),
        **{each: partial(_peer_seconds, each, parts) for each in PEERS},
    }
    ours(joined(batches(messages, BATCH_LINES)), parameters=False)  # warms up
    rates: dict[str, float] = dict.fromkeys(miners, 0.0)
    for _ in range(rounds):
        for miner, seconds in miners.items():
            rates[miner] = max(rates[miner], lines / seconds())
    for miner, rate in rates.items():
        print(f"{name:<10} {miner:<22}{rate:>13,.0f} lines/s", flush=True)
    return rates


def measure_scale(data: Path, lines: int) -> None:
    messages = read_messages(data, "HDFS_2pct")
    for count in (1_000_000, lines):
        seconds = ours(joined(batches(messages, count)), parameters=False)
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{count:>12,} lines: {seconds / count * 1e9:.0f} ns a line, peak {peak_mb:.0f} MB")


def measure_ingest(data: Path, lines: int) -> float:
    """How many times faster ingest is than drain3's mining of the same lines."""
    corpora = {
        source: _corpus(data, name, lines // 2)
        for source, name in (("hdfs", "HDFS_2pct"), ("bgl", "BGL_100k"))
    }
    drain3 = drain3_seconds(corpora)
    seconds, steps = ingest_seconds(corpora)
    told = ", ".join(f"{step} {taken:.1f}" for step, taken in steps.items())
    print(f"{lines:>12,} lines: drain3 {drain3:.1f} s, ingest {seconds:.1f} s ({told})", flush=True)
    return drain3 / seconds


def _corpus(data: Path, name: str, count: int) -> Corpus:
    """The lines of a source again and again, each time with fresh digits in the messages."""
    lines, messages = read_lines(data, name), read_messages(data, name)
    texts = pl.DataFrame({"line": lines, "message": messages})
    headers = texts.select(pl.col("line").str.strip_suffix(pl.col("message"))).to_series()
    fresh = pl.concat(batches(messages, count)).alias("message").rechunk()
    repeated = pl.concat([headers] * -(-count // len(headers)))[:count]
    return Corpus(repeated + fresh, fresh)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=default_data(), help="the real logs")
    parser.add_argument("--lines", type=int, default=5_000_000)
    parser.add_argument("--scale-lines", type=int, default=20_000_000)
    parser.add_argument("--ingest-lines", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    measure_scale(options.data, options.scale_lines)
    rates = {name: measure(options.data, name, options.lines, options.rounds) for name in SOURCES}
    for found in rates.values():
        found["floor"] = max(found["floor"], found["floor streaming"])
    ratios = {
        f"ratio_to_{other}": {
            name: round(found["ours"] / found[other], 2) for name, found in rates.items()
        }
        for other in ("drain3", "tipping", "floor")
    }
    ingest = measure_ingest(options.data, options.ingest_lines)
    finish({**ratios, "ingest_ratio_to_drain3": round(ingest, 2)})


if __name__ == "__main__":
    main()
