"""Compare, sets, search, samples and pictures, as a browser without scripts gets them."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, quote

import pytest

from fairlead.cohort import withdraw_consent
from fairlead.records import CohortSummary
from fairlead.workbench import Workbench, definition_of, state_of
from fairlead.workbench.reading import read_state
from workbench.fakes import Client, Page, mounted


def freeze(services: Workbench, title: str, **filters: str) -> CohortSummary:
    """Freeze a cohort of one filter each."""
    pairs = [(name.replace("__", "."), value) for name, value in filters.items()]
    document = definition_of(read_state(pairs, services.catalogue), title=title)
    return services.versions.freeze(document, author="ada", title=title, purpose="")


@pytest.fixture
def versions(fresh: Workbench) -> tuple[CohortSummary, CohortSummary, CohortSummary]:
    """Return CT v1, CT v2 (older patients only) and Women."""
    first = freeze(fresh, "CT", in__modality="DCM:CT")
    second = freeze(fresh, "CT", in__modality="DCM:CT", **{"from__patient.age_years": "45"})
    return first, second, freeze(fresh, "Women", **{"in__patient.sex": "F"})


@pytest.fixture
def client(fresh: Workbench) -> Client:
    return Client(mounted(fresh))


def test_a_version_is_compared_with_the_one_before_in_words_numbers_and_causes(client: Client, versions) -> None:  # type: ignore[no-untyped-def]
    page = Page(client.get(f"?tab=compare&version={versions[1].ref}").text)
    assert "CT v1 → CT v2" in page.text
    assert "added 0 removed 4 revised 0" in page.text
    assert "the definition was changed (4)" in page.text
    assert "condition added: age is at least 45 years" in page.text
    assert "Modality Value v1 v2 Bars CT 12 8" in page.text
    [link] = [found["href"] for found in page.all("a") if "how=subtract" in (found["href"] or "")]
    assert "4 patients" in Page(client.get((link or "").removeprefix("./")).text).text


def test_any_two_versions_are_compared(client: Client, versions) -> None:  # type: ignore[no-untyped-def]
    page = Page(client.get(f"?tab=compare&version={versions[2].ref}&against={versions[0].ref}").text)
    assert "Modality Value CT v1 Women v1 Bars CT 12 6" in page.text
    assert "added 0 removed 6 revised 0" in page.text


def test_three_versions_overlap_as_the_set_operations_say(client: Client, versions) -> None:  # type: ignore[no-untyped-def]
    marked = "&".join(f"of={version.ref}" for version in versions)
    html = client.get(f"?tab=sets&{marked}").text
    offered = dict(re.findall(r'<th scope="row">([^<]+)</th><td class="n">(\d+)</td>', html))
    assert offered == {
        "A or B or C": "12", "A and B and C": "4", "A and B": "8", "A and C": "6", "B and C": "4",
        "A without B, without C": "2", "B without A, without C": "0", "C without A, without B": "0",
    }  # fmt: skip
    assert re.findall(r'<td class="n">(\d+)</td><td class="n">(\d+)</td>', html) == [(number, number) for number in offered.values()]
    assert re.findall(r'<text class="letter"[^>]*>(.)</text>', html) == ["A", "B", "C"]
    offered = {words: number for words, number in offered.items() if number != "0"}  # nobody is not offered as a cohort
    links = [found["href"] or "" for found in Page(html.split('class="regions"')[1]).all("a") if "how=" in (found["href"] or "")]
    for words, link in zip(offered, links, strict=True):
        assert f"{offered[words]} series" in Page(client.get(link.removeprefix("./")).text).text, words


def test_every_region_of_the_diagram_opens_as_the_cohort_it_shows(client: Client, fresh: Workbench, versions) -> None:  # type: ignore[no-untyped-def]
    other = freeze(fresh, "MR and old", **{"from__patient.age_years": "44"})
    marked = "&".join(f"of={version.ref}" for version in (versions[0], versions[2], other))
    svg = client.get(f"?tab=sets&{marked}").text.split('<svg class="venn"')[1].split("</svg>")[0]
    regions = {found["aria-label"]: found["href"] or "" for found in Page(svg).all("a")}
    assert list(regions) == [
        "A without B, without C: 1 series, open as cohort",
        "A and B without C: 2 series, open as cohort",
        "C without A, without B: 4 series, open as cohort",
        "A and C without B: 5 series, open as cohort",
        "A and B and C: 4 series, open as cohort",
    ]
    for words, link in regions.items():
        assert f" {words.split(': ')[1].split()[0]} series" in Page(client.get(link.removeprefix("./")).text).text, words
    state = read_state(parse_qsl(regions["A and C without B: 5 series, open as cohort"].removeprefix("./?")), fresh.catalogue)
    assert state_of(definition_of(state), fresh.catalogue) == state


def test_a_diagram_of_equal_withdrawn_old_and_otherwise_counted_versions_is_drawn(client: Client, fresh: Workbench, versions) -> None:  # type: ignore[no-untyped-def]
    same = freeze(fresh, "The same", in__modality="DCM:CT")
    patients = fresh.versions.freeze({**same.definition, "unit": "patient"}, author="ada", title="Counted by patient", purpose="")
    withdraw_consent(fresh.data.cohorts, "series", "local:default:1.2.3.2", reason="consent", by="ada")  # type: ignore[attr-defined]  # the real one
    unnoted = freeze(fresh, "Unnoted", in__modality="DCM:MR")
    engine = fresh.data.cohorts.engine  # type: ignore[attr-defined]  # the real one
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE cohort_versions SET fingerprints = NULL WHERE title = 'Unnoted'")
    first = versions[0].ref
    for others in (
        [same.ref],
        [patients.ref],
        [unnoted.ref],
        [same.ref, patients.ref],
        [same.ref, unnoted.ref],
        [same.id],
        [same.id, same.ref],
    ):
        answer = client.get("?tab=sets&" + "&".join(f"of={ref}" for ref in (first, *others)))
        assert (answer.status_code, 'class="venn"' in answer.text) == (200, True), others
    assert client.get(f"?tab=sets&of={first}&of={versions[1].id}@99").status_code == 404


def test_a_set_operation_is_frozen_as_a_definition_and_opens_again(client: Client, fresh: Workbench, versions) -> None:  # type: ignore[no-untyped-def]
    link = f"?of={versions[0].ref}&of={versions[2].ref}&how=subtract&in.manufacturer=Siemens Healthineers"
    page = Page(client.get(link).text)
    answer = client.post("freeze", {"token": page.value_of("token"), "state": page.value_of("state"), "title": "Men"})
    version = fresh.versions.get(fresh.versions.newest()[0].ref)
    assert version.title == "Men"
    assert "Sets: subtract of 2 versions" in page.text
    assert "it is in “CT” v1" in page.text
    assert answer.headers["location"].startswith("./?in.manufacturer=Siemens+Healthineers&version=")
    again = state_of(version.definition, fresh.catalogue)
    assert again is not None
    assert (again.how, again.of) == ("subtract", (versions[0].ref, versions[2].ref))


def test_words_become_values_with_counts_and_one_link_for_all_of_them(client: Client) -> None:
    page = Page(client.get("?q=chest ct siem 2016").text)
    assert "Body part: Chest 12" in page.text
    assert "Manufacturer: Siemens Healthineers 7" in page.text
    [link] = [found["href"] for found in page.all("a", **{"class": "chip"})][:1]
    assert "2 patients" in Page(client.get((link or "").removeprefix("./")).text).text
    assert "No value here begins with spaceship." in Page(client.get("suggest?q=ct spaceship").text).text


@pytest.mark.parametrize(
    ("words", "chips", "query"),
    [
        ("head mri", ["All of these", "Body part: Head 8", "Modality: MR 8"], "in.body_part=SCT%3A69536005&in.modality=DCM%3AMR"),
        ("Brain MRI scans", ["All of these", "Body part: Head 8", "Modality: MR 8"], "in.body_part=SCT%3A69536005&in.modality=DCM%3AMR"),
        ("female over 50", ["All of these", "Age: from 50 years", "Sex: F 6"], "from.patient.age_years=50&in.patient.sex=F"),
        (
            "men 40 to 60 years",
            ["All of these", "Age: 40 to 60 years", "Sex: M 6"],
            "from.patient.age_years=40&to.patient.age_years=60&in.patient.sex=M",
        ),
        ("under 45", ["Age: up to 45 years"], "to.patient.age_years=45"),
        ("computed tomography", ["Modality: CT 12"], "in.modality=DCM%3ACT"),
    ],
)
def test_words_that_people_use_are_understood_and_each_value_is_offered_once(
    client: Client, words: str, chips: list[str], query: str
) -> None:
    html = client.get("suggest?q=" + quote(words)).text
    shown = [" ".join(re.sub("<[^>]*>", "", chip).split()) for chip in re.findall(r'<a class="chip".*?</a>', html)]
    assert shown == chips
    assert (Page(html).all("a", **{"class": "chip"})[0]["href"] or "") == f"./?{query}"


def test_the_sample_is_drawn_by_its_seed(client: Client) -> None:
    drawn = [
        re.findall(r'class="caption" aria-hidden="true">([^<]+)|Patient (p\w+)', client.get(f"?tab=samples&seed={seed}").text)
        for seed in (1, 1, 2)
    ]
    assert len([caption for caption, _ in drawn[0] if caption]) == 24
    assert drawn[0] == drawn[1] != drawn[2]


def test_what_is_new_since_a_version_is_shown_counted_and_opens_again(client: Client, fresh: Workbench, versions) -> None:  # type: ignore[no-untyped-def]
    page = Page(client.get(f"?tab=samples&in.modality=DCM:CT&version={versions[1].ref}").text)
    [link] = [found["href"] or "" for found in page.all("a", id="only-new")]
    new = Page(client.get(link.removeprefix("./")).text)
    assert "4 patients 4 studies 4 series" in new.text
    assert "(it is in “CT” v2)" in new.text
    assert not new.all("a", id="only-new")
    assert "24 patients" in Page(client.get((new.all("a", id="reset")[0]["href"] or "").removeprefix("./")).text).text
    state = read_state([("in.modality", "DCM:CT"), ("less", versions[1].ref)], fresh.catalogue)
    assert state_of(definition_of(state), fresh.catalogue) == state


def test_a_record_without_a_file_shows_why_and_a_made_up_ticket_is_not_found(client: Client) -> None:
    html = client.get("?tab=samples&in.modality=DCM:CT").text
    [address, *_] = re.findall(r'data-picture="([^"]+)', html)
    shown = client.get(address)
    assert (shown.status_code, shown.headers["content-type"]) == (200, "image/svg+xml")
    assert "The file is not" in shown.text
    assert client.get(address.replace("gAAAA", "gAAAB")).status_code == 404
    assert client.get("picture?of=local:default:1.2.3.1").status_code == 404
