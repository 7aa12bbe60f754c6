"""Who may do what: every route asks, static scripts are the only public thing."""

from __future__ import annotations

import pytest
from fastapi import HTTPException
from starlette.routing import Mount, Route

from fairlead.workbench import Workbench, create_app
from workbench.fakes import Client, Page, deny, doctor, mounted

ROUTES = ["", "?tab=table", "definition", "exports?run=r1"]


def sign_in() -> None:
    raise HTTPException(401, "Not authenticated", headers={"WWW-Authenticate": "Bearer"})


def test_the_tests_know_every_route(workbench: Workbench) -> None:
    app = create_app(workbench, current_user=doctor, may_read=deny, may_freeze=deny)
    assert {route.path for route in app.routes if isinstance(route, Route)} == {"/", "/definition", "/freeze", "/exports"}
    assert {route.path for route in app.routes if isinstance(route, Mount)} == {"/static"}


@pytest.mark.parametrize("route", ROUTES)
def test_who_may_not_read_gets_403_and_no_number(workbench: Workbench, route: str) -> None:
    answer = Client(mounted(workbench, may_read=deny)).get(route)
    assert answer.status_code == 403
    assert "patients" not in answer.text


@pytest.mark.parametrize("route", ROUTES)
def test_who_is_not_signed_in_gets_401_and_the_challenge(workbench: Workbench, route: str) -> None:
    answer = Client(mounted(workbench, may_read=sign_in)).get(route)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert "Sign in to Airflow" in answer.text


def test_a_user_who_cannot_be_named_gets_no_page(workbench: Workbench) -> None:
    assert Client(mounted(workbench, user=sign_in)).get().status_code == 401


def test_who_may_read_but_not_freeze_sees_the_page_and_is_refused_at_the_form(fresh: Workbench) -> None:
    client = Client(mounted(fresh, may_freeze=deny))
    page = Page(client.get("?in.modality=DCM:CT").text)
    answer = client.post("freeze", {"token": page.value_of("token"), "state": page.value_of("state"), "title": "T"})
    assert (answer.status_code, "Ask an administrator" in answer.text) == (403, True)
    assert fresh.versions.newest() == ()


def test_who_may_not_read_may_not_freeze_either(fresh: Workbench) -> None:
    page = Page(Client(mounted(fresh)).get().text)
    client = Client(mounted(fresh, may_read=deny))
    answer = client.post("freeze", {"token": page.value_of("token"), "state": "", "title": "T"})
    assert answer.status_code == 403
    assert fresh.versions.newest() == ()
