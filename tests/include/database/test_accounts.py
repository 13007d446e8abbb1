"""Accounts: passwords, locks, the last admin, and what two do at the same moment."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher

from include import passwords
from include.database import Connection, Engine, accounts, logins, registration
from include.database.accounts import AccountConflict, InvalidAccount, Refused
from include.database.audit import NOBODY, Actor
from include.database.logins import NewSecret

PASSWORD, OTHER = "correct horse battery", "another password"
WHO = Actor(NOBODY, "api", address="10.0.0.1")
WEEK = timedelta(days=7)

pytestmark = pytest.mark.usefixtures("quick_hashes")


@pytest.fixture
def ada(engine: Engine) -> int:
    with engine.begin() as conn:
        return accounts.create_user(conn, "ada", PASSWORD, "admin")


def log_in(engine: Engine, password: str = PASSWORD, name: str = "ada") -> NewSecret | None:
    return accounts.log_in(engine, name, password, WHO)


def told(engine: Engine, action: str) -> list[tuple[str, str]]:
    query = "SELECT actor, subject FROM loganalyzer.audit_log WHERE action = :action"
    with engine.connect() as conn:
        return list(conn.execute(sa.text(query), {"action": action}).tuples())


@pytest.mark.parametrize(
    ("name", "password", "says"),
    [
        ("a", PASSWORD, "a name has"),
        (".ada", PASSWORD, "a name has"),
        ("ada lovelace", PASSWORD, "a name has"),
        ("ada\n", PASSWORD, "a name has"),
        ("a" * 65, PASSWORD, "a name has"),
        ("nobody", PASSWORD, "a name has"),
        ("bob", "eleven char", "12 to 200"),
        ("bob", "x" * 201, "12 to 200"),
        ("bob-the-first", "Bob-the-first", "the password is the name"),
    ],
)
def test_names_and_passwords_have_rules(
    conn: Connection, name: str, password: str, says: str
) -> None:
    with pytest.raises(InvalidAccount, match=says):
        accounts.create_user(conn, name, password, "viewer")


def test_a_name_is_one_in_whatever_letters(conn: Connection) -> None:
    accounts.create_user(conn, "Grace", PASSWORD, "viewer")
    with pytest.raises(AccountConflict, match="there is a user 'grace' already"):
        accounts.create_user(conn, "GRACE", PASSWORD, "viewer")


def test_ten_wrong_passwords_in_a_row_lock_the_right_one_for_a_while(
    engine: Engine, ada: int
) -> None:
    for _ in range(9):
        assert log_in(engine, "wrong") is None
    assert log_in(engine) is not None
    for _ in range(10):
        assert log_in(engine, "wrong") is None
    assert log_in(engine) is None
    with engine.begin() as conn:
        locked = accounts.user_named(conn, "ada")
        conn.execute(sa.text("UPDATE loganalyzer.users SET locked_until = now()"))
    assert locked is not None
    assert locked["is_locked"]
    assert log_in(engine) is not None


def test_wrong_passwords_while_it_is_locked_do_not_lock_it_for_longer(
    engine: Engine, ada: int
) -> None:
    until = sa.text("SELECT locked_until, failed_logins FROM loganalyzer.users")
    for _ in range(10):
        log_in(engine, "wrong")
    with engine.connect() as conn:
        before = conn.execute(until).one()
    log_in(engine, "wrong")
    with engine.connect() as conn:
        assert conn.execute(until).one() == before


def test_guesses_at_the_same_moment_are_all_counted(engine: Engine, ada: int) -> None:
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda _: log_in(engine, "wrong"), range(10)))
    assert log_in(engine) is None


def test_a_failed_login_is_written_down_with_what_was_given_as_a_name(
    engine: Engine, ada: int
) -> None:
    before = len(told(engine, "session.failed_login"))
    for name in ("ada", "Eve\0\x1b" + "e" * 100):
        log_in(engine, "wrong", name)
    entries = told(engine, "session.failed_login")[before:]
    assert entries == [(NOBODY, "ada"), (NOBODY, "Eve??" + "e" * 59)]


def test_who_is_not_active_does_not_log_in_and_their_secrets_are_none(
    engine: Engine, ada: int
) -> None:
    with engine.begin() as conn:
        bob = accounts.create_user(conn, "bob", PASSWORD, "viewer")
        token = logins.create_token(conn, bob, "x", ["read"], WEEK, WHO)
    session = log_in(engine, name="bob")
    assert session is not None
    with engine.begin() as conn:
        accounts.change_user(conn, "bob", is_active=False)
    assert log_in(engine, name="bob") is None
    with engine.begin() as conn:
        accounts.change_user(conn, "bob", is_active=True)
        for secret in (session, token):
            assert logins.identify(conn, secret.secret) is None


def test_a_hash_with_old_parameters_is_made_anew_at_a_login(
    engine: Engine, ada: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = sa.text("SELECT password_hash FROM loganalyzer.users")
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=2, memory_cost=64))
    assert log_in(engine) is not None
    with engine.connect() as conn:
        assert "t=2" in conn.scalar(kept)
    assert log_in(engine) is not None


def test_a_new_password_ends_the_other_sessions(engine: Engine, ada: int) -> None:
    here, there = log_in(engine), log_in(engine)
    assert here is not None
    assert there is not None
    with engine.connect() as conn:
        identity = logins.identify(conn, here.secret)
    assert identity is not None
    assert not accounts.change_password(engine, identity, "wrong", OTHER, WHO)
    with pytest.raises(InvalidAccount, match="12 to 200"):
        accounts.change_password(engine, identity, PASSWORD, "short", WHO)
    assert accounts.change_password(engine, identity, PASSWORD, OTHER, WHO)
    with engine.connect() as conn:
        assert logins.identify(conn, here.secret) is not None
        assert logins.identify(conn, there.secret) is None
    assert log_in(engine) is None
    assert log_in(engine, OTHER) is not None


@pytest.mark.parametrize("change", [{"role": "viewer"}, {"is_active": False}])
def test_one_active_admin_stays(engine: Engine, ada: int, change: dict) -> None:
    with engine.begin() as conn:
        accounts.create_user(conn, "bob", PASSWORD, "admin")
        accounts.change_user(conn, "bob", **change)
        with pytest.raises(AccountConflict, match="last active admin"):
            accounts.change_user(conn, "ada", **change)


def test_two_admins_who_demote_each_other_do_not_both_succeed(engine: Engine, ada: int) -> None:
    with engine.begin() as conn:
        accounts.create_user(conn, "bob", PASSWORD, "admin")
    both = threading.Barrier(2)

    def demote(name: str) -> bool:
        with engine.begin() as conn:
            both.wait(timeout=10)
            try:
                accounts.change_user(conn, name, role="viewer")
            except AccountConflict:
                return False
            return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(demote, ["ada", "bob"])) == [False, True]


def test_an_invitation_is_for_one(engine: Engine, ada: int) -> None:
    with engine.begin() as conn:
        secret = registration.invite(conn, ada, "analyst", WEEK, WHO).secret
    both = threading.Barrier(2)

    def come(name: str) -> bool:
        with engine.begin() as conn:
            both.wait(timeout=10)
            try:
                registration.register(conn, "invite", name, PASSWORD, None, secret, WHO)
            except Refused:
                return False
            return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(come, ["bob", "eve"])) == [False, True]
    with engine.connect() as conn:
        (came,) = [each for each in accounts.users(conn) if each["name"] != "ada"]
    assert came["role"] == "analyst"


@pytest.mark.parametrize(
    ("setting", "invitation", "role"),
    [
        ("open", None, "viewer"),
        ("open", "", "viewer"),
        ("open", "good", "analyst"),
        ("open", "bad", None),
        ("invite", "good", "analyst"),
        ("invite", None, None),
        ("invite", "bad", None),
        ("off", "good", None),
        ("off", None, None),
    ],
)
def test_who_may_register_is_a_setting(
    conn: Connection, setting: str, invitation: str | None, role: str | None
) -> None:
    admin = accounts.create_user(conn, "root-of-all", PASSWORD, "admin")
    good = registration.invite(conn, admin, "analyst", WEEK, WHO).secret
    secret = good if invitation == "good" else invitation
    if role is None:
        with pytest.raises(Refused):
            registration.may_register(conn, setting, secret)
    else:
        assert registration.may_register(conn, setting, secret)[1] == role


def test_an_invitation_ends(conn: Connection) -> None:
    admin = accounts.create_user(conn, "root-of-all", PASSWORD, "admin")
    old = registration.invite(conn, admin, "viewer", timedelta(0), WHO)
    taken_back = registration.invite(conn, admin, "viewer", WEEK, WHO)
    assert registration.revoke_invitation(conn, taken_back.id, WHO)
    assert not registration.revoke_invitation(conn, taken_back.id, WHO)
    for invitation in (old, taken_back):
        with pytest.raises(Refused, match="used or has ended"):
            registration.may_register(conn, "invite", invitation.secret)


@pytest.mark.parametrize("change", [{"role": "analyst"}, {"is_active": False}])
def test_who_is_no_admin_any_more_comes_back_by_no_invitation(
    conn: Connection, change: dict
) -> None:
    accounts.create_user(conn, "root-of-all", PASSWORD, "admin")
    mallory = accounts.create_user(conn, "mallory", PASSWORD, "admin")
    kept_back = registration.invite(conn, mallory, "admin", WEEK, WHO)
    accounts.change_user(conn, "mallory", **change)
    accounts.change_user(conn, "mallory", role="admin", is_active=True)
    with pytest.raises(Refused, match="used or has ended"):
        registration.may_register(conn, "invite", kept_back.secret)


def test_whom_a_provider_signs_in_is_found_by_issuer_and_subject(conn: Connection) -> None:
    accounts.create_user(conn, "ada", PASSWORD, "admin")
    for _ in range(2):
        session = registration.sign_in(
            conn, "https://idp 1", "ada@example.com", None, "viewer", WHO
        )
        assert session is not None
        identity = logins.identify(conn, session.secret)
        assert identity is not None
        assert (identity.name, identity.role) == ("ada-2", "viewer")
    other = registration.sign_in(conn, "https://idp 2", "Ada", None, "viewer", WHO)
    assert other is not None
    names = [each["name"] for each in accounts.users(conn)]
    assert names == ["ada", "ada-2", "ada-3"]


@pytest.mark.parametrize(
    ("called", "name"),
    [
        ("Ada.Lovelace@example.com", "ada.lovelace"),
        ("Ada Lovelace", "ada-lovelace"),
        ("Ж", "user"),
        ("", "user"),
        ("nobody", "user-nobody"),
        ("x" * 300, "x" * 56),
        ("a_b%", "a_b"),
    ],
)
def test_what_a_provider_calls_somebody_becomes_a_name(
    conn: Connection, called: str, name: str
) -> None:
    registration.sign_in(conn, "https://idp 1", called, None, "viewer", WHO)
    assert [each["name"] for each in accounts.users(conn)] == [name]


def test_a_person_whom_a_provider_signs_in_has_no_password(engine: Engine) -> None:
    with engine.begin() as conn:
        registration.sign_in(conn, "https://idp 1", "ada", None, "viewer", WHO)
    assert log_in(engine, "the password of nobody") is None


def test_what_has_ended_long_ago_is_forgotten(engine: Engine, ada: int) -> None:
    with engine.begin() as conn:
        for lasts in (timedelta(days=-40), timedelta(days=-1), WEEK):
            logins.create_token(conn, ada, "x", ["read"], lasts, WHO)
            registration.invite(conn, ada, "viewer", lasts, WHO)
        logins.open_session(conn, ada)
        conn.execute(
            sa.text("UPDATE loganalyzer.sessions SET revoked_at = now() - interval '31 days'")
        )
        logins.open_session(conn, ada)
    with engine.begin() as conn:
        assert logins.forget_logins(conn, datetime.now(UTC) - timedelta(days=30)) == 3
        for table, left in (("sessions", 1), ("api_tokens", 2), ("invitations", 2)):
            assert conn.scalar(sa.text(f"SELECT count(*) FROM loganalyzer.{table}")) == left


def test_an_error_of_the_database_tells_no_hash_of_a_password(conn: Connection) -> None:
    accounts.create_user(conn, "root-of-all", None, "admin", oidc_subject="there 1")
    with pytest.raises(sa.exc.IntegrityError) as failed:
        accounts.create_user(conn, "another", PASSWORD, "admin", oidc_subject="there 1")
    assert "INSERT INTO" in str(failed.value)
    assert "argon2" not in str(failed.value)
