from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.builders import an_instance, an_item, items
from fairlead.extract.identity import Scrubber, identities, is_identifying, spellings


def test_names_and_numbers_of_a_person_are_identities_whole_and_in_parts() -> None:
    known = identities(an_instance())
    assert {"quibbleworth^zelda", "quibbleworth zelda", "quibbleworth", "zelda", "pid-774411", "19610413", "acc99127"} <= known


def test_every_name_of_a_multi_valued_one_is_an_identity() -> None:
    known = identities(an_instance(OperatorsName=["Brackenfold^Ines", "Thistlewick^Otto"]))
    assert {"brackenfold", "thistlewick"} <= known


def test_names_in_sequences_are_found_unless_the_look_is_narrowed_to_other_tags() -> None:
    nested = an_instance(RequestAttributesSequence=items(an_item(RequestingPhysician="Underhill^Rosa")))
    assert "underhill" in identities(nested)
    assert identities(nested, tags=[0x00080060]) == set()


@pytest.mark.parametrize(
    ("tag", "expected"), [(0x00100010, True), (0x00100020, True), (0x00081070, True), (0x00080060, False), (0x00091001, False)]
)
def test_identifying_attributes_are_listed_or_person_names(tag: int, expected: bool) -> None:
    assert is_identifying(tag) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Scan of Zelda Q", True),
        ("follow-up PID-774411/2", True),
        ("QUIBBLEWORTH", True),
        ("for Ann", True),
        ("annual control", False),
        ("T1 axial", False),
    ],
)
def test_free_text_that_contains_an_identity_repeats_it(text: str, expected: bool) -> None:
    scrubber = Scrubber(spellings("Quibbleworth^Zelda") | spellings("PID-774411") | spellings("Ann"))
    assert scrubber.repeats(text) is expected


def test_codes_are_compared_as_a_whole() -> None:
    scrubber = Scrubber(spellings("1000"))
    assert scrubber.equals(1000)
    assert not scrubber.equals("1.2.840.10008.1.2.1")


@given(st.text(alphabet="abcdefghij ^=", min_size=4, max_size=30))
def test_an_identity_is_found_in_any_text_around_it(name: str) -> None:
    scrubber = Scrubber(spellings(name))
    for form in spellings(name):
        assert scrubber.repeats(f"before {form} after")


@pytest.mark.parametrize(
    ("name", "text", "repeated"),
    [
        ("Li^Bo", "chest Bo", True),
        ("Li^Bo", "Bo Li 2021", True),
        ("Li^Bo", "libo_chest", True),
        ("Li^Bo", "lib bold", False),
        ("Doe^J", "J", False),
        ("X^Y", "scan of Y X", True),
        ("X^Y", "X-ray", False),
        ("Wang^XiaoDong=王^小東", "王小東 CT", True),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "山田様", True),
        ("Yamada^Tarou=山田^太郎", "山と田", False),
        ("CT^Ng", "CT chest", True),
    ],
)
def test_short_parts_of_a_name_are_found_as_words_and_in_the_whole_name(name: str, text: str, repeated: bool) -> None:
    assert Scrubber(identities(an_instance(PatientName=name, SpecificCharacterSet="ISO_IR 192"))).repeats(text) == repeated


def test_a_code_is_never_taken_for_a_name_of_two_letters() -> None:
    scrubber = Scrubber(identities(an_instance(PatientName="CT^Ng")))
    assert not scrubber.equals("CT")
