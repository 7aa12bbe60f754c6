from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.extract.readings import age_between, as_age_years, as_boolean, as_date, as_float, as_integer, as_text


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("052W", 0.997),
        ("018M", 1.5),
        ("365D", 0.999),
        ("000D", 0.0),
        ("003D", 0.008),
        ("045Y", 45.0),
        ("45y", 45.0),
        (" 007Y ", 7.0),
    ],
)
def test_an_age_is_in_years_whatever_its_unit(text: str, years: float) -> None:
    assert as_age_years(text) == pytest.approx(years, abs=1e-3)


@pytest.mark.parametrize("text", ["000Y", "N-A", "", "45", "Y", "-12Y", "1000Y", "999Y", "045YY"])
def test_what_is_no_age_gives_none(text: str) -> None:
    assert as_age_years(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20210315", date(2021, 3, 15)),
        ("2021.03.15", date(2021, 3, 15)),
        ("20200101233000+0500", date(2020, 1, 1)),
        ("20200101003000.000000-1100", date(2020, 1, 1)),
        ("20200329023000", date(2020, 3, 29)),
        ("20201025023000+0100", date(2020, 10, 25)),
        ("2010-02-23T12:51:30", date(2010, 2, 23)),
        ("2020-02-29T23:59:59.999Z", date(2020, 2, 29)),
    ],
)
def test_a_date_is_the_calendar_date_as_written(text: str, expected: date) -> None:
    assert as_date(text) == expected


@pytest.mark.parametrize("text", ["", "2021", "20211301", "20210230", "00000000", "not a date", "202103"])
def test_an_impossible_date_is_none_and_no_error(text: str) -> None:
    assert as_date(text) is None


@given(st.text(max_size=40))
def test_no_text_makes_a_reading_fail(text: str) -> None:
    for reading in (as_text, as_float, as_integer, as_date, as_age_years, as_boolean):
        reading(text)


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)), st.sampled_from(["", "235959", "120000+1400", "000000-1200"]))
def test_a_time_or_offset_never_moves_a_date(day: date, tail: str) -> None:
    assert as_date(f"{day:%Y%m%d}{tail}") == day


@given(st.dates(date(1900, 1, 1), date(2026, 1, 1)), st.integers(0, 100 * 365))
def test_the_age_between_two_dates_does_not_give_the_birth_date_away(born: date, days: int) -> None:
    age = age_between(born, born + timedelta(days=days))
    assert age is not None
    assert age == round(age, 1)


def test_an_age_needs_both_dates_in_order() -> None:
    assert age_between(None, date(2020, 1, 1)) is None
    assert age_between(date(2021, 1, 1), date(2020, 1, 1)) is None


@pytest.mark.parametrize(("text", "expected"), [("1.0", 1), ("1.5", None), ("1A", None), ("1e300", None), (float("inf"), None)])
def test_a_whole_number_fits_64_bits_or_is_none(text: object, expected: int | None) -> None:
    assert as_integer(text) == expected


def test_text_is_cut_and_cleaned() -> None:
    assert as_text("\x00 a\tb \x1b[0m") == "ab [0m"
    assert len(as_text("x" * 2000) or "") == 512


@pytest.mark.parametrize(("text", "expected"), [("YES", True), ("no", False), ("maybe", None)])
def test_yes_and_no_are_booleans(text: str, expected: bool | None) -> None:
    assert as_boolean(text) is expected
