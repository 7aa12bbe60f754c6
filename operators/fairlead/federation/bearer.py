"""Bearer tokens of OpenID Connect (RFC 7519, RFC 8725): a signature by a key of the file, issuer, audience and time; nothing is fetched."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from fairlead.errors import InvalidConfiguration, Unauthenticated
from fairlead.federation.policy import Bearer

SKEW_S: Final = 60
MOST_CHARACTERS: Final = 8192


def check_bearer(header: str, wanted: Bearer, *, now: datetime) -> dict[str, Any]:
    """Return what a request's token says; refuse one whose token does not hold.

    Raises
    ------
    Unauthenticated : there is none, it is not signed by one of the keys, or is for another service or another time.
    InvalidConfiguration : the file of keys cannot be read.
    """
    keys = _keys(wanted)
    claims: dict[str, Any] = {}
    try:
        kind, _, token = header.partition(" ")
        head, payload, signature = token.strip().split(".")
        claims = json.loads(_decoded(payload))
        named = json.loads(_decoded(head))
        good = kind.casefold() == "bearer" and len(token) <= MOST_CHARACTERS and isinstance(claims, dict)
        good = good and any(_signed(key, named, f"{head}.{payload}".encode(), _decoded(signature)) for key in keys)
        good = good and _meant(claims, wanted, now.timestamp())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        good = False
    if not good:
        raise Unauthenticated("The request carries no valid token.", remedy="Get a token for this gateway from its identity provider.")
    return claims


def _meant(claims: dict[str, Any], wanted: Bearer, now: float) -> bool:
    audience = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    in_time = float(claims.get("nbf", 0)) - SKEW_S <= now <= float(claims["exp"]) + SKEW_S
    return bool(claims["iss"] == wanted.issuer and wanted.audience in audience and in_time)


def _signed(key: dict[str, Any], named: dict[str, Any], text: bytes, signature: bytes) -> bool:
    if named.get("kid") not in (None, key.get("kid")):
        return False
    try:
        match key["kty"], named["alg"]:  # the key says which algorithm may be used with it, not the token alone
            case "OKP", "EdDSA":
                Ed25519PublicKey.from_public_bytes(_decoded(key["x"])).verify(signature, text)
            case "RSA", "RS256":
                numbers = rsa.RSAPublicNumbers(_number(key["e"]), _number(key["n"]))
                numbers.public_key().verify(signature, text, padding.PKCS1v15(), SHA256())
            case _:
                return False
    except InvalidSignature:
        return False
    return True


def _keys(wanted: Bearer) -> list[dict[str, Any]]:
    try:
        keys: list[dict[str, Any]] = json.loads(wanted.keys_file.read_text(encoding="utf-8"))["keys"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidConfiguration(f"The keys of the identity provider in {wanted.keys_file.name} cannot be read.") from error
    return keys


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _number(text: str) -> int:
    return int.from_bytes(_decoded(text), "big")
