"""The centre's governance secrets: what noise is drawn from. They rotate, and what was answered before stays what it was.

``<secrets>/governance.json`` (mode 0600) holds named keys and which one is in use. The *first* key tags patients and draws
each patient's own noise, for ever: were it renewed, asking before and after would average the noise away. The key *in use*
draws the noise of sets that were never answered before.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import hmac
import json
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fairlead.errors import Conflict, InvalidConfiguration
from fairlead.files import atomic_write, private_file

FILE: Final = "governance.json"


@dataclass(frozen=True, slots=True)
class Keyring:
    """Named 32-byte keys in the order in which they were made; the last one is in use."""

    names: tuple[str, ...]
    keys: tuple[bytes, ...]

    @property
    def active_id(self) -> str:
        """Name of the key in use."""
        return self.names[-1]

    def forever(self, purpose: str, text: str) -> bytes:
        """Return the 32-byte HMAC under the first key."""
        return _hmac(self.keys[0], purpose, text)

    def active(self, purpose: str, text: str) -> bytes:
        """Return the 32-byte HMAC under the key in use."""
        return _hmac(self.keys[-1], purpose, text)


def _hmac(key: bytes, purpose: str, text: str) -> bytes:
    return hmac.new(key, f"{purpose}\x00{text}".encode(), hashlib.sha256).digest()


def new_keyring() -> Keyring:
    """Return a keyring with one fresh key."""
    return Keyring(("k1",), (secrets.token_bytes(32),))


def load_keyring(folder: Path) -> Keyring:
    """Return the centre's keyring, made at first need.

    Raises
    ------
    InvalidConfiguration : the file is damaged; without it every number would be drawn anew.
    """
    file = folder / FILE
    if not file.exists():
        with suppress(Conflict):  # another process made it just now: both must draw from the same
            _write(file, new_keyring(), replace=False)
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        names = tuple(str(one["id"]) for one in document["keys"])
        keys = tuple(base64.b64decode(one["key"], validate=True) for one in document["keys"])
        if not keys or any(len(key) != 32 for key in keys) or len(set(names)) != len(names):
            raise ValueError("wrong keys")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidConfiguration(
            f"The governance secrets in {FILE} cannot be read.", remedy="Restore the file from a backup; new secrets would draw new noise."
        ) from error
    return Keyring(names, keys)


def rotate(folder: Path) -> Keyring:
    """Add a key and put it in use; numbers that were released stay as they are. Two at once add two keys."""
    load_keyring(folder)  # makes the folder
    with private_file(folder / f".{FILE}.lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = load_keyring(folder)
        ring = Keyring((*known.names, f"k{len(known.names) + 1}"), (*known.keys, secrets.token_bytes(32)))
        _write(folder / FILE, ring)
    return ring


def _write(file: Path, ring: Keyring, *, replace: bool = True) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    pairs = zip(ring.names, ring.keys, strict=True)
    document = {"keys": [{"id": name, "key": base64.b64encode(key).decode()} for name, key in pairs]}
    with atomic_write(file, replace=replace) as handle:
        os.fchmod(handle.fileno(), 0o600)
        handle.write(json.dumps(document, indent=1).encode())
