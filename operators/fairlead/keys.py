"""Per-project secrets and the keyed pseudonyms made from them.

A key is 32 random bytes in ``<secrets>/<project>.key`` (mode 0600), made once at first need, or the base64 text in
``FAIRLEAD_PROJECT_KEY_<PROJECT>``. Pseudonyms are HMAC-SHA256: the same input under the same key gives the same
pseudonym on every machine that shares the key, and nobody without it can try out candidates.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import secrets
import unicodedata
from itertools import pairwise
from pathlib import Path
from typing import Final

from fairlead.errors import InvalidConfiguration

KEY_BYTES: Final = 32
FEWEST_BYTES: Final = 12
"""Different ones in a key; of 32 random bytes fewer are as good as impossible, and an exact text of 32 hexadecimal digits has more."""
HEX_KEY: Final = re.compile(r"[0-9a-fA-F]{64}")
MAKE_KEY: Final = "Make one with: openssl rand -base64 32"
UUID_V8_CLEAR: Final = ~((0xF << 76) | (0x3 << 62))
UUID_V8_SET: Final = (0x8 << 76) | (0x2 << 62)


def load_project_key(secrets_folder: Path, project: str) -> bytes:
    """Return the project's key, creating it atomically when there is none.

    Raises
    ------
    InvalidConfiguration : the variable or the file is neither 32 bytes nor base64 of 32, or anybody could guess it.
    """
    variable = f"FAIRLEAD_PROJECT_KEY_{project.upper().replace('-', '_')}"
    if text := os.environ.get(variable):
        return _decoded(text, where=f"${variable}")
    return load_or_create_key(secrets_folder / f"{project}.key")


def load_or_create_key(file: Path) -> bytes:
    """Return the 32 bytes of a key file, made at random (mode 0600) when there is none."""
    if not file.exists():
        _create(file)
    return read_key_file(file)


def read_key_file(file: Path) -> bytes:
    """Return the 32 bytes of a key file, raw or base64."""
    content = file.read_bytes()
    return (
        _sound(content, str(file)) if len(content) == KEY_BYTES else _decoded(content.decode("ascii", "replace").strip(), where=str(file))
    )


def _decoded(text: str, *, where: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidConfiguration(f"The project key in {where} is neither {KEY_BYTES} raw bytes nor base64.", remedy=MAKE_KEY) from error
    if HEX_KEY.fullmatch(text):
        raise InvalidConfiguration(f"The project key in {where} is written in hexadecimal digits; base64 is read.", remedy=MAKE_KEY)
    if len(key) != KEY_BYTES:
        raise InvalidConfiguration(f"The project key in {where} is base64 of {len(key)} bytes; it needs {KEY_BYTES}.", remedy=MAKE_KEY)
    return _sound(key, where)


def _sound(key: bytes, where: str) -> bytes:
    """Return a key that could be random: few different bytes, or bytes at equal distances, are the first that anybody tries."""
    steps = {(after - before) % 256 for before, after in pairwise(key)}
    if len(set(key)) < FEWEST_BYTES or len(steps) == 1:
        raise InvalidConfiguration(f"The project key in {where} is not random, so anybody could guess it.", remedy=MAKE_KEY)
    return key


def _create(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
        handle.flush()
        os.fsync(handle.fileno())
    try:
        os.link(part, file)  # never replaces: two processes at first start must end with one key
    except FileExistsError:
        pass  # the other process was first, its key is the one
    finally:
        part.unlink()


def pseudonym(key: bytes, purpose: str, text: str) -> bytes:
    """Return the 32-byte HMAC of ``text`` for one ``purpose``; purposes never share pseudonyms. Names of files may be no UTF-8."""
    return hmac.new(key, f"{purpose}\x00{text}".encode(errors="surrogateescape"), hashlib.sha256).digest()


def patient_key(key: bytes, patient_id: str, issuer: str = "") -> str:
    """Return the index's patient key; issuer and id are separated, so ``("a", "bc")`` and ``("ab", "c")`` differ.

    A letter with its accent and the two as separate characters are one id (Unicode NFC): modalities differ in how they write it.
    """
    return "p" + pseudonym(key, "patient", unicodedata.normalize("NFC", f"{issuer.strip()}\x1f{patient_id.strip()}")).hex()[:24]


def pseudonym_uid(key: bytes, uid: str) -> str:
    """Return the UID that stands for ``uid``: ``2.25.`` and a version-8 UUID from the HMAC, at most 44 characters (PS3.5 B.2).

    >>> pseudonym_uid(bytes(32), "1.2.3") == pseudonym_uid(bytes(32), "1.2.3")
    True
    """
    number = int.from_bytes(pseudonym(key, "uid", uid)[:16], "big")
    return f"2.25.{(number & UUID_V8_CLEAR) | UUID_V8_SET}"


def pseudonym_patient(key: bytes, patient: str) -> str:
    """Return the Patient ID that stands outside the house for the in-house key ``patient`` (see :func:`patient_key`)."""
    return "P" + pseudonym(key, "patient-outside", patient).hex()[:20].upper()


def day_shift(key: bytes, patient: str, *, span_days: int = 365, whole_weeks: bool = False) -> int:
    """Return by how many whole days every date of one patient moves: within ``span_days`` either way, never zero.

    With ``whole_weeks`` the shift is a multiple of seven, so that weekdays stay.
    """
    step = 7 if whole_weeks else 1
    most = max(span_days // step, 1)
    number = int.from_bytes(pseudonym(key, "days", patient)[:8], "big") % (2 * most)
    return step * (number - most if number < most else number - most + 1)
