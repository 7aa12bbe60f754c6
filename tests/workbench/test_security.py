"""Form tokens and the origin check."""

from __future__ import annotations

import pytest

from fairlead.workbench.security import TOKEN_LIFETIME_S, ForgedRequest, check_origin, check_token, form_token

KEY, OTHER_KEY = b"k" * 32, b"o" * 32


def at(seconds: float):
    return lambda: seconds


def test_a_token_holds_for_its_user_until_it_expires() -> None:
    token = form_token(KEY, "7", clock=at(1000))
    check_token(token, KEY, "7", clock=at(1000 + TOKEN_LIFETIME_S))
    with pytest.raises(ForgedRequest, match="older than twelve hours"):
        check_token(token, KEY, "7", clock=at(1001 + TOKEN_LIFETIME_S))


@pytest.mark.parametrize(
    ("token", "says"),
    [
        pytest.param("", "no valid token", id="none"),
        pytest.param("x.y", "no valid token", id="no number"),
        pytest.param("٣.y", "no valid token", id="other digits"),
        pytest.param("9" * 13 + ".y", "no valid token", id="huge"),
        pytest.param("9999999999.", "not yours", id="no signature"),
        pytest.param("9999999999.ü", "not yours", id="not ASCII"),
        pytest.param(form_token(OTHER_KEY, "7"), "not yours", id="another key"),
        pytest.param(form_token(KEY, "8"), "not yours", id="another user"),
        pytest.param("9" + form_token(KEY, "7"), "not yours", id="prolonged"),
    ],
)
def test_a_token_that_this_page_did_not_give_to_this_user_is_refused(token: str, says: str) -> None:
    with pytest.raises(ForgedRequest, match=says):
        check_token(token, KEY, "7")


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"sec-fetch-site": "same-origin"}, id="fetch metadata"),
        pytest.param({"origin": "https://a.test:8443", "host": "a.test:8443"}, id="origin is host"),
    ],
)
def test_a_request_from_this_page_passes(headers: dict[str, str]) -> None:
    check_origin(headers)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="no statement"),
        pytest.param({"sec-fetch-site": "cross-site", "origin": "http://a.test", "host": "a.test"}, id="another site"),
        pytest.param({"sec-fetch-site": "same-site"}, id="a sister host"),
        pytest.param({"sec-fetch-site": "none"}, id="typed address"),
        pytest.param({"origin": "null", "host": "a.test"}, id="opaque origin"),
        pytest.param({"origin": "http://a.test.evil", "host": "a.test"}, id="look-alike"),
        pytest.param({"origin": "http://a.test:81", "host": "a.test"}, id="another port"),
        pytest.param({"origin": "", "host": ""}, id="empty"),
    ],
)
def test_a_request_from_elsewhere_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(ForgedRequest):
        check_origin(headers)
