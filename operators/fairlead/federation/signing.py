"""Ed25519 identities (RFC 8032) of centres and hubs: one key each, known to the other side by a fingerprint that a person accepted."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from fairlead.errors import InvalidConfiguration
from fairlead.keys import load_or_create_key

SCHEME: Final = "FAIRLEAD-1"
"""First line of everything that is signed, so that no signature of ours means anything elsewhere."""

GATEWAY_KEY: Final = "gateway.ed25519"
HUB_KEY: Final = "hub.ed25519"


@dataclass(frozen=True, slots=True)
class Identity:
    """A private key and what others may know of it."""

    private: Ed25519PrivateKey

    @property
    def public_key(self) -> str:
        """The public key, 32 bytes as base64."""
        raw = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return base64.b64encode(raw).decode()

    def sign(self, *lines: str) -> str:
        """Return the signature over the lines, as base64."""
        return base64.b64encode(self.private.sign(_signed(lines))).decode()


def load_identity(folder: Path, name: str) -> Identity:
    """Return the identity kept in the secrets folder, made at first need (mode 0600)."""
    return Identity(Ed25519PrivateKey.from_private_bytes(load_or_create_key(folder / name)))


def public_bytes(public_key: str) -> bytes:
    """Return the 32 bytes of a public key.

    Raises
    ------
    InvalidConfiguration : it is no base64 of 32 bytes.
    """
    try:
        raw = base64.b64decode(public_key, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidConfiguration("A public key is no base64.", remedy="Copy it from `fairlead federate identity`.") from error
    if len(raw) != 32:
        raise InvalidConfiguration("A public key has not 32 bytes.", remedy="Copy it from `fairlead federate identity`.")
    return raw


def fingerprint(public_key: str) -> str:
    """Return what people compare: the sha256 of the public key, in groups that can be read aloud.

    >>> fingerprint("A" * 43 + "=")[:19]
    '6668-7aad-f862-bd77'
    """
    digest = hashlib.sha256(public_bytes(public_key)).hexdigest()
    return "-".join(digest[at : at + 4] for at in range(0, 64, 4))


def is_signed(public_key: str, signature: str, *lines: str) -> bool:
    """Return whether the signature over the lines is that of the key."""
    try:
        given = base64.b64decode(signature, validate=True)
        Ed25519PublicKey.from_public_bytes(public_bytes(public_key)).verify(given, _signed(lines))
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def canonical(document: Any) -> str:
    """Return RFC 8785 JSON, what is hashed and signed."""
    return rfc8785.dumps(document).decode()


def sha256_text(text: str) -> str:
    """Return the sha256 of a text, UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def _signed(lines: tuple[str, ...]) -> bytes:
    return "\n".join((SCHEME, *lines)).encode()
