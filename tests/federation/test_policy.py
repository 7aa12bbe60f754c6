"""Governance files that do not hold, and tokens that do not."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from fairlead.database import utc_now
from fairlead.errors import InvalidConfiguration, Unauthenticated
from fairlead.extract import load_catalogue
from fairlead.federation import load_policy
from fairlead.federation.bearer import check_bearer
from fairlead.federation.policy import Bearer
from fairlead.resources import configs_folder
from federation.builders import a_hub, governance

CATALOGUE = load_catalogue(configs_folder() / "fields.yaml")


def test_the_packaged_policy_answers_nobody():
    policy = load_policy(configs_folder() / "governance.yaml", CATALOGUE)
    assert (policy.hubs, policy.projects) == ((), ())
    assert (policy.disclosure.threshold, policy.disclosure.rounding, policy.disclosure.reveal_zero) == (10, 5, False)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"disclosure": {"threshold": 3}}, "disclosure.threshold"),
        ({"hubs": [{"name": "h", "public_key": "nonsense"}]}, "public key"),
        ({"projects": [{"name": "p", "hubs": ["nobody"], "purposes": ["x"], "approved_by": "s"}]}, "not among the hubs"),
        ({"fields": {"facets": ["no.such.field"]}}, "not in the catalogue"),
        ({"treshold": 10}, "treshold"),
    ],
    ids=["threshold", "key", "hub", "field", "typing error"],
)
def test_a_governance_file_that_does_not_hold_names_the_place(tmp_path, wrong, said):
    file = tmp_path / "governance.yaml"
    file.write_text(yaml.safe_dump({"version": "1"} | wrong))
    with pytest.raises(InvalidConfiguration, match=said):
        load_policy(file, CATALOGUE)


def test_the_hash_is_that_of_the_meaning_not_of_the_file(tmp_path):
    document = governance({"hub-a": a_hub()})
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text(yaml.safe_dump(document))
    two.write_text("# a comment\n" + json.dumps(document, indent=3))
    assert load_policy(one, CATALOGUE).sha256 == load_policy(two, CATALOGUE).sha256


@pytest.fixture
def provider(tmp_path):
    """Return an identity provider: the bearer settings, and a function that makes tokens."""
    key = Ed25519PrivateKey.generate()
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "1", "x": _text(raw)}]}))

    def token(algorithm="EdDSA", signer=key, **claims):
        now = utc_now()
        said = {"iss": "https://idp", "aud": "gateway", "exp": (now + timedelta(hours=1)).timestamp()} | claims
        parts = ".".join(_text(json.dumps(part).encode()) for part in ({"alg": algorithm, "kid": "1"}, said))
        return f"Bearer {parts}.{_text(signer.sign(parts.encode()))}"

    return Bearer(issuer="https://idp", audience="gateway", keys_file=file), token


def _text(raw):
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def test_a_token_of_the_provider_for_this_gateway_is_taken(provider):
    wanted, token = provider
    check_bearer(token(), wanted, now=utc_now())
    check_bearer(token(aud=["other", "gateway"]), wanted, now=utc_now())


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "other"}, {"iss": "https://evil"}, {"exp": 0}, {"nbf": 9e9}, {"algorithm": "none"}, {"algorithm": "RS256"},
        {"signer": Ed25519PrivateKey.generate()},
    ],
    ids=["audience", "issuer", "expired", "not yet", "none", "other algorithm", "other key"],
)  # fmt: skip
def test_any_other_token_is_refused(provider, changed):
    wanted, token = provider
    with pytest.raises(Unauthenticated, match="no valid token"):
        check_bearer(token(**changed), wanted, now=utc_now())


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer a.b.c", "Bearer ..", "Basic x", "Bearer " + "a" * 10_000])
def test_what_is_no_token_is_refused(provider, header):
    with pytest.raises(Unauthenticated, match="no valid token"):
        check_bearer(header, provider[0], now=utc_now())
