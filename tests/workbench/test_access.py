"""Who may do what: every route asks, static scripts are the only public thing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fastapi import HTTPException
from starlette.routing import Mount, Route

from fairlead.cohort import withdraw_consent
from fairlead.workbench import User, Workbench, create_app, definition_of
from fairlead.workbench.pictures import Tickets
from fairlead.workbench.state import PageState
from workbench.builders import a_series
from workbench.fakes import Client, Page, deny, doctor, mounted

ROUTES = [
    "",
    "?tab=table",
    "definition",
    "open?version=00000000-0000-4000-8000-000000000000@1",
    "exports?run=r1",
    "suggest?q=ct",
    "picture?of=x",
    "look?of=x",
    "becoming",
    "values?card=modality",
    "card?card=modality",
    "members?version=0@1",
]


def sign_in() -> None:
    raise HTTPException(401, "Not authenticated", headers={"WWW-Authenticate": "Bearer"})


def test_the_tests_know_every_route(workbench: Workbench) -> None:
    app = create_app(workbench, current_user=doctor, may_read=deny, may_freeze=deny)
    ours = {route.path for route in app.routes if isinstance(route, Route) and not route.path.startswith("/centers/")}
    changing = {"/freeze", "/drafts", "/drafts/discard"}
    assert ours - changing == {f"/{route.split('?')[0]}" for route in ROUTES}
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


# --- projects ---------------------------------------------------------------------------------------------------------------

LUNG = User("8", "lung doctor", projects=frozenset({"lung"}))


@pytest.fixture
def two_projects(fresh: Workbench) -> Workbench:
    """Return an archive of project default with two series of project lung, and a cohort and a draft of default."""
    record = a_series(1)
    records = [
        record.model_copy(update={"core": record.core.model_copy(update={"id": f"local:lung:{n}", "project": "lung"})}) for n in (1, 2)
    ]
    fresh.data.index.put(records)  # type: ignore[attr-defined]
    fresh.versions.freeze(definition_of(PageState()), author="dr.who", title="Of everybody", purpose="")
    fresh.drafts.create(definition_of(PageState()), title="Draft of everybody", author="dr.who")
    return fresh


@pytest.fixture
def lung(two_projects: Workbench) -> Client:
    return Client(mounted(two_projects, user=lambda: LUNG))


def test_a_user_of_one_project_counts_its_records_only_whatever_the_link_asks(lung: Client) -> None:
    for link in ("", "?in.project=default&in.project=lung", "?unknown.model=in"):
        assert "1 patient 1 study 2 series" in Page(lung.get(link).text).text
    assert "0 patients" in Page(lung.get("?in.project=default").text).text
    assert [found["value"] for found in Page(lung.get().text).all("input", name="in.project")] == ["lung"]
    assert Page(lung.get("?tab=table").text).text.count("DICOM series") == 2 + 1


def test_cohorts_drafts_and_records_of_another_project_are_not_there(lung: Client, two_projects: Workbench) -> None:
    assert "Of everybody" not in lung.get().text
    assert "Draft of everybody" not in lung.get().text
    [version] = two_projects.versions.newest()
    [draft] = two_projects.drafts.list()
    for link in (f"?version={version.ref}", f"?tab=sets&of={version.ref}&of={version.id}@2", f"?of={version.ref}&how=union"):
        assert lung.get(link).status_code == 404, link
    ticket = Tickets(two_projects.form_key).issue("local:default:1.2.3.1")
    assert lung.get(f"picture?of={ticket}").status_code == 404
    page = Page(lung.get().text)
    form = {"token": page.value_of("token"), "title": "T", "state": f"draft={draft.id}&rev=1"}
    assert lung.post("drafts", form).status_code == lung.post("drafts/discard", form).status_code == 404
    assert two_projects.drafts.list() == (draft,)


def test_what_a_user_of_one_project_freezes_belongs_to_it(lung: Client, two_projects: Workbench) -> None:
    page = Page(lung.get().text)
    form = {"token": page.value_of("token"), "state": page.value_of("state"), "title": "Of everybody"}
    assert lung.post("freeze", form).status_code == 303
    mine, other = two_projects.versions.newest()
    assert (mine.project, mine.counts.series, mine.definition["scope"]) == ("lung", 2, {"projects": ["lung"]})
    assert mine.id != other.id
    assert "Of everybody v1" in Page(lung.get(f"?version={mine.ref}").text).text


def test_who_belongs_to_no_project_sees_nothing(two_projects: Workbench) -> None:
    answer = Client(mounted(two_projects, user=lambda: User("9", "nobody", projects=frozenset()))).get()
    assert (answer.status_code, "You belong to no project" in answer.text) == (403, True)


# --- roles ------------------------------------------------------------------------------------------------------------------


def test_who_may_not_change_anything_is_not_offered_to(fresh: Workbench) -> None:
    version = fresh.versions.freeze(definition_of(PageState()), author="a", title="All", purpose="")
    client = Client(mounted(fresh, user=lambda: User("9", "guest", may_change=False)))
    page = Page(client.get(f"?version={version.ref}").text)
    assert not [form for form in page.all("form") if form.get("method") == "post" or form.get("id") == "export"]
    assert "Looking only" in page.text
    assert "24 patients" in page.text


@pytest.mark.parametrize("tab", ["table", "samples"])
def test_who_may_count_only_sees_no_single_record(fresh: Workbench, tab: str) -> None:
    before = fresh.audit.entries()
    client = Client(mounted(fresh, user=lambda: User("9", "counter", sees_records=False)))
    answer = client.get(f"?tab={tab}")
    assert "24 patients" in Page(answer.text).text
    assert "You may see counts, not single records." in answer.text
    assert "p0000" not in answer.text
    assert client.get("picture?of=x").status_code == 403
    assert fresh.audit.entries() == before


def test_every_look_at_records_and_every_change_is_in_the_audit_chain(fresh: Workbench) -> None:
    client, before = Client(mounted(fresh)), len(fresh.audit.entries())
    page = Page(client.get("?tab=table&in.modality=DCM:CT").text)
    client.post("freeze", {"token": page.value_of("token"), "state": page.value_of("state"), "title": "T"})
    client.post("drafts", {"token": page.value_of("token"), "state": page.value_of("state"), "title": "T"})
    assert [(entry.who, entry.what) for entry in fresh.audit.entries()[before:]] == [
        ("dr.who", "look-table"),
        ("dr.who", "freeze"),
        ("dr.who", "save-draft"),
    ]
    assert fresh.audit.verify() == before + 3


def test_records_whose_consent_was_withdrawn_are_counted_and_never_shown(fresh: Workbench) -> None:
    store = fresh.versions.cohorts  # type: ignore[attr-defined]
    withdraw_consent(store, "patient", f"local:default:p{1:024x}", reason="consent withdrawn", by="steward")
    withdraw_consent(store, "series", "local:default:1.2.3.2", reason="consent withdrawn", by="steward")
    client = Client(mounted(fresh))
    assert Page(client.get("?in.modality=DCM:CT&tab=table").text).text.count("DICOM series") == 10 + 1
    for record in ("local:default:1.2.3.1", "local:default:1.2.3.2"):
        assert client.get(f"picture?of={Tickets(fresh.form_key).issue(record)}").status_code == 404


class Elsewhere:
    """Other centres that nobody may reach in this test."""

    def names(self) -> tuple[str, ...]:
        return ("there",)

    def project(self) -> str:
        return "p"

    def ask(self, definition: object, *, person: str) -> object:
        raise AssertionError("a centre was asked")


@pytest.mark.parametrize(("projects", "status"), [(frozenset(), 403), (frozenset({"lung"}), 404)])
def test_other_centres_are_not_asked_about_what_a_user_may_not_see(two_projects: Workbench, projects: frozenset[str], status: int) -> None:
    [version] = two_projects.versions.newest()
    services = replace(two_projects, centers=Elsewhere())  # type: ignore[arg-type]
    client = Client(mounted(services, user=lambda: User("9", "somebody", projects=projects)))
    assert client.get(f"centers/answers?of={version.ref}&how=union").status_code == status
