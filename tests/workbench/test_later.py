"""What comes after the numbers: folded values, and what each value would make of the whole."""

from __future__ import annotations

from fairlead.cohort import withdraw_consent
from fairlead.workbench import Workbench
from workbench.builders import a_series
from workbench.fakes import Client, Page, mounted

CHOSEN = "?in.modality=DCM:CT"


def afters(html: str) -> dict[str, str]:
    """Return the titles of the numbers behind the arrows."""
    return {found["id"] or "": found["title"] or "" for found in Page(html).all("span", **{"class": "after"}) if "title" in found}


def test_a_swap_leaves_out_what_can_come_later_and_the_whole_page_does_not(client: Client) -> None:
    whole, fragment = client.get(CHOSEN).text, client.get(CHOSEN, hx_request="true").text
    assert not Page(whole).all("div", id="becoming")
    [later] = Page(fragment).all("div", id="becoming")
    assert later["hx-get"] == "becoming?in.modality=DCM%3ACT"
    assert not afters(fragment)
    assert afters(client.get("becoming?in.modality=DCM%3ACT").text) == afters(whole)


def test_a_value_tells_what_it_would_make_of_the_whole(client: Client) -> None:
    told = sorted(afters(client.get(f"becoming{CHOSEN}").text).values())
    assert told == ["With it: 13 patients", "With it: 20 patients", "Without it: 24 patients"]


def test_folded_values_are_fetched_when_they_are_folded_out(fresh: Workbench) -> None:
    fresh.data.index.put([a_series(100 + number, manufacturer=f"Maker {number:02}") for number in range(12)])  # type: ignore[attr-defined]  # the real one
    client = Client(mounted(fresh))
    fragment = Page(client.get("", hx_request="true").text)
    [folded] = [found for found in fragment.all("details", id="more-manufacturer")]
    values = Page(client.get(str(folded["data-values"])).text)
    offered = [len(page.all("input", name="in.manufacturer")) for page in (fragment, values, Page(client.get().text))]
    assert offered == [8, 6, 14]


def test_a_card_that_does_not_exist_has_no_values(client: Client) -> None:
    assert client.get("values?card=series.description").status_code == 404


def test_the_withdrawn_are_neither_counted_nor_listed(fresh: Workbench) -> None:
    store = fresh.data.cohorts  # type: ignore[attr-defined]  # the real one
    withdraw_consent(store, "patient", "local:default:p" + "0" * 22 + "01", reason="consent withdrawn", by="dr.who")
    withdraw_consent(store, "series", "local:default:1.2.3.2", reason="consent withdrawn", by="dr.who")
    page = Page(Client(mounted(fresh)).get(f"{CHOSEN}&tab=table").text)
    assert "10 patients 10 studies 10 series" in page.text
    assert page.text.count("DICOM series") == 10 + 1  # and the card of kinds
