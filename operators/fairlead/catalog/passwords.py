"""Hashes of passwords: argon2id at OWASP's cost; scrypt hashes of earlier programs hold until their user logs in.

Sources: RFC 9106 (argon2) and its encoding in PHC strings, RFC 7914 (scrypt), OWASP password storage for the cost.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Final

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

MEMORY_KIB: Final = 19_456
ITERATIONS: Final = 2
LANES: Final = 1
CURRENT: Final = f"$argon2id$v=19$m={MEMORY_KIB},t={ITERATIONS},p={LANES}$"
NOBODY: Final = f"{CURRENT}{'A' * 22}${'A' * 43}"
"""Compared with when there is no such user, so that the answer takes as long."""


def hash_password(password: str) -> str:
    """Return the salted hash as a PHC string, ``$argon2id$v=19$m=…,t=…,p=…$<salt>$<hash>``."""
    kept = Argon2id(salt=secrets.token_bytes(16), length=32, iterations=ITERATIONS, lanes=LANES, memory_cost=MEMORY_KIB)
    return kept.derive_phc_encoded(password.encode())


def check_password(password: str, stored: str) -> bool:
    """Return whether a password is the one that was stored, in constant time."""
    if stored.startswith("scrypt"):
        return _is_scrypt(password, stored)
    try:
        Argon2id.verify_phc_encoded(password.encode(), stored)
    except InvalidKey:
        return False
    return True


def is_current(stored: str) -> bool:
    """Return whether a hash was made as one is made now."""
    return stored.startswith(CURRENT)


def _is_scrypt(password: str, stored: str) -> bool:
    """Compare with ``scrypt[:n:r:p]$<salt>$<hash>``."""
    method, salt, digest = stored.split("$")
    n, r, p = map(int, method.split(":")[1:]) if ":" in method else (2**14, 8, 1)
    found = hashlib.scrypt(password.encode(), salt=_decoded(salt), dklen=32, maxmem=64 * 1024 * 1024, n=n, r=r, p=p)
    return hmac.compare_digest(found, _decoded(digest))


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
