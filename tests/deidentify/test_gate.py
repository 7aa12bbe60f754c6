"""The gate finds what the walk would miss, and what fails is not written."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from deidentify.ct_builders import KEY, SHARED_GROUPS, a_ct, as_file, encode, reread
from fairlead.deidentify import Deidentifier, Profile, deidentify_file, gate, load_profile
from fairlead.deidentify.conformance import Crashed, errors_of, new_errors, without_values
from fairlead.deidentify.identity import Identity, is_harmless
from fairlead.deidentify.table import Option

BASIC = load_profile("basic")
QUIET = Profile(name="quiet", title="t", dciodvfy="off")
A_PROFILE = (142).to_bytes(4, "big") + bytes(32) + b"acsp" + bytes(88) + b"..Mustermann.."
LONGITUDINAL = load_profile("research-longitudinal")


def write(path: Path, dataset: Dataset) -> Path:
    path.write_bytes(as_file(dataset))
    return path


def test_free_text_that_repeats_the_name_is_replaced(tmp_path: Path) -> None:
    item = Dataset()
    item.Manufacturer = "built for Mustermann"
    source = a_ct(Manufacturer="Scanner of MUSTERMANN", ManufacturerModelName="ACME 3000")
    source.add(DataElement(SHARED_GROUPS, "SQ", [item]))
    outcome = deidentify_file(write(tmp_path / "a", source), Deidentifier(QUIET, KEY))
    output = dcmread(BytesIO(outcome.content))
    assert b"mustermann" not in outcome.content.lower()
    assert (output.Manufacturer, output.ManufacturerModelName) == ("REMOVED", "ACME 3000")


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("BodyPartExamined", "ACC998877"), ("ScanOptions", "X ACC998877"), ("KVP", "998877.123"), ("ICCProfile", A_PROFILE)],
)
def test_identity_where_it_cannot_be_emptied_is_quarantined_by_its_tag(tmp_path: Path, keyword: str, value: object) -> None:
    source = a_ct(AccessionNumber="998877.123" if keyword == "KVP" else "ACC998877")
    setattr(source, keyword, value)
    outcome = deidentify_file(write(tmp_path / "a", source), Deidentifier(QUIET, KEY))
    assert outcome.content == b""
    assert outcome.reason.startswith("residual-identity: ")
    assert f"{source[keyword].tag:08X}"[:4] in outcome.reason
    for secret in ("MRN-4711-X", "ACC998877", "Mustermann", "998877.123"):
        assert secret not in outcome.reason


def test_a_date_of_the_patient_in_a_text_is_found_but_a_shifted_date_that_meets_it_is_not(tmp_path: Path) -> None:
    text = deidentify_file(write(tmp_path / "a", a_ct(ScanOptions="X20200229")), Deidentifier(LONGITUDINAL, KEY))
    assert "original date" in text.reason
    days = Deidentifier(LONGITUDINAL, KEY).person(a_ct()).days
    from datetime import date, timedelta

    meeting = (date(2020, 2, 29) - timedelta(days=days)).strftime("%Y%m%d")
    met = deidentify_file(write(tmp_path / "b", a_ct(SeriesDate=meeting)), Deidentifier(LONGITUDINAL, KEY))
    assert dcmread(BytesIO(met.content)).SeriesDate == "20200229"


def output_and_identity(profile: Profile = BASIC) -> tuple[Dataset, Identity]:
    result = Deidentifier(profile, KEY).process(reread(a_ct()))
    return dcmread(BytesIO(encode(result.dataset, syntax="1.2.840.10008.1.2.1"))), result.identity


def test_a_clean_output_has_no_breach() -> None:
    assert gate.breaches(*output_and_identity(), BASIC) == []


@pytest.mark.parametrize(
    ("tag", "vr", "value", "what"),
    [
        (0x00104000, "LT", "comment", "removed"),
        (0x00080050, "SH", "A1", "empty"),
        (0x00200052, "UI", "1.2.3.4", "mapped uid"),
        (0x00091001, "LO", "x", "private"),
        (0x50003000, "OW", b"ab", "curve"),
        (0x60003000, "OW", b"ab", "overlay"),
    ],
)
@pytest.mark.parametrize("nested", [False, True], ids=["top", "nested"])
def test_each_breach_of_the_table_is_found(*, tag: int, vr: str, value: object, what: str, nested: bool) -> None:
    output, identity = output_and_identity()
    place = output
    if nested:
        place = Dataset()
        output.add(DataElement(SHARED_GROUPS, "SQ", [place]))
    place.add(DataElement(tag, vr, value))
    assert [what in finding.what for finding in gate.breaches(output, identity, BASIC)] == [True]


def test_preamble_and_meta_are_looked_at() -> None:
    output, identity = output_and_identity()
    output.preamble = b"Mustermann".ljust(128, b"\0")
    output.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    assert [finding.tag for finding in gate.breaches(output, identity, BASIC)] == [0, 0x00020003]


def test_the_header_of_a_deflated_file_is_searched_inflated() -> None:
    made = a_ct(Manufacturer="for Mustermann")
    made.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    source = reread(made)
    content = encode(source, syntax="1.2.840.10008.1.2.1.99")
    assert b"Mustermann" not in content
    assert b"mustermann" in gate.header_bytes(content, dcmread(BytesIO(content))).lower()


def test_pixel_values_are_no_header() -> None:
    source = a_ct(PixelData=b"Mustermann", Rows=1, Columns=10, BitsAllocated=8, SamplesPerPixel=1)
    content = as_file(source).replace(b"Mustermann^Erika", b"x" * 16)
    assert b"mustermann" not in gate.header_bytes(content, dcmread(BytesIO(content))).lower()


@pytest.mark.parametrize(("text", "stays"), [("seen by Leop.", False), ("LEOPOLD. twice", False), ("leopard. seen", True), ("Leop", True)])
def test_a_name_cut_short_with_a_full_stop_is_still_a_name(tmp_path: Path, text: str, stays: bool) -> None:
    (tmp_path / "a.dcm").write_bytes(as_file(a_ct(PatientName="Leopoldine^Anna", ReconstructionMethod=text)))
    outcome = deidentify_file(tmp_path / "a.dcm", Deidentifier(load_profile("basic"), KEY))
    assert (outcome.reason, dcmread(BytesIO(outcome.content)).ReconstructionMethod) == ("", text if stays else "REMOVED")


@pytest.mark.parametrize(
    ("value", "haystack", "found"),
    [
        ("Lowe", b"slower", False),
        ("Lowe", b"dr lowe, md", True),
        ("O'Neil", b"ONEIL COIL", True),
        ("Li Wu", b"for LiWu", True),
        ("O'Neil", b"colonel, oneill", False),
        ("4711", b"14711.5", False),
        ("4711", b"id 4711", True),
        ("Eisenbart", b"xeisenbartx", True),
        ("Müller", "dr müller".encode("latin-1"), True),
        ("Müller", "dr müller".encode(), True),
        ("Eisenbart", "eisenbart".encode("utf-16-le"), True),
    ],
)
def test_short_values_count_as_whole_words_and_every_encoding_is_searched(value: str, haystack: bytes, *, found: bool) -> None:
    assert bool(Identity(texts={value}).found_in(haystack, with_dates=False)) is found


def test_a_uid_is_not_found_inside_a_longer_one() -> None:
    identity = Identity(uids={"1.2.3.4"})
    assert not identity.found_in(b"1.2.3.4.5 11.2.3.4 1.2.3.45", with_dates=False)
    assert identity.found_in(b"see 1.2.3.4\0", with_dates=False)


@pytest.mark.parametrize(("text", "harmless"), [("HEAD", True), ("Anonymous", True), ("0000", True), ("Erika", False), ("4711", False)])
def test_placeholders_and_body_parts_are_no_identity(text: str, *, harmless: bool) -> None:
    assert is_harmless(text) is harmless


@given(st.text(min_size=6).filter(lambda text: text.strip() == text and "\\" not in text and not is_harmless(text)))
def test_what_was_collected_is_found_again_in_utf8(text: str) -> None:
    identity = Identity(texts={text})
    assert text.isdigit() or identity.found_in(b"<" + text.lower().encode() + b">", with_dates=False)


def test_errors_are_compared_without_their_values() -> None:
    assert without_values('Error - Bad <A^B> in "1.2" 1.2.3') == "Error - Bad * in * *"


def test_only_what_is_new_counts() -> None:
    from collections import Counter

    assert new_errors(Counter({"a": 2, "b": 1}), Counter({"a": 3, "c": 1})) == ["a", "c"]


def a_program(folder: Path, script: str) -> str:
    program = folder / "checker"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return str(program)


def test_a_new_error_of_the_checker_sends_the_file_to_quarantine(tmp_path: Path) -> None:
    program = a_program(tmp_path, "grep -qa Fairlead && echo 'Error - now broken' >&2; exit 0")
    outcome = deidentify_file(write(tmp_path / "a", a_ct()), Deidentifier(BASIC, KEY), program=program)
    assert (outcome.content, outcome.new_errors) == (b"", 1)
    assert "now broken" in outcome.reason


def test_an_old_error_of_the_checker_does_not(tmp_path: Path) -> None:
    program = a_program(tmp_path, "cat >/dev/null; echo 'Error - was always broken' >&2; exit 1")
    outcome = deidentify_file(write(tmp_path / "a", a_ct()), Deidentifier(BASIC, KEY), program=program)
    assert (outcome.reason, outcome.checked) == ("", True)


def test_a_checker_that_cannot_be_run_is_no_pass(tmp_path: Path) -> None:
    outcome = deidentify_file(write(tmp_path / "a", a_ct()), Deidentifier(BASIC, KEY), program=str(tmp_path / "absent"))
    assert (outcome.content, outcome.reason) == (b"", "dciodvfy cannot be run")


def test_a_checker_that_aborts_on_the_output_only_is_no_pass(tmp_path: Path) -> None:
    program = a_program(tmp_path, "grep -qa Fairlead && kill -SEGV $$; exit 0")
    outcome = deidentify_file(write(tmp_path / "a", a_ct()), Deidentifier(BASIC, KEY), program=program)
    assert (outcome.content, "aborts on the output" in outcome.reason) == (b"", True)


def test_a_checker_that_aborts_on_the_source_too_has_compared_nothing(tmp_path: Path) -> None:
    program = a_program(tmp_path, "kill -SEGV $$")
    with pytest.raises(Crashed):
        errors_of((b"",), program)
    outcome = deidentify_file(write(tmp_path / "a", a_ct()), Deidentifier(BASIC, KEY), program=program)
    assert (outcome.reason, outcome.checked) == ("", False)


def test_the_checker_gets_a_file_that_it_can_seek_in(tmp_path: Path) -> None:
    program = a_program(tmp_path, "test -f /proc/self/fd/0 || echo 'Error - on a pipe it recognises nothing'")
    assert not errors_of((b"x" * 100,), program)


def test_full_dates_may_stay_where_the_profile_says_so(tmp_path: Path) -> None:
    profile = Profile(name="full", title="t", options=frozenset({Option.RETAIN_FULL_DATES}), dciodvfy="off")
    outcome = deidentify_file(write(tmp_path / "a", a_ct()), Deidentifier(profile, KEY))
    output = dcmread(BytesIO(outcome.content))
    assert (output.StudyDate, output.LongitudinalTemporalInformationModified) == ("20200229", "UNMODIFIED")
