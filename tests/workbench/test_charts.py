"""The numbers behind the charts."""

from __future__ import annotations

import pytest

from fairlead.workbench import Bucket, Workbench
from fairlead.workbench.charts import Chart, charts, histogram, years
from fairlead.workbench.reading import read_state
from workbench.builders import a_series

YEARS = "Patients by year of study (draw over the years to choose them)"


def drawn(workbench: Workbench, *pairs: tuple[str, str]) -> dict[str, Chart]:
    return {chart.title: chart for chart in charts(read_state(pairs, workbench.catalogue), workbench)}


def buckets(*pairs: tuple[str | float | None, int]) -> list[Bucket]:
    return [Bucket(value, str(value), patients, patients) for value, patients in pairs]


def test_the_charts_of_the_archive(workbench: Workbench) -> None:
    found = drawn(workbench)
    assert found[YEARS].rows == (("2015", 2), ("2016", 2), ("2017", 2), ("2018", 2), ("2019", 10), ("2020", 2))
    assert ("CT", "Chest", 12) in found["Patients by modality and body part"].rows
    assert ("CT", "Siemens Healthineers", 7) in found["Patients by modality and manufacturer"].rows


def test_charts_show_only_what_the_filters_leave(workbench: Workbench) -> None:
    found = drawn(workbench, ("in.modality", "DCM:CT"), ("from.study_date", "2019-01-01"), ("to.patient.age_years", "50"))
    assert [row[0] for row in found[YEARS].rows] == ["2019", "2020"]
    assert found["Patients by modality and body part"].rows == (("CT", "Chest", 3),)


@pytest.mark.parametrize(
    ("pairs", "modalities"),
    [
        ([("not.modality", "DCM:CT")], {"MR", "SR"}),
        ([("in.modality", "DCM:CT"), ("unknown.modality", "in")], {"CT"}),
        ([("unknown.modality", "in")], set()),
        ([("unknown.modality", "out")], {"CT", "MR", "SR"}),
    ],
)
def test_a_cross_has_the_modalities_that_are_in(workbench: Workbench, pairs: list[tuple[str, str]], modalities: set[str]) -> None:
    found = drawn(workbench, *pairs)
    rows = found["Patients by modality and body part"].rows if modalities else ()
    assert {row[0] for row in rows} == modalities


def test_every_year_between_the_first_and_the_last_has_a_bar() -> None:
    chart = years(buckets(("2018", 3), ("2021", 1), (None, 9)))
    assert chart is not None
    assert chart.rows == (("2018", 3), ("2019", 0), ("2020", 0), ("2021", 1))


def test_nothing_is_drawn_where_nothing_is_stated() -> None:
    assert years(buckets((None, 4))) is None
    assert histogram(buckets((None, 4)), title="t", axis="a") is None


def test_a_histogram_keeps_every_number_in_an_interval_of_round_width() -> None:
    chart = histogram(buckets((0.5, 1), (34.0, 2), (35.0, 4), (60.0, 8)), title="t", axis="a")
    assert chart is not None
    assert chart.rows[0] == ("0–5", 1)
    assert chart.rows[-1] == ("60–65", 8)
    assert dict(chart.rows)["30–35"] == 2  # type: ignore[arg-type]
    assert sum(int(row[1]) for row in chart.rows) == 15


def test_the_picture_holds_the_numbers_of_the_table(workbench: Workbench) -> None:
    for chart in drawn(workbench).values():
        assert len(chart.spec["data"]["values"]) == len(chart.rows)
        assert chart.spec["$schema"].endswith("/v6.json")


def test_ages_are_a_pyramid_where_both_sexes_are_stated_and_bars_otherwise(workbench: Workbench) -> None:
    chart = drawn(workbench, ("in.modality", "DCM:CT"))["Patients by age and sex"]
    assert chart.rows[:2] == (("52–53", "F", 0), ("51–52", "F", 1))
    assert {sex: sum(int(row[2]) for row in chart.rows if row[1] == sex) for sex in "FM"} == {"F": 6, "M": 6}
    assert {value["side"] for value in chart.spec["data"]["values"] if value["sex"] == "F"} == {0, -1}
    assert "Patients by age" in drawn(workbench, ("in.patient.sex", "F"))


def test_several_centres_are_crossed_with_modalities(fresh: Workbench) -> None:
    assert not [title for title in drawn(fresh) if "centre" in title]
    record = a_series(400)
    there = record.model_copy(update={"core": record.core.model_copy(update={"id": "north:default:1.2.3.400", "center": "north"})})
    fresh.data.index.put([there])  # type: ignore[attr-defined]  # the real one
    rows = drawn(fresh)["Patients by modality and centre"].rows
    assert {("CT", "local", 12), ("CT", "north", 1), ("MR", "local", 8)} <= set(rows)
