"""How right are the templates: ours against drain3, one configuration for all systems.

    python -m benchmarks.template_accuracy [--data DIR] [--seed N]

Reads every `<System>/*.log_structured.csv` below DIR (columns `Content`, `EventTemplate` and
`EventId`) and prints a table, then one JSON line. Each system is measured as it is, and digit-free:
each digit inside a true parameter becomes a letter, always the same letter for the same digit. That
leaves nothing to a page of expressions for numbers.

- GA: the share of lines whose group is exactly the true one.
- FGA: the F1 of groups: how many of ours are exactly true ones, and the other way round.
- PA: the share of lines whose template text is the true one, after `normalised`.
"""

import argparse
import random
import re
import string
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from benchmarks.report import default_data, finish
from benchmarks.template_peers import mine_with
from ml.templates import Catalogue, count_shapes

SLOT = "<*>"


@dataclass(frozen=True)
class Accuracy:
    ga: float
    fga: float
    pa: float


Miner = Callable[[list[str]], list[tuple[Hashable, str]]]


def ours(messages: list[str]) -> list[tuple[Hashable, str]]:
    """The template id and text of each message."""
    series = pl.Series("message", messages)
    catalogue = Catalogue.empty("benchmark").learn(count_shapes(series))
    ids = catalogue.match(series)["template_id"]
    return [(template_id, catalogue.text(template_id)) for template_id in ids]


def drain3(messages: list[str]) -> list[tuple[Hashable, str]]:
    mined = mine_with("drain3", messages, keep=True)
    return [
        (number, re.sub(r"<[A-Z*]+>", SLOT, mined.templates[number])) for number in mined.clusters
    ]


MINERS: dict[str, Miner] = {"ours": ours, "drain3": drain3}


def accuracy(
    predicted: Sequence[tuple[Hashable, str]], truth: Sequence[tuple[Hashable, str]]
) -> Accuracy:
    """predicted, truth: group and template text, one a line."""
    groups, true_groups = _lines_by_group(predicted), _lines_by_group(truth)
    right = set(groups.values()) & set(true_groups.values())
    same_text = sum(
        normalised(own) == normalised(true)
        for (_, own), (_, true) in zip(predicted, truth, strict=True)
    )
    return Accuracy(
        ga=sum(len(lines) for lines in right) / len(truth),
        fga=2 * len(right) / (len(groups) + len(true_groups)),
        pa=same_text / len(truth),
    )


def _lines_by_group(labels: Sequence[tuple[Hashable, str]]) -> dict[Hashable, frozenset[int]]:
    lines: dict[Hashable, list[int]] = defaultdict(list)
    for number, (group, _) in enumerate(labels):
        lines[group].append(number)
    return {group: frozenset(members) for group, members in lines.items()}


def normalised(template: str) -> str:
    """A template text in which writing habits make no difference.

    White space is single. Variable parts joined by nothing or by the marks of numbers, addresses
    and lists (`.,:/_-#` and blanks after a comma) count as one, with a sign or unit at its ends.
    """
    text = re.sub(r"\s+", " ", template.strip())
    return re.sub(r"[-/]?<\*>(?:(?:, |[.,:/_#@-]*)<\*>)*", SLOT, text)


def digit_free(content: str, template: str, letters: dict[str, str]) -> str | None:
    """The message with letters for the digits in its true parameters; None if they do not fit."""
    pieces = template.split(SLOT)
    pattern = "(.*?)".join(
        re.sub(r"(\\ )+", r"\\s+", re.escape(piece.strip("\n"))) for piece in pieces
    )
    found = re.fullmatch(rf"\s*{pattern}\s*", content, re.DOTALL)
    if found is None:
        return None
    characters = list(content)
    for group in range(1, len(pieces)):
        for place in range(*found.span(group)):
            characters[place] = letters.get(characters[place], characters[place])
    return "".join(characters)


@dataclass(frozen=True)
class Sample:
    name: str
    messages: list[str]
    truth: list[tuple[Hashable, str]]

    def without_digits(self, seed: int) -> "Sample":
        chosen = random.Random(seed).sample(string.ascii_lowercase, 10)  # noqa: S311, no secret
        letters = dict(zip(string.digits, chosen, strict=True))
        changed = [
            digit_free(message, template, letters)
            for message, (_, template) in zip(self.messages, self.truth, strict=True)
        ]
        kept = [new or old for new, old in zip(changed, self.messages, strict=True)]
        return Sample(self.name, kept, self.truth)


def read_samples(folder: Path) -> list[Sample]:
    """Raises FileNotFoundError when there is no sample below the folder."""
    paths = sorted(folder.glob("*/*.log_structured.csv"))
    if not paths:
        raise FileNotFoundError(f"no <System>/*.log_structured.csv below {folder.resolve()}")
    samples = []
    for path in paths:
        table = pl.read_csv(path, infer_schema=False).fill_null("")
        truth: list[tuple[Hashable, str]] = list(table.select("EventId", "EventTemplate").rows())
        samples.append(Sample(path.parent.name, table["Content"].to_list(), truth))
    return samples


def mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=default_data() / "templates")
    parser.add_argument("--seed", type=int, default=0, help="of the letters of the digit-free text")
    options = parser.parse_args()
    samples = read_samples(options.data)
    results: dict[tuple[str, str], dict[str, Accuracy]] = defaultdict(dict)
    print(
        f"{'system':<12}{'text':<12}"
        + "".join(f"{name + ' GA':>12}{'FGA':>8}{'PA':>8}" for name in MINERS)
    )
    for text in ("as it is", "digit-free"):
        for sample in samples:
            if text == "digit-free":
                sample = sample.without_digits(options.seed)
            for miner, mine in MINERS.items():
                results[miner, text][sample.name] = accuracy(mine(sample.messages), sample.truth)
            _print_row(sample.name, text, [results[miner, text][sample.name] for miner in MINERS])
        means = [_mean(list(results[miner, text].values())) for miner in MINERS]
        _print_row("mean", text, means)
    finish(_summary(results["ours", "as it is"], results["ours", "digit-free"]))


def _print_row(name: str, text: str, values: list[Accuracy]) -> None:
    cells = "".join(f"{each.ga:>12.3f}{each.fga:>8.3f}{each.pa:>8.3f}" for each in values)
    print(f"{name:<12}{text:<12}{cells}", flush=True)


def _mean(values: list[Accuracy]) -> Accuracy:
    return Accuracy(
        mean([each.ga for each in values]),
        mean([each.fga for each in values]),
        mean([each.pa for each in values]),
    )


def _summary(plain: dict[str, Accuracy], free: dict[str, Accuracy]) -> dict[str, object]:
    whole, without = _mean(list(plain.values())), _mean(list(free.values()))
    return {
        "mean_ga": whole.ga,
        "min_ga": round(min(each.ga for each in plain.values()), 4),
        "mean_fga": whole.fga,
        "mean_pa": whole.pa,
        "digit_free": {"mean_ga": without.ga, "mean_fga": without.fga},
        "systems": {
            name: {"ga": round(each.ga, 4), "fga": round(each.fga, 4), "pa": round(each.pa, 4)}
            for name, each in plain.items()
        },
    }


if __name__ == "__main__":
    main()
