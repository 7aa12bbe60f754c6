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
    html = client.get(f"becoming{CHOSEN}").text
    assert sorted(afters(html).values()) == [
        "With it: 13 patients, 1 more than now",
        "With it: 20 patients, 8 more than now",
        "Without it: 24 patients, 12 more than now",
    ]
    bars = Page(html)  # 12 now; 24 is the widest bar of the card
    assert [bar["width"] for bar in bars.all("rect", **{"class": "fill"})] == ["100.0", "83.3", "54.2"]
    assert {bar["x"] for bar in bars.all("rect", **{"class": "now"})} == {"50.0"}


def test_folded_values_are_fetched_when_they_are_folded_out(fresh: Workbench) -> None:
    fresh.data.index.put([a_series(100 + number, manufacturer=f"Maker {number:02}") for number in range(12)])  # type: ignore[attr-defined]  # the real one
    client = Client(mounted(fresh))
    fragment = Page(client.get("", hx_request="true").text)
    [folded] = [found for found in fragment.all("details", id="more-manufacturer")]
    values = Page(client.get(str(folded["data-values"])).text)
    offered = [len(page.all("input", name="in.manufacturer")) for page in (fragment, values, Page(client.get().text))]
    assert offered == [8, 6, 14]


def test_a_word_finds_values_of_a_card_wherever_they_are_with_scripts_and_without(fresh: Workbench) -> None:
    makers = [a_series(100 + number, manufacturer=f"Maker {number:02}") for number in range(60)]
    fresh.data.index.put(makers)  # type: ignore[attr-defined]  # the real one
    client = Client(mounted(fresh))
    whole = Page(client.get("?in.manufacturer=GE+HealthCare").text)
    [box] = whole.all("input", id="find-manufacturer")
    assert not whole.all("input", id="find-modality")  # three values need no search
    for link in (f"{box['hx-get']}&find.manufacturer=MAKER+5", "?in.manufacturer=GE+HealthCare&find.manufacturer=MAKER+5"):
        offered = [found["value"] for found in Page(client.get(link).text).all("input", type="checkbox", name="in.manufacturer")]
        assert offered == [
            "GE HealthCare",
            "Maker 05",
            "Maker 15",
            "Maker 25",
            "Maker 35",
            "Maker 45",
            *(f"Maker {n}" for n in range(50, 60)),
        ]
    many = Page(client.get("card?card=manufacturer&find.manufacturer=maker").text)
    assert len(many.all("input", name="in.manufacturer")) == 20
    assert "40 rarer ones: say more of the word." in many.text
    nothing = client.get("card?card=manufacturer&find.manufacturer=%3Cb%3Ezzz").text
    assert "No value here contains “&lt;b&gt;zzz”." in nothing
    swapped = client.get("?find.manufacturer=maker+05", hx_request="true")
    assert swapped.headers["hx-push-url"] == "./?"


def test_a_card_that_does_not_exist_has_no_values(client: Client) -> None:
    assert client.get("card?card=series.description").status_code == 404
    assert client.get("values?card=series.description").status_code == 404


def test_the_withdrawn_are_neither_counted_nor_listed(fresh: Workbench) -> None:
    store = fresh.data.cohorts  # type: ignore[attr-defined]  # the real one
    withdraw_consent(store, "patient", "local:default:p" + "0" * 22 + "01", reason="consent withdrawn", by="dr.who")
    withdraw_consent(store, "series", "local:default:1.2.3.2", reason="consent withdrawn", by="dr.who")
    page = Page(Client(mounted(fresh)).get(f"{CHOSEN}&tab=table").text)
    assert "10 patients 10 studies 10 series" in page.text
    assert page.text.count("DICOM series") == 10 + 1  # and the card of kinds
