from __future__ import annotations

import io
import json
import time
from base64 import urlsafe_b64encode
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from hashlib import scrypt
from threading import Event
from typing import Any

import pytest
from sqlalchemy import Engine, Row, select, update

from fairlead.catalog.accounts import (
    HASHES_AT_ONCE,
    LOGINS_AT_ONCE,
    MAX_FAILURES,
    MAX_PASSWORD,
    Accounts,
    NotAuthenticated,
    TooManyAttempts,
)
from fairlead.catalog.passwords import check_password, hash_password
from fairlead.catalog.tables import users
from fairlead.cli import run
from fairlead.database import open_database
from fairlead.errors import InvalidInput
from fairlead.settings import Settings

PASSWORD = "correct horse battery"


def test_a_hash_is_salted_and_holds_no_password():
    one, two = hash_password(PASSWORD), hash_password(PASSWORD)
    assert one != two
    assert PASSWORD not in one
    assert check_password(PASSWORD, one)
    assert not check_password("other", one)


@pytest.mark.parametrize(("method", "p"), [("scrypt", 1), ("scrypt:16384:8:5", 5)])
def test_a_scrypt_hash_still_holds_and_is_replaced_at_the_next_login(settings: Settings, engine: Engine, method: str, p: int):
    digest = scrypt(PASSWORD.encode(), salt=bytes(16), dklen=32, n=2**14, r=8, p=p, maxmem=2**26)
    old = f"{method}${'A' * 22}${urlsafe_b64encode(digest).rstrip(b'=').decode()}"
    accounts = Accounts(settings, engine)
    accounts.add("ada@example.org", PASSWORD)
    with engine.begin() as connection:
        connection.execute(update(users).values(password_hash=old))
    with pytest.raises(NotAuthenticated):
        accounts.token("ada@example.org", "another password")
    assert accounts.token("ada@example.org", PASSWORD)
    with engine.connect() as connection:
        stored = connection.execute(select(users.c.password_hash)).scalar_one()
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert check_password(PASSWORD, stored)


@pytest.mark.parametrize(("email", "password"), [("ada", PASSWORD), ("a@b.c", "short"), ("a@b.c", "x" * 2000), ("a b@c.d", PASSWORD)])
def test_bad_users_are_refused(settings: Settings, engine: Engine, email: str, password: str):
    with pytest.raises(InvalidInput):
        Accounts(settings, engine).add(email, password)


@pytest.mark.parametrize("email", ["x" * 300 + "@example.org", "ada\x00@example.org", "", "ada"])
def test_what_is_no_address_is_refused_and_not_remembered(settings: Settings, engine: Engine, email: str):
    accounts = Accounts(settings, engine)
    for _ in range(MAX_FAILURES + 1):
        with pytest.raises(NotAuthenticated, match="The e-mail address or the password is wrong"):
            accounts.token(email, PASSWORD)
    assert not accounts._failures


def test_a_password_that_only_begins_like_the_right_one_is_wrong_however_long(settings: Settings, engine: Engine):
    accounts, longest = Accounts(settings, engine), "x" * MAX_PASSWORD
    accounts.add("ada@example.org", longest)
    with pytest.raises(NotAuthenticated):
        accounts.token("ada@example.org", longest + "y")
    assert accounts.token("ada@example.org", longest)


def test_logins_beyond_those_that_may_wait_are_sent_away_at_once(settings: Settings, engine: Engine, monkeypatch: pytest.MonkeyPatch):
    began, go_on = [Event() for _ in range(HASHES_AT_ONCE)], Event()
    waiting = iter(began)

    def slow(password: str, stored: str) -> bool:
        """Hash until the test says so."""
        next(waiting, began[0]).set()
        return not go_on.wait(20)

    monkeypatch.setattr("fairlead.catalog.accounts.check_password", slow)
    monkeypatch.setattr("fairlead.catalog.accounts.WAIT_S", 60.0)
    accounts = Accounts(settings, engine)
    with ThreadPoolExecutor(LOGINS_AT_ONCE) as pool:
        asked = [pool.submit(accounts.token, f"u{number}@example.org", PASSWORD) for number in range(LOGINS_AT_ONCE)]
        assert all(event.wait(20) for event in began)
        until = time.monotonic() + 20
        while accounts._logins._value and time.monotonic() < until:
            time.sleep(0.01)
        with pytest.raises(TooManyAttempts, match="Too many are logging in at once"):
            accounts.token("late@example.org", PASSWORD)
        go_on.set()
    assert {type(one.exception()) for one in asked} == {NotAuthenticated}


