"""Project keys and keyed pseudonyms."""

from __future__ import annotations

import base64
import stat
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import InvalidConfiguration
from fairlead.keys import load_project_key, patient_key, pseudonym, pseudonym_uid, read_key_file
from fairlead.records import is_uid

KEY = bytes(range(32))
RANDOM = bytes.fromhex("8f3a1c5e9b07d2f46a81e3c5970b2d4f6e18a3c4d5f7091b2e3d4c6f8a9b0c1d")
OTHER = bytes(32)
uids = st.lists(st.integers(0, 10**8), min_size=1, max_size=6).map(lambda parts: ".".join(map(str, parts)))


def test_a_key_is_made_once_and_only_the_owner_reads_it(tmp_path: Path) -> None:
    first = load_project_key(tmp_path / "secrets", "trial")
    assert len(first) == 32
    assert load_project_key(tmp_path / "secrets", "trial") == first
    assert load_project_key(tmp_path / "secrets", "other") != first
    assert stat.S_IMODE((tmp_path / "secrets" / "trial.key").stat().st_mode) == 0o600


def test_processes_that_start_together_end_with_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: load_project_key(tmp_path, "trial"), range(16)))
    assert len(keys) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["trial.key"]


def test_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_PROJECT_KEY_MY_TRIAL", base64.b64encode(RANDOM).decode())
    assert load_project_key(tmp_path, "my-trial") == RANDOM
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not base64!", "neither 32 raw bytes nor base64"),
        ("YWJj", "base64 of 3 bytes; it needs 32"),
        (RANDOM.hex(), "hexadecimal"),
        (base64.b64encode(bytes(32)).decode(), "not random"),
        (base64.b64encode(KEY).decode(), "not random"),
        (base64.b64encode(b"password" * 4).decode(), "not random"),
    ],
)
def test_a_bad_key_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str) -> None:
    monkeypatch.setenv("FAIRLEAD_PROJECT_KEY_TRIAL", text)
    with pytest.raises(InvalidConfiguration, match=message):
        load_project_key(tmp_path, "trial")


def test_a_key_file_may_be_raw_bytes(tmp_path: Path) -> None:
    (tmp_path / "k").write_bytes(RANDOM)
    assert read_key_file(tmp_path / "k") == RANDOM


@pytest.mark.parametrize(
    ("content", "message"), [(bytes(32), "not random"), (bytes(31), "neither 32 raw bytes nor base64"), (b"", "0 bytes")]
)
def test_a_key_file_that_holds_no_key_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "k").write_bytes(content)
    with pytest.raises(InvalidConfiguration, match=message) as refused:
        read_key_file(tmp_path / "k")
    assert refused.value.remedy == "Make one with: openssl rand -base64 32"


@given(uids)
def test_a_pseudonym_uid_is_a_valid_uuid_derived_uid(uid: str) -> None:
    made = pseudonym_uid(KEY, uid)
    assert is_uid(made)
    assert len(made) <= 44
    number = uuid.UUID(int=int(made.removeprefix("2.25.")))
    assert (number.version, number.variant) == (8, uuid.RFC_4122)


@given(uids, uids)
def test_pseudonyms_keep_differences_and_depend_on_the_key(one: str, other: str) -> None:
    assert (pseudonym_uid(KEY, one) == pseudonym_uid(KEY, other)) == (one == other)
    assert pseudonym_uid(KEY, one) != pseudonym_uid(OTHER, one)


def test_purposes_and_issuers_never_share_pseudonyms() -> None:
    assert pseudonym(KEY, "uid", "1") != pseudonym(KEY, "patient", "1")
    assert patient_key(KEY, "bc", "a") != patient_key(KEY, "c", "ab")
    assert patient_key(KEY, " 42 ") == patient_key(KEY, "42")


def test_an_accent_written_as_its_own_character_is_the_same_patient() -> None:
    key = b"k" * 32
    assert patient_key(key, "M\u00fcller-7") == patient_key(key, "Mu\u0308ller-7")
    assert patient_key(key, "M\u00fcller-7") != patient_key(key, "Muller-7")
