"""A form made of the parameters of a DAG as Airflow describes them, so that both forms agree."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import streamlit as st

Schema = Mapping[str, Any]


def fields(params: Mapping[str, Mapping[str, Any]], sources: list[str]) -> dict[str, Any]:
    """A widget for each parameter; what they hold, by name. Call it within a form.

    params: each with `value`, its default, a `description` and a JSON `schema`. sources: the
    choice for `source`.
    """
    return {
        name: _field(
            name, param["value"], {**param["schema"], "description": param["description"]}, sources
        )
        for name, param in params.items()
    }


def _field(name: str, value: Any, schema: Schema, sources: list[str]) -> Any:
    title = schema.get("title") or name.replace("_", " ").capitalize()
    told = {"label": title, "help": schema.get("description"), "key": f"param_{name}"}
    kinds = schema.get("type", "string")
    kinds = {kinds} if isinstance(kinds, str) else set(kinds)
    if name == "source":
        options = sources if "null" not in kinds else [None, *sources]
        return st.selectbox(options=options, format_func=lambda each: each or "all of them", **told)
    if "enum" in schema:
        options = list(schema["enum"])
        return st.selectbox(
            options=options, index=options.index(value) if value in options else 0, **told
        )
    return _by_kind(kinds, value, schema, told)


def _by_kind(kinds: set[str], value: Any, schema: Schema, told: dict[str, Any]) -> Any:
    if "array" in kinds:
        options = schema.get("items", {}).get("enum") or schema.get("examples") or value or []
        return st.multiselect(options=options, default=value or [], **told)
    if "boolean" in kinds:
        return st.checkbox(value=bool(value), **told)
    if kinds & {"integer", "number"}:
        return _number("number" in kinds, value, schema, told)
    if schema.get("format") in ("date-time", "date"):
        return _moment(schema["format"], value, told)
    text = st.text_input(value=value or "", max_chars=schema.get("maxLength"), **told)
    return text or (None if "null" in kinds else "")


def _number(is_float: bool, value: Any, schema: Schema, told: dict[str, Any]) -> Any:
    kind = float if is_float else int
    bounds = {
        name: None if schema.get(key) is None else kind(schema[key])
        for name, key in (("min_value", "minimum"), ("max_value", "maximum"))
    }
    return st.number_input(
        value=None if value is None else kind(value), step=kind(1), **bounds, **told
    )


def _moment(form: str, value: str | None, told: dict[str, Any]) -> str | None:
    first = datetime.fromisoformat(value) if value else None
    if form == "date":
        chosen = st.date_input(value=first.date() if first else None, **told)
        return chosen.isoformat() if chosen else None
    told["label"] += " (UTC)"
    moment = st.datetime_input(value=first, **told)
    return moment.replace(tzinfo=UTC).isoformat() if moment else None
