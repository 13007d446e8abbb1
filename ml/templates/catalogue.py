"""The catalogue: all templates of a source, as a value that only ever grows."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Self

import numpy as np
import polars as pl

from ml.templates.digits import collapse, in_slices
from ml.templates.masking import LIST, SLOT, mask_pattern
from ml.templates.mining import mine
from ml.templates.parameters import Cuts, cut, spread
from ml.templates.patterns import PatternIndex, parts

FRAME_SCHEMA = {
    "template_id": pl.String,
    "text": pl.String,
    "body": pl.String,
    "replaced_by": pl.String,
    "version": pl.Int64,
}
MATCH_SCHEMA = {"template_id": pl.String, "parameters": pl.List(pl.String)}


@dataclass(frozen=True, slots=True)
class Template:
    """forms: the pattern as it was at first and after each widening, the newest last."""

    template_id: str
    forms: tuple[str, ...]
    round: int
    replaced_by: str | None = None

    @property
    def pattern(self) -> str:
        return self.forms[-1]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """templates: by id. masks: those that the shapes were counted with."""

    source: str
    masks: tuple[str, ...]
    templates: dict[str, Template]

    @classmethod
    def empty(cls, source: str, masks: Sequence[str] = ()) -> Self:
        return cls(source, tuple(masks), {})

    def __len__(self) -> int:
        return len(self.templates)

    def learn(self, shapes: pl.DataFrame) -> Self:
        """The catalogue with the templates of these shapes (`count_shapes`) added."""
        index = self._index()
        unknown = [shape for shape in shapes["shape"] if index.find(shape) is None]
        if not unknown:
            return self
        live = {each.pattern: each for each in self._live()}
        mined = mine({*unknown, *live})
        number = 1 + max((each.round for each in self.templates.values()), default=0)
        templates = dict(self.templates)
        members: dict[str, list[Template]] = {pattern: [] for pattern in mined.values()}
        for pattern, template in live.items():
            members[mined[pattern]].append(template)
        for pattern, old in sorted(members.items()):
            if not old:
                template = Template(template_id_of(self.source, pattern), (pattern,), number)
            else:
                old = sorted(old, key=lambda each: (each.round, each.template_id))
                template = old[0]
                if template.pattern != pattern:
                    template = replace(template, forms=(*template.forms, pattern), round=number)
                for other in old[1:]:
                    templates[other.template_id] = replace(other, replaced_by=template.template_id)
            templates[template.template_id] = template
        return replace(self, templates=templates)

    def match(self, messages: pl.Series) -> pl.DataFrame:
        """`template_id` and `parameters` for each message; both null where none matches."""
        known = messages.is_not_null()
        if not known.all():
            found = self.match(messages.filter(known))
            places = pl.DataFrame({"place": known.arg_true()}).hstack(found)
            rows = pl.DataFrame({"place": pl.int_range(len(messages), eager=True)})
            return rows.join(
                places.cast({"place": pl.Int64}), on="place", how="left", maintain_order="left"
            ).drop("place")
        if not len(messages):
            return pl.DataFrame(schema=MATCH_SCHEMA)
        collapsed = collapse(messages).alias("collapsed").to_frame()
        texts = collapsed.unique().with_row_index("row")
        rows = (
            collapsed.join(texts, on="collapsed", how="left", maintain_order="left")["row"]
            .cast(pl.Int64)
            .to_numpy()
        )
        ids, cuts = self._resolve(texts["collapsed"])
        template_ids = ids.gather(rows)
        parameters = pl.concat(
            in_slices(
                lambda part, start: cut(part, rows[start : start + len(part)], cuts), messages
            ),
            rechunk=False,
        )
        return pl.DataFrame({"template_id": template_ids, "parameters": parameters}).with_columns(
            pl.when(pl.col("template_id").is_not_null()).then(pl.col("parameters"))
        )

    def _resolve(self, collapsed: pl.Series) -> tuple[pl.Series, Cuts]:
        """The template of each collapsed text, null for none, and where its parameters lie."""
        steps = collapsed.to_frame("collapsed").select(
            masked=pl.col("collapsed").str.replace_all(mask_pattern(self.masks), SLOT),
            values=pl.col("collapsed").str.extract_all(mask_pattern(self.masks)),
        )
        steps = steps.with_columns(
            shape=pl.col("masked").str.replace_all(LIST, SLOT),
            lists=pl.col("masked").str.extract_all(LIST),
        )
        index = self._index()
        ids_by_pattern = {each.pattern: each.template_id for each in self._live()}
        shapes = steps["shape"].unique()
        patterns = [index.find(shape) for shape in shapes]
        table = pl.DataFrame(
            {
                "shape": shapes,
                "template_id": [
                    ids_by_pattern[pattern] if pattern is not None else None for pattern in patterns
                ],
                "words": [
                    parts(pattern or shape, shape)
                    for pattern, shape in zip(patterns, shapes, strict=True)
                ],
                "constants": [
                    [len(piece.encode()) for piece in (pattern or shape).split(SLOT)[:-1]]
                    for pattern, shape in zip(patterns, shapes, strict=True)
                ],
            },
            schema_overrides={
                "template_id": pl.String,
                "words": pl.List(pl.String),
                "constants": pl.List(pl.Int64),
            },
        )
        steps = steps.join(table, on="shape", how="left", maintain_order="left")
        values = _flat(steps["values"])
        sizes = values.str.len_bytes().cast(pl.Int64).to_numpy()
        counts = values.str.count_matches("0", literal=True).cast(pl.Int64).to_numpy()
        sizes, counts = spread(_flat(steps["lists"]), SLOT, sizes, counts)
        sizes, counts = spread(_flat(steps["words"]), SLOT, sizes, counts)
        per_text = steps["words"].list.len().cast(pl.Int64).to_numpy()
        offsets = np.concatenate(([0], np.cumsum(per_text)))
        constants = _flat(steps["constants"]).cast(pl.Int64).to_numpy()
        return steps["template_id"], Cuts(offsets, sizes, counts, constants)

    def text(self, template_id: str) -> str:
        """For people: each variable part as `<*>`."""
        return self.templates[template_id].pattern.replace(SLOT, "<*>")

    def render(self, template_id: str, parameters: Sequence[str]) -> str:
        """The message, exactly as it was. Raises ValueError for a wrong number of parameters."""
        for form in self.templates[template_id].forms:
            constants = form.split(SLOT)
            if len(parameters) == len(constants) - 1:
                pairs = zip(constants, [*parameters, ""], strict=True)
                return "".join(part for pair in pairs for part in pair)
        raise ValueError(
            f"template {template_id} has no form with {len(parameters)} variable parts"
        )

    def to_frame(self) -> pl.DataFrame:
        """One row a template, in the order of the ids; `from_frame` reads it back."""
        rows = [
            (
                key,
                self.text(key).replace("\0", "␀"),
                json.dumps(
                    {"round": each.round, "forms": [form.split(SLOT) for form in each.forms]}
                ),
                each.replaced_by,
                len(each.forms),
            )
            for key, each in sorted(self.templates.items())
        ]
        return pl.DataFrame(rows, schema=FRAME_SCHEMA, orient="row")

    @classmethod
    def from_frame(cls, source: str, masks: Sequence[str], frame: pl.DataFrame) -> Self:
        templates = {}
        for row in frame.iter_rows(named=True):
            body = json.loads(row["body"])
            forms = tuple(SLOT.join(pieces) for pieces in body["forms"])
            templates[row["template_id"]] = Template(
                row["template_id"], forms, body["round"], row["replaced_by"]
            )
        return cls(source, tuple(masks), templates)

    def _live(self) -> list[Template]:
        return [each for each in self.templates.values() if each.replaced_by is None]

    def _index(self) -> PatternIndex:
        index = PatternIndex()
        for each in sorted(
            self._live(), key=lambda each: (each.round, each.pattern.count(SLOT), each.pattern)
        ):
            index.add(each.pattern)
        return index


def template_id_of(source: str, first_pattern: str) -> str:
    """Twelve hexadecimal digits that follow from the source and the template as first seen."""
    return sha256(f"{source}\n{first_pattern}".encode()).hexdigest()[:12]


def _flat(lists: pl.Series) -> pl.Series:
    return lists.filter(lists.list.len() > 0).explode()
