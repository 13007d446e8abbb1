"""The catalogue: all templates of a source, as a value that only ever grows."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from typing import Self

import numpy as np
import polars as pl

from ml.templates.batch import Batch
from ml.templates.digits import in_slices
from ml.templates.masking import LIST, SLOT, mask_pattern, shapes_of
from ml.templates.mining import mine
from ml.templates.parameters import Cuts, cut, spread
from ml.templates.patterns import PatternIndex, parts
from ml.templates.types import common_type, type_of

FRAME_SCHEMA = {
    "template_id": pl.String,
    "text": pl.String,
    "body": pl.String,
    "name": pl.String,
    "replaced_by": pl.String,
    "version": pl.Int64,
}
FLAGS = ("is_alias", "is_pinned", "is_retired")
MATCH_SCHEMA = pl.Schema([("template_id", pl.String()), ("parameters", pl.List(pl.String))])
# How many shapes of a template are looked at to tell the types of its parameters.
EXAMPLES_OF_A_TYPE = 20


@dataclass(frozen=True)
class Template:
    """forms: the pattern as it was at first and after each widening, the newest last.

    No two forms have the same number of parameters, so events of every age render exactly.
    parameter_types: of the newest form. round: the learning in which that form was found.
    replaced_by: what it was merged into. is_alias: people have merged it: other than one that
        mining has merged it still matches and renders its lines.
    name, is_pinned, is_retired: what people have said of it, see `edits`.
    """

    template_id: str
    forms: tuple[str, ...]
    parameter_types: tuple[str, ...]
    round: int
    replaced_by: str | None = None
    is_alias: bool = False
    name: str | None = None
    is_pinned: bool = False
    is_retired: bool = False

    @property
    def pattern(self) -> str:
        return self.forms[-1]

    @property
    def text(self) -> str:
        """For people: each parameter as `<*>`."""
        return self.pattern.replace(SLOT, "<*>")

    @property
    def matches(self) -> bool:
        return self.replaced_by is None or self.is_alias

    @property
    def is_mined(self) -> bool:
        """Whether mining may widen it or merge it."""
        return self.replaced_by is None and not self.is_pinned

    def can_become(self, pattern: str) -> bool:
        return all(form.count(SLOT) != pattern.count(SLOT) for form in self.forms)

    def widened(self, pattern: str, round_number: int) -> Self:
        return replace(self, forms=(*self.forms, pattern), round=round_number)

    def render(self, parameters: Sequence[str]) -> str:
        for form in self.forms:
            if form.count(SLOT) == len(parameters):
                pieces = form.split(SLOT)
                pairs = zip(pieces, [*parameters, ""], strict=True)
                return "".join(part for pair in pairs for part in pair)
        raise ValueError(
            f"template {self.template_id} never had {len(parameters)} parameters; its text is "
            f"{self.text!r}"
        )


@dataclass(frozen=True)
class Catalogue:
    """templates: by id, those that were replaced too. masks: as given to `count_shapes`."""

    source: str
    masks: tuple[str, ...]
    templates: dict[str, Template]

    @classmethod
    def empty(cls, source: str, masks: Sequence[str] = ()) -> Self:
        return cls(source, tuple(masks), {})

    def __len__(self) -> int:
        return len(self.templates)

    def learn(self, shapes: pl.DataFrame) -> Self:
        """The catalogue with the templates of these shapes (`count_shapes`) added.

        Shapes that a template fits already are not mined again. The others are, together with
        the templates: these may be widened, which keeps their id, or merged, which leaves a
        redirect from all but the oldest. What people have pinned or merged stays as it is, and
        what they have retired is taken back when it comes again.
        """
        found = [self._index.find(shape) for shape in shapes["shape"]]
        back = self._taken_back({pattern for pattern in found if pattern is not None})
        unknown = [
            shape for shape, pattern in zip(shapes["shape"], found, strict=True) if pattern is None
        ]
        return back._mined(shapes, unknown) if unknown else back

    def _taken_back(self, patterns: set[str]) -> Self:
        again = {
            each.template_id: replace(each, is_retired=False)
            for each in self._live
            if each.is_retired and each.pattern in patterns
        }
        return replace(self, templates=self.templates | again) if again else self

    def _mined(self, shapes: pl.DataFrame, unknown: list[str]) -> Self:
        live = {each.pattern: each for each in self._live if each.is_mined}
        mined = mine({*unknown, *live})
        found: dict[str, list[Template]] = defaultdict(list)
        for shape, pattern in mined.items():
            found[pattern] += [live[shape]] if shape in live else []
        examples = (
            shapes.filter(pl.col("shape").is_in(unknown))
            .with_columns(pattern=pl.col("shape").replace_strict(mined, return_dtype=pl.String))
            .sort("shape")
            .group_by("pattern", maintain_order=True)
            .head(EXAMPLES_OF_A_TYPE)
        )
        return replace(self, templates=self._renewed(found))._with_types(examples["example"])

    def match(self, messages: pl.Series | Batch) -> pl.DataFrame:
        """`template_id` and `parameters` for each message; both null where none matches."""
        batch = Batch.of(messages)
        if not len(batch.known):
            return batch.on_every_row(pl.DataFrame(schema=MATCH_SCHEMA))
        texts = batch.distinct["collapsed"]
        ids, cuts = self._cuts(texts)
        numbered = pl.DataFrame({"collapsed": texts, "row": np.arange(len(texts))})
        rows = _looked_up(batch.collapsed, numbered).to_numpy()
        parameters = in_slices(
            lambda part, start: cut(part, rows[start : start + len(part)], cuts),
            batch.known,
            batch.threads,
        )
        matched = pl.DataFrame(
            {"template_id": ids.gather(rows), "parameters": pl.concat(parameters, rechunk=False)}
        ).with_columns(pl.when(pl.col("template_id").is_not_null()).then(pl.col("parameters")))
        return batch.on_every_row(matched)

    def identify(self, messages: pl.Series | Batch) -> pl.Series:
        """`template_id` for each message, null where none matches: `match` without parameters."""
        batch = Batch.of(messages)
        shapes = batch.distinct.select(
            "collapsed", shape=shapes_of(pl.col("collapsed"), self.masks)
        )
        table = shapes.join(self._table(shapes["shape"].unique()), on="shape")
        ids = _looked_up(batch.collapsed, table.select("collapsed", "template_id"))
        return batch.on_every_row(ids.to_frame())["template_id"]

    def resolve(self, template_id: str) -> str:
        """The id that a template goes by today: its own, or that of the one it was merged into."""
        replaced_by = self.templates[template_id].replaced_by
        return template_id if replaced_by is None else self.resolve(replaced_by)

    def text(self, template_id: str) -> str:
        """For people: each parameter as `<*>`."""
        return self.templates[template_id].text

    def render(self, template_id: str, parameters: Sequence[str]) -> str:
        """The message, exactly as it was. Raises ValueError for a wrong number of parameters."""
        return self.templates[template_id].render(parameters)

    def to_frame(self) -> pl.DataFrame:
        """One row a template, in the order of the ids; `from_frame` reads it back."""
        rows = [
            (
                key,
                each.text.replace("\0", "␀"),
                _body(each),
                each.name,
                each.replaced_by,
                len(each.forms),
            )
            for key, each in sorted(self.templates.items())
        ]
        return pl.DataFrame(rows, schema=FRAME_SCHEMA, orient="row")

    @classmethod
    def from_frame(cls, source: str, masks: Sequence[str], frame: pl.DataFrame) -> Self:
        templates = {
            template_id: _template(template_id, body, name, replaced_by)
            for template_id, body, name, replaced_by in frame.select(
                "template_id", "body", "name", "replaced_by"
            ).iter_rows()
        }
        return cls(source, tuple(masks), templates)

    @cached_property
    def _live(self) -> list[Template]:
        """The templates that match, in the order in which they do: old and narrow ones first."""
        return sorted(
            (each for each in self.templates.values() if each.matches),
            key=lambda each: (each.round, each.pattern.count(SLOT), each.pattern),
        )

    @cached_property
    def _index(self) -> PatternIndex:
        return PatternIndex.of(each.pattern for each in self._live)

    def _renewed(self, found: dict[str, list[Template]]) -> dict[str, Template]:
        """The templates after a round. found: which of them each mined pattern takes in."""
        this_round = 1 + max((each.round for each in self.templates.values()), default=0)
        templates = dict(self.templates)
        fixed = {each.pattern for each in self._live if not each.is_mined}
        for pattern, members in sorted(found.items()):
            if pattern in fixed:
                continue
            oldest_first = sorted(members, key=lambda each: (each.round, each.template_id))
            survivor = next(
                (
                    each
                    for each in oldest_first
                    if each.pattern == pattern or each.can_become(pattern)
                ),
                None,
            )
            if survivor is None:
                survivor = self.new_template(pattern, this_round)
            elif survivor.pattern != pattern:
                survivor = survivor.widened(pattern, this_round)
            templates[survivor.template_id] = survivor
            for each in members:
                if each.template_id != survivor.template_id:
                    templates[each.template_id] = replace(each, replaced_by=survivor.template_id)
        return templates

    def new_template(self, pattern: str, round_number: int) -> Template:
        """One with an id that no other has had; not yet in the catalogue."""
        salt = 0
        while (template_id := template_id_of(self.source, pattern, salt)) in self.templates:
            salt += 1
        return Template(template_id, (pattern,), (), round_number)

    def _with_types(self, examples: pl.Series) -> Self:
        """The catalogue with the parameter types that these messages show."""
        types: dict[str, list[set[str]]] = {}
        for template_id, parameters in self.match(examples).iter_rows():
            own = types.setdefault(template_id, [set() for _ in parameters])
            for known, value in zip(own, parameters, strict=True):
                known.add(type_of(value))
        templates = dict(self.templates)
        for template_id, found in types.items():
            template = templates[template_id]
            before = template.parameter_types
            if len(before) == len(found):
                found = [{*new, old} for new, old in zip(found, before, strict=True)]
            typed = tuple(map(common_type, found))
            templates[template_id] = replace(template, parameter_types=typed)
        return replace(self, templates=templates)

    def _table(self, shapes: pl.Series) -> pl.DataFrame:
        """For each distinct shape: its template, the parts of it in slots, and what is between."""
        patterns = [self._index.find(shape) for shape in shapes]
        ids = {each.pattern: each.template_id for each in self._live}
        pairs = [(found or shape, shape) for found, shape in zip(patterns, shapes, strict=True)]
        return pl.DataFrame(
            {
                "shape": shapes,
                "template_id": [None if found is None else ids[found] for found in patterns],
                "words": [parts(pattern, shape) for pattern, shape in pairs],
                "constants": [
                    [len(piece.encode()) for piece in pattern.split(SLOT)[:-1]]
                    for pattern, _ in pairs
                ],
            },
            schema={
                "shape": pl.String,
                "template_id": pl.String,
                "words": pl.List(pl.String),
                "constants": pl.List(pl.Int64),
            },
        )

    def _cuts(self, collapsed: pl.Series) -> tuple[pl.Series, Cuts]:
        """The template of each collapsed text, null for none, and where its parameters lie."""
        pattern = mask_pattern(self.masks)
        steps = collapsed.to_frame("collapsed").select(
            masked=pl.col("collapsed").str.replace_all(pattern, SLOT),
            values=pl.col("collapsed").str.extract_all(pattern),
        )
        steps = steps.with_columns(
            shape=pl.col("masked").str.replace_all(LIST, SLOT),
            lists=pl.col("masked").str.extract_all(LIST),
        )
        table = self._table(steps["shape"].unique())
        steps = steps.join(table, on="shape", how="left", maintain_order="left")
        values = _flat(steps["values"])
        lengths = values.str.len_bytes().cast(pl.Int64).to_numpy()
        numbers = values.str.count_matches("0", literal=True).cast(pl.Int64).to_numpy()
        for step in ("lists", "words"):
            lengths, numbers = spread(_flat(steps[step]), SLOT, lengths, numbers)
        per_text = steps["words"].list.len().cast(pl.Int64).to_numpy()
        offsets = np.concatenate(([0], np.cumsum(per_text)))
        constants = _flat(steps["constants"]).to_numpy()
        return steps["template_id"], Cuts(offsets, lengths, numbers, constants)


def template_id_of(source: str, first_pattern: str, salt: int = 0) -> str:
    """Twelve hexadecimal digits that follow from the source and the template as first seen.

    salt: which try this is, where a template that was widened since has the id already.
    """
    written = f"{source}\n{first_pattern}" + "\n" * salt
    return sha256(written.encode()).hexdigest()[:12]


def _body(template: Template) -> str:
    forms = [form.split(SLOT) for form in template.forms]
    said = {flag: True for flag in FLAGS if getattr(template, flag)}
    mined = {"forms": forms, "types": template.parameter_types, "round": template.round}
    return json.dumps(mined | said)


def _template(template_id: str, body: str, name: str | None, replaced_by: str | None) -> Template:
    read = json.loads(body)
    return Template(
        template_id,
        forms=tuple(SLOT.join(pieces) for pieces in read["forms"]),
        parameter_types=tuple(read["types"]),
        round=read["round"],
        replaced_by=replaced_by,
        name=name,
        **{flag: read.get(flag, False) for flag in FLAGS},
    )


def _looked_up(collapsed: pl.Series, table: pl.DataFrame) -> pl.Series:
    """The second column of a table for each text; the first holds the distinct texts."""
    key, value = table.columns
    return collapsed.to_frame(key).join(table, on=key, how="left", maintain_order="left")[value]


def _flat(lists: pl.Series) -> pl.Series:
    return lists.filter(lists.list.len() > 0).explode()
