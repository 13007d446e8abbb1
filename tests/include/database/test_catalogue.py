"""The template catalogue in Postgres: it grows, and a second save changes nothing."""

from __future__ import annotations

import threading

import polars as pl
import pytest
import sqlalchemy as sa

from include.database import Connection, Engine, catalogue
from ml.templates import Catalogue, count_shapes

MESSAGES = ["Receiving block blk_1 from 10.0.0.1", "Disk sda is full", "Bye\t\\N \"quoted\" 'x' %s"]


def learnt(*messages: str, known: Catalogue | None = None) -> Catalogue:
    return (known or Catalogue.empty("disk")).learn(count_shapes(pl.Series("message", messages)))


EMPTY = Catalogue.empty("disk")


def save(conn: Connection, after: Catalogue, before: Catalogue = EMPTY) -> None:
    catalogue.save_catalogue(conn, before, after, by="ingest")


def rows(conn: Connection) -> list[object]:
    return list(
        conn.execute(
            sa.text("SELECT ctid::text, * FROM loganalyzer.template_catalogue ORDER BY template_id")
        )
    )


def test_what_is_saved_is_loaded(conn: Connection) -> None:
    saved = learnt(*MESSAGES)
    save(conn, saved)
    loaded = catalogue.load_catalogue(conn, "disk", ())
    assert loaded.to_frame().sort("template_id").equals(saved.to_frame().sort("template_id"))
    messages = pl.Series("message", MESSAGES)
    assert loaded.match(messages).equals(saved.match(messages))
    assert not loaded.match(messages)["template_id"].has_nulls()


def test_an_unknown_source_has_an_empty_catalogue(conn: Connection) -> None:
    assert len(catalogue.load_catalogue(conn, "nobody", ())) == 0


def test_saving_again_changes_no_row(conn: Connection) -> None:
    save(conn, learnt(*MESSAGES))
    before = rows(conn), catalogue.template_history(conn)
    loaded = catalogue.load_catalogue(conn, "disk", ())
    save(conn, learnt(*MESSAGES, known=loaded), before=loaded)
    assert (rows(conn), catalogue.template_history(conn)) == before


def test_learning_more_leaves_the_known_rows_alone(conn: Connection) -> None:
    known = learnt(*MESSAGES)
    save(conn, known)
    before = rows(conn)
    save(conn, learnt("Quite another thing happened", known=known), before=known)
    after = rows(conn)
    assert set(before) < set(after)
    assert len(after) == len(before) + 1


def test_texts_are_found_by_id(conn: Connection) -> None:
    saved = learnt(*MESSAGES)
    save(conn, saved)
    texts = dict(saved.to_frame().select("template_id", "text").rows())
    assert catalogue.template_texts(conn, "disk") == texts
    assert catalogue.template_texts(conn, "nobody") == {}


@pytest.mark.parametrize(
    ("other", "waits"),
    [
        pytest.param("locked", True, id="a second miner of the source waits"),
        pytest.param("free", False, id="a miner of another source does not"),
    ],
)
def test_one_miner_a_source(engine: Engine, other: str, waits: bool) -> None:
    got_it = threading.Event()

    def mine() -> None:
        with engine.begin() as conn:
            catalogue.lock_catalogue(conn, other)
            got_it.set()

    miner = threading.Thread(target=mine)
    with engine.begin() as conn:
        catalogue.lock_catalogue(conn, "locked")
        miner.start()
        assert got_it.wait(timeout=0.5 if waits else 30) is not waits
    miner.join(timeout=30)
    assert got_it.is_set()
