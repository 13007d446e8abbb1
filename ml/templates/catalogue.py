"""The catalogue: all templates of a source, as a value that only ever grows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Self

import polars as pl

from ml.templates.masking import SLOT, mask_pattern

FRAME_SCHEMA = {
    "template_id": pl.String,
    "text": pl.String,
    "body": pl.String,
    "replaced_by": pl.String,
    "version": pl.Int64,
}


@dataclass(frozen=True, slots=True)
class Catalogue:
    """bodies: template id to the template, with `SLOT` for each variable part."""

    source: str
    masks: tuple[str, ...]
    bodies: dict[str, str]

    @classmethod
    def empty(cls, source: str, masks: Sequence[str] = ()) -> Self:
        return cls(source, tuple(masks), {})

    def __len__(self) -> int:
        return len(self.bodies)

    def learn(self, shapes: pl.DataFrame) -> Self:
        """The catalogue with the templates of these shapes (`count_shapes`) added."""
        found = {template_id_of(self.source, shape): shape for shape in shapes["shape"]}
        return replace(self, bodies={**self.bodies, **found})

    def match(self, messages: pl.Series) -> pl.DataFrame:
        """`template_id` and `parameters` for each message; the id is null where none matches."""
        pattern = mask_pattern(self.masks)
        known = pl.DataFrame(
            {"shape": list(self.bodies.values()), "template_id": list(self.bodies)},
            schema={"shape": pl.String, "template_id": pl.String},
        )
        return (
            pl.DataFrame({"message": messages})
            .with_columns(shape=pl.col("message").str.replace_all(pattern, SLOT))
            .join(known, on="shape", how="left", maintain_order="left")
            .select("template_id", parameters=pl.col("message").str.extract_all(pattern))
        )

    def text(self, template_id: str) -> str:
        """For people: each variable part as `<*>`."""
        return self.bodies[template_id].replace(SLOT, "<*>")

    def render(self, template_id: str, parameters: Sequence[str]) -> str:
        """The message, exactly as it was. Raises ValueError for a wrong number of parameters."""
        constants = self.bodies[template_id].split(SLOT)
        if len(parameters) != len(constants) - 1:
            raise ValueError(
                f"template {template_id} has {len(constants) - 1} variable parts, "
                f"got {len(parameters)}"
            )
        pairs = zip(constants, [*parameters, ""], strict=True)
        return "".join(part for pair in pairs for part in pair)

    def to_frame(self) -> pl.DataFrame:
        """One row a template, in the order of the ids; `from_frame` reads it back."""
        rows = [(key, self.text(key), body, None, 1) for key, body in sorted(self.bodies.items())]
        return pl.DataFrame(rows, schema=FRAME_SCHEMA, orient="row")

    @classmethod
    def from_frame(cls, source: str, masks: Sequence[str], frame: pl.DataFrame) -> Self:
        bodies = dict(frame.select("template_id", "body").rows())
        return cls(source, tuple(masks), bodies)


def template_id_of(source: str, first_body: str) -> str:
    """Twelve hexadecimal digits that follow from the source and the template as first seen."""
    return sha256(f"{source}\n{first_body}".encode()).hexdigest()[:12]
