"""The encrypted table from pseudonym back to Patient ID, for those who must be able to call a patient back.

One AES-256-GCM message per table under a key derived from the project key; kept apart from the data, and only written when asked for.
"""

from __future__ import annotations

import base64
import fcntl
import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fairlead.deidentify.engine import Person
from fairlead.errors import InvalidConfiguration, InvalidInput
from fairlead.files import private_file, write_text
from fairlead.keys import pseudonym

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

FORMAT: Final = b"fairlead-lookup-1"
NONCE_BYTES: Final = 12


class LookupTable:
    """Collects who is who during a run and adds it to the file; several runs may do so at once, none loses a row of another."""

    def __init__(self, file: Path, key: bytes) -> None:
        self._file, self._key = file, key
        self._rows: dict[str, tuple[str, str]] = {}
        if file.exists():
            read_lookup(file, key)  # a table of another key is refused before anything is written

    def add(self, person: Person) -> None:
        """Remember one patient; without a Patient ID there is nothing to look up."""
        if person.patient_id:
            self._rows[person.pseudonym] = (person.patient_id, person.issuer)

    def save(self) -> None:
        """Write the rows of the file and of this run anew, encrypted, in one step."""
        if not self._rows and self._file.exists():
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with private_file(self._file.with_name(f".{self._file.name}.lock")).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            rows = (read_lookup(self._file, self._key) if self._file.exists() else {}) | self._rows
            nonce = secrets.token_bytes(NONCE_BYTES)
            sealed = _cipher(self._key).encrypt(nonce, json.dumps(rows, sort_keys=True).encode(), FORMAT)
            write_text(self._file, base64.b64encode(nonce + sealed).decode() + "\n")
            self._file.chmod(0o600)


def read_lookup(file: Path, key: bytes) -> dict[str, tuple[str, str]]:
    """Return pseudonym -> (Patient ID, issuer) of an encrypted table.

    Raises
    ------
    InvalidInput : another key, or a damaged file.
    """
    from cryptography.exceptions import InvalidTag

    try:
        content = base64.b64decode(file.read_text("ascii"), validate=False)
        rows = json.loads(_cipher(key).decrypt(content[:NONCE_BYTES], content[NONCE_BYTES:], FORMAT))
    except (InvalidTag, ValueError) as error:
        raise InvalidInput("The lookup table cannot be opened with this project key.", remedy="Give the key it was made with.") from error
    return {name: (str(patient), str(issuer)) for name, (patient, issuer) in rows.items()}


def _cipher(key: bytes) -> AESGCM:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError as error:
        raise InvalidConfiguration(
            "The package cryptography is not installed, so there is no encrypted lookup table.", remedy="Install cryptography."
        ) from error
    return AESGCM(pseudonym(key, "lookup-table", ""))
