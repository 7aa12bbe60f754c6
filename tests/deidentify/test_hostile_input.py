"""Damaged and hostile files: no error leaves, and what leaves holds no name."""

from __future__ import annotations

import sys
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from deidentify.ct_builders import KEY, SHARED_GROUPS, a_ct, as_file, encode
from fairlead.deidentify import Deidentifier, Profile, deidentify_file, load_profile
from fairlead.deidentify.identity import is_well_known
from fairlead.deidentify.table import Option

QUIET = Profile(name="quiet", title="t", dciodvfy="off")
LONGITUDINAL = load_profile("research-longitudinal").model_copy(update={"dciodvfy": "off"})


def a_rich_file() -> bytes:
    item = Dataset()
    item.PatientName, item.CodeMeaning = "Mustermann^Erika", "seen by Eisenbart"
    source = a_ct(SeriesDescription="Head Mustermann", ContentSequence=[item], PatientAge="093Y", ImageComments="head\\chest")
    source.add(DataElement(SHARED_GROUPS, "SQ", [item]))
    return as_file(source)


RICH = a_rich_file()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spots=st.lists(st.tuples(st.integers(132, len(RICH) - 1), st.integers(0, 255)), min_size=1, max_size=6), cut=st.integers(0, 400))
def test_flipped_bytes_and_cut_ends_never_raise(tmp_path: Path, spots: list[tuple[int, int]], cut: int) -> None:
    content = bytearray(RICH)
    for place, value in spots:
        content[place] = value
    (tmp_path / "a").write_bytes(bytes(content[: len(content) - cut]))
    outcome = deidentify_file(tmp_path / "a", Deidentifier(LONGITUDINAL, KEY))
    assert bool(outcome.content) != bool(outcome.reason)
    assert "Mustermann" not in outcome.reason


@pytest.mark.parametrize("tag", [0x00100010, 0x00080020, 0x0020000D, 0x00080080, 0x0008103E, 0x0040A730, 0x00081140, 0x00101010])
@pytest.mark.parametrize("vr", ["OB", "UN", "LT", "US", "SQ", "PN", "ZZ"])
@pytest.mark.parametrize("profile", [QUIET, LONGITUDINAL], ids=["basic", "research-longitudinal"])
def test_a_wrong_value_representation_hides_nothing(tag: int, vr: str, profile: Profile) -> None:
    source = dcmread(BytesIO(as_file(a_ct())))
    value = b"Mustermann, 12.08.1964, Berlin"
    source[tag] = RawDataElement(Tag(tag), vr, len(value), value, 0, False, True)
    content = b""
    with suppress(Exception):  # what pydicom raises is turned into a reason by deidentify_file
        content = encode(Deidentifier(profile, KEY).apply(source), syntax="1.2.840.10008.1.2.1")
    assert b"Mustermann" not in content


def test_several_lines_of_a_long_text_are_cleaned_together() -> None:
    source = dcmread(BytesIO(as_file(a_ct(ImageComments="head\r\nMustermann chest\\abdomen"))))
    output = Deidentifier(LONGITUDINAL, KEY).apply(source)
    content = encode(output, syntax="1.2.840.10008.1.2.1")
    assert dcmread(BytesIO(content)).ImageComments == "head chest\\abdomen"


def test_the_undamaged_file_passes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(RICH)
    assert deidentify_file(tmp_path / "a", Deidentifier(LONGITUDINAL, KEY)).reason == ""


def test_values_that_are_kept_by_an_option_are_not_searched_for() -> None:
    profile = Profile(name="uids", title="t", options=frozenset({Option.RETAIN_UIDS}))
    result = Deidentifier(profile, KEY).process(a_ct())
    assert result.identity.uids == set()
    assert result.dataset.SOPInstanceUID == "1.3.6.1.4.1.99999.1.3"


def test_no_cache_keeps_what_a_file_calls_a_uid() -> None:
    uid = "1." * 50_000 + "1"
    before = sys.getrefcount(uid)
    assert not is_well_known(uid)
    assert sys.getrefcount(uid) == before
