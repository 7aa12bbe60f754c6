"""Distributions of people: nothing that single persons could be found by, and shares that add up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fairlead.publish.tallies import disclosed, tallies
from fairlead.records import DicomMetadata, ImagingRecord, Tally
from publish.fakes import an_imaging_record


def a_person(number: int, *, sex: str = "F", age: float = 50, manufacturer: str = "Siemens") -> ImagingRecord:
    """Return one series of one person."""
    record = an_imaging_record(number)
    attributes = {"patient.sex": sex, "patient.age_years": age, "manufacturer": manufacturer}
    community = record.community.model_copy(update={"dicom": DicomMetadata(attributes=attributes)})
    core = record.core.model_copy(update={"patient_key": f"p{number:024d}"})
    return record.model_copy(update={"core": core, "community": community})


def by_name(records: list[ImagingRecord], threshold: int = 5) -> dict[str, Tally]:
    """Return the tallies of records by name."""
    return {tally.name: tally for tally in tallies(records, threshold=threshold)}


def test_shares_of_people_are_steps_of_five_percent():
    people = [a_person(number, sex="F" if number < 13 else "M", age=40 + number) for number in range(20)]
    found = by_name(people)
    assert dict(found["Sex"].cells) == {"female": 65, "male": 35}
    assert dict(found["Age at the study"].cells) == {"40 to 49": 50, "50 to 59": 50}
    assert dict(found["Modality"].cells) == {"Computed Tomography": 100}


def test_few_people_are_not_shown_at_all():
    found = by_name([a_person(number) for number in range(4)])
    assert (found["Sex"].cells, found["Sex"].hidden_below) == ((), 5)
    assert (found["Age at the study"].cells, found["Centre"].cells) == ((), ())


def test_the_oldest_are_one_group_and_the_unknown_another():
    people = [a_person(number, age=91 + number) for number in range(10)] + [a_person(20 + number, age="x") for number in range(10)]
    assert dict(by_name(people)["Age at the study"].cells) == {"90 and over": 50, "not stated": 50}


def test_a_person_is_counted_once_however_many_series_there_are():
    twice = [a_person(1).model_copy(update={"core": a_person(1).core.model_copy(update={"id": f"local:default:{n}"})}) for n in range(20)]
    assert by_name(twice)["Sex"].cells == ()


def test_words_that_no_vocabulary_knows_stay_in_the_house():
    people = [a_person(number) for number in range(10)]
    odd = [item.model_copy(update={"core": item.core.model_copy(update={"licence": "ask Dr Miller"})}) for item in people]
    found = by_name(odd)
    assert dict(found["Licence stated by the source"].cells) == {"others": 100}
    assert dict(found["Body part"].cells) == {"not stated": 100}  # the header says DOE^JANE CHEST


@given(st.dictionaries(st.text("abcdef", min_size=1, max_size=2), st.integers(1, 60), max_size=8), st.integers(2, 20))
def test_no_cell_and_no_difference_is_below_the_threshold(counts: dict[str, int], threshold: int):
    shown = disclosed(counts, threshold=threshold)
    assert all(number >= threshold for number in shown.values())
    assert sum(shown.values()) in (0, sum(counts.values()))
    kept = {label: number for label, number in shown.items() if label != "others"}
    hidden = sum(counts.values()) - sum(kept.values())
    assert not shown or hidden == 0 or hidden >= threshold