def test_there_is_no_user_and_no_secret_until_somebody_makes_one(settings: Settings, engine: Engine):
    accounts = Accounts(settings, engine)
    for email in ("admin@example.org", "albert.einstein@example.com"):
        with pytest.raises(NotAuthenticated):
            accounts.token(email, "password")
    assert not (settings.secrets_folder / "catalog-tokens.key").exists()


def test_a_token_expires_and_belongs_to_one_installation(settings: Settings, engine: Engine, tmp_path):
    now = [datetime(2026, 1, 1, tzinfo=UTC)]
    accounts = Accounts(settings, engine, clock=lambda: now[0])
    accounts.add("ada@example.org", PASSWORD)
    token = accounts.token("ada@example.org", PASSWORD)
    assert accounts.user_of(f"Bearer {token}").email == "ada@example.org"
    assert (settings.secrets_folder / "catalog-tokens.key").stat().st_mode & 0o777 == 0o600
    other = Accounts(settings.model_copy(update={"secrets": tmp_path / "other"}), engine, clock=lambda: now[0])
    other._settings.__dict__.pop("secrets_folder", None)
    with pytest.raises(NotAuthenticated):
        other.user_of(f"Bearer {token}")
    now[0] += timedelta(hours=13)
    with pytest.raises(NotAuthenticated, match="expired"):
        accounts.user_of(f"Bearer {token}")


@pytest.mark.parametrize("header", ["Basic YTpi", "Bearer", "Bearer x", "Bearer a.b.c", "Bearer ..", "Bearer é.é.é", "x"])
def test_other_credentials_are_refused(settings: Settings, engine: Engine, header: str):
    with pytest.raises(NotAuthenticated):
        Accounts(settings, engine).user_of(header)


def test_the_command_makes_a_password_and_stores_its_hash(tmp_path, monkeypatch: pytest.MonkeyPatch, capfd):
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path / "home"))
    assert run(["catalog", "user", "ada@example.org", "--admin", "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert document.keys() == {"email", "role", "password"}
    assert run(["catalog", "user", "ADA@example.org", "--json"]) != 0
    assert "ada@example.org is here already, as admin; nothing was changed" in capfd.readouterr().err
    assert check_password(document["password"], stored().password_hash)
    for options, role in ((["--reset-password"], "admin"), (["--no-admin", "--reset-password"], "user")):
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n"))
        assert run(["catalog", "user", "ADA@example.org", "--password-stdin", *options]) == 0
        assert PASSWORD not in capfd.readouterr().out
        assert stored().role == role
        assert check_password(PASSWORD, stored().password_hash)


def stored() -> Row[Any]:
    """Return the one user of the home that the environment names."""
    engine = open_database(Settings())
    with engine.connect() as connection:
        (row,) = connection.execute(select(users)).all()
    engine.dispose()
    return row


def test_an_address_in_another_case_is_the_same_user_and_counts_the_same_failures(settings: Settings, engine: Engine):
    accounts = Accounts(settings, engine)
    accounts.add("Ada@Example.org", PASSWORD)
    assert accounts.user_of(f"Bearer {accounts.token('ada@example.ORG', PASSWORD)}").email == "Ada@Example.org"
    for number in range(MAX_FAILURES):
        with pytest.raises(NotAuthenticated):
            accounts.token("ada@example.org" if number % 2 else "ADA@example.org", "wrong wrong wrong")
    with pytest.raises(TooManyAttempts):
        accounts.token("aDa@example.org", PASSWORD)


def test_a_key_that_is_given_is_never_written(settings: Settings, engine: Engine, monkeypatch: pytest.MonkeyPatch):
    """The public catalog's pod has no folder of keys that it may write to."""
    monkeypatch.setenv("FAIRLEAD_PROJECT_KEY_CATALOG_TOKENS", "ZS9VAWJDvxufG76kbVdJ74ktvjlORt6dZqsarPC0r1c=")
    accounts = Accounts(settings, engine)
    accounts.add("ada@example.org", "correct horse battery")
    token = accounts.issue("ada@example.org")
    assert accounts.user_of(f"Bearer {token}") is not None
    assert not settings.secrets_folder.exists()
