"""Tokens of an identity provider stand for users that an administrator added, and for nobody else."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine

from fairlead.catalog.accounts import Accounts, NotAuthenticated
from fairlead.database import utc_now
from fairlead.settings import CatalogSettings, OidcSettings, Settings

PASSWORD = "correct horse battery"


def b64(data: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.fixture
def provider(tmp_path: Path, engine: Engine) -> tuple[Accounts, Callable[..., str]]:
    """Return accounts that trust a provider, and a function that makes its tokens."""
    key = Ed25519PrivateKey.generate()
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [{"kty": "OKP", "kid": "1", "crv": "Ed25519", "x": b64(key.public_key().public_bytes_raw())}]}))
    oidc = OidcSettings(issuer="https://id.example.org", audience="catalog", keys_file=file)
    accounts = Accounts(Settings(home=tmp_path / "home", catalog=CatalogSettings(oidc=oidc)), engine)
    accounts.add("ada@example.org", PASSWORD, role="admin")

    def token(head: dict[str, Any] | None = None, **claims: Any) -> str:
        now = int(utc_now().timestamp())
        given = {"iss": "https://id.example.org", "aud": "catalog", "exp": now + 600, "email": "ada@example.org", "email_verified": True}
        text = f"{b64(json.dumps(head or {'alg': 'EdDSA', 'kid': '1'}).encode())}.{b64(json.dumps(given | claims).encode())}"
        return f"Bearer {text}.{b64(key.sign(text.encode()))}"

    return accounts, token


def test_a_token_of_the_provider_is_the_user_of_that_address(provider):
    accounts, token = provider
    user = accounts.user_of(token())
    assert (user.email, user.is_admin) == ("ada@example.org", True)
    assert accounts.user_of(f"Bearer {accounts.issue('ada@example.org')}").email == "ada@example.org"


@pytest.mark.parametrize(
    "claims",
    [
        {"email": "eve@example.org"},
        {"email": None},
        {"email_verified": False},
        {"email_verified": "true"},
        {"iss": "https://other.example.org"},
        {"aud": "gateway"},
        {"exp": 1},
        {"head": {"alg": "none"}},
        {"head": {"alg": "HS256"}},
        {"head": {"alg": "EdDSA", "kid": "2"}},
    ],
)
def test_what_the_provider_does_not_say_of_a_known_user_is_nobody(provider, claims: dict[str, Any]):
    accounts, token = provider
    with pytest.raises(NotAuthenticated):
        accounts.user_of(token(**claims))


def test_without_a_provider_its_tokens_are_nothing(provider, settings: Settings, engine: Engine):
    _, token = provider
    with pytest.raises(NotAuthenticated):
        Accounts(settings, engine).user_of(token())


def test_tokens_of_ours_are_never_checked_with_the_providers_keys(provider):
    accounts, token = provider
    with pytest.raises(NotAuthenticated):
        accounts.user_of(token(head={"alg": "HS256", "typ": "JWT"}, sub="ada@example.org"))
