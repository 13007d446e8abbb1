"""What people change in a catalogue by hand. All of it survives every later learning.

Each function returns a changed catalogue and raises InvalidEdit, which says why, where that cannot
be: an unknown id, or one that mining has merged away.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import polars as pl

from ml.templates.catalogue import Catalogue, Template
from ml.templates.masking import SLOT
from ml.templates.patterns import filled, skeleton_of, words_of
from ml.templates.shapes import count_shapes

Kind = Literal[
    "created", "widened", "merged", "restored", "renamed", "split", "pinned", "unpinned", "retired"
]


class InvalidEdit(ValueError):
    """An edit that cannot be made."""


@dataclass(frozen=True, slots=True)
class Change:
    """One step in the life of a template. before, after: its text, or for `renamed` its name;
    None where there is none. merged_into: of `merged` only."""

    template_id: str
    kind: Kind
    before: str | None
    after: str | None
    merged_into: str | None = None


def rename(catalogue: Catalogue, template_id: str, name: str) -> Catalogue:
    """Give a template a name for people, or take it away with an empty one."""
    return _with(catalogue, replace(_editable(catalogue, template_id), name=name or None))


def pin(catalogue: Catalogue, template_id: str) -> Catalogue:
    """Keep mining from ever widening or merging a template."""
    return _with(catalogue, replace(_editable(catalogue, template_id), is_pinned=True))


def unpin(catalogue: Catalogue, template_id: str) -> Catalogue:
    return _with(catalogue, replace(_editable(catalogue, template_id), is_pinned=False))


def retire(catalogue: Catalogue, template_id: str) -> Catalogue:
    """Say that a template is not expected any more; `learn` takes it back when it comes again."""
    return _with(catalogue, replace(_editable(catalogue, template_id), is_retired=True))


def merge(catalogue: Catalogue, template_id: str, into: str) -> Catalogue:
    """Let two templates count as one, `into`.

    The one merged away still finds and renders its own lines, since another text could not; what
    reads events resolves its id.
    """
    template, survivor = _editable(catalogue, template_id), _editable(catalogue, into)
    if template_id == survivor.template_id:
        raise InvalidEdit(f"{template_id} cannot be merged into itself")
    return _with(catalogue, replace(template, replaced_by=into, is_alias=True))


def restore(catalogue: Catalogue, template_id: str) -> Catalogue:
    """Take back that a template was retired, or merged by hand."""
    template = _known(catalogue, template_id)
    if template.replaced_by and not template.is_alias:
        raise InvalidEdit(f"{template_id} was merged by mining, not by hand: that stays")
    return _with(catalogue, replace(template, replaced_by=None, is_alias=False, is_retired=False))


def split(
    catalogue: Catalogue, template_id: str, parameter: int, values: Sequence[str]
) -> Catalogue:
    """Give lines with these words in the place of one parameter templates of their own, pinned.

    parameter: counted from one, as in the newest text. All other lines stay with the template. A
    value must be one word that no mask takes for variable: templates never see the others.
    """
    template = _editable(catalogue, template_id)
    place = _word_of_parameter(template, parameter)
    words = words_of(template.pattern)
    for value in values:
        if words_of(value) != [value] or _shape(value, catalogue.masks) != value:
            raise InvalidEdit(
                f"{value!r} is masked or more than one word: templates do not tell these apart"
            )
        narrow = filled(skeleton_of(template.pattern), [*words[:place], value, *words[place + 1 :]])
        taken = [
            each.template_id
            for each in catalogue.templates.values()
            if each.matches and each.pattern == narrow
        ]
        if taken:
            raise InvalidEdit(f"the lines with {value!r} have a template already: {taken[0]}")
        types = template.parameter_types
        own = replace(
            catalogue.new_template(narrow, template.round),
            parameter_types=types[: parameter - 1] + types[parameter:],
            is_pinned=True,
        )
        catalogue = _with(catalogue, own)
    return catalogue


def changes_between(before: Catalogue, after: Catalogue) -> list[Change]:
    """What happened to each template, in the order of the ids."""
    changes = []
    for template_id, now in sorted(after.templates.items()):
        was = before.templates.get(template_id)
        if was is None:
            kind: Kind = "split" if now.is_pinned else "created"
            changes.append(Change(template_id, kind, None, now.text))
        elif was != now:
            changes += _steps(was, now)
    return changes


def _steps(was: Template, now: Template) -> list[Change]:
    told: tuple[tuple[bool, Kind, str | None, str | None], ...] = (
        (was.forms != now.forms, "widened", was.text, now.text),
        (was.name != now.name, "renamed", was.name, now.name),
        (now.is_pinned and not was.is_pinned, "pinned", was.text, now.text),
        (was.is_pinned and not now.is_pinned, "unpinned", was.text, now.text),
        (now.is_retired and not was.is_retired, "retired", was.text, now.text),
        (was.is_retired and not now.is_retired, "restored", was.text, now.text),
        (was.is_alias and not now.is_alias, "restored", was.text, now.text),
    )
    changes = [
        Change(now.template_id, kind, before, after)
        for happened, kind, before, after in told
        if happened
    ]
    if now.replaced_by and was.replaced_by != now.replaced_by:
        changes.append(Change(now.template_id, "merged", was.text, None, now.replaced_by))
    return changes


def _known(catalogue: Catalogue, template_id: str) -> Template:
    if template_id not in catalogue.templates:
        raise InvalidEdit(f"no template {template_id!r} of source {catalogue.source}")
    return catalogue.templates[template_id]


def _editable(catalogue: Catalogue, template_id: str) -> Template:
    template = _known(catalogue, template_id)
    if template.replaced_by:
        raise InvalidEdit(
            f"{template_id} was merged: it goes by {catalogue.resolve(template_id)} now"
        )
    return template


def _with(catalogue: Catalogue, template: Template) -> Catalogue:
    return replace(catalogue, templates=catalogue.templates | {template.template_id: template})


def _word_of_parameter(template: Template, parameter: int) -> int:
    """Which word of the pattern is the parameter, counted from zero."""
    slots = 0
    for place, word in enumerate(words_of(template.pattern)):
        if word == SLOT and slots == parameter - 1:
            return place
        slots += word.count(SLOT)
    raise InvalidEdit(
        f"parameter {parameter} of {template.text!r} is no word of its own: choose one of 1 to "
        f"{template.pattern.count(SLOT)} that stands alone"
    )


def _shape(value: str, masks: tuple[str, ...]) -> str:
    return str(count_shapes(pl.Series("message", [value]), masks)["shape"][0])
