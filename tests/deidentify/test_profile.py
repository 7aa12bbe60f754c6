"""Profiles: what is packaged, what is refused, and what the digest depends on."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread

from deidentify.ct_builders import KEY, a_ct, as_file
from fairlead.deidentify import Deidentifier, Profile, deidentify_file, load_profile, profile_names
from fairlead.deidentify.profile import tag_of
from fairlead.deidentify.table import Option
from fairlead.errors import InvalidConfiguration


def test_the_packaged_profiles_load_and_state_their_codes() -> None:
    assert {name: load_profile(name).codes for name in profile_names()} == {
        "basic": ("113100",),
        "keep-device": ("113100", "113105", "113109"),
        "pixel-strict": ("113100",),
        "research-longitudinal": ("113100", "113103", "113104", "113105", "113107", "113108"),
    }


def test_a_bare_off_is_taken_although_yaml_reads_it_as_false(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\ntitle: Mine\ndciodvfy: off\n")
    assert load_profile(file).dciodvfy == "off"


def test_a_profile_is_its_file_or_its_name(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\ntitle: Mine\noptions: [retain_uids]\n")
    assert load_profile(file).codes == ("113100", "113110")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x\ntitle: t\noptions: [retain_full_dates, retain_modified_dates]", "exclude each other"),
        ("name: x\ntitle: t\noptions: [clean_visual_features]", "defacing"),
        ("name: x\ntitle: t\noptions: [keep_everything]", "options"),
        ("name: x\ntitle: t\noverrides: {NoSuchKeyword: X}", "NoSuchKeyword"),
        ("name: x\ntitle: t\noverrides: {PatientName: Q}", "overrides.PatientName"),
        ("name: x\ntitle: t\nunknown: 1", "unknown"),
        ("name: x\ntitle: t\ndates: {span_days: 1}", "dates.span_days"),
        ("name: X Y\ntitle: t", "name"),
        ("name: x\ntitle: t\nconditions: [{where: {NoSuchKeyword: [CT]}, overrides: {KVP: X}}]", "no DICOM keyword"),
        ("name: x\ntitle: t\nconditions: [{where: {Modality: [CT]}, overrides: {Kvp: X}}]", "Kvp"),
        ("name: x\ntitle: t\nconditions: [{where: {}, overrides: {KVP: X}}]", "conditions"),
        ("name: x\ntitle: t\noverrides: {PatientName: K}", "PatientName always becomes the pseudonym"),
        ("name: x\ntitle: t\noverrides: {'(0010,0020)': X}", "always becomes the pseudonym"),
        ("name: x\ntitle: t\nconditions: [{where: {Modality: [CT]}, overrides: {PatientID: K}}]", "always becomes the pseudonym"),
        ("name: x\ntitle: t\noverrides: {Rows: X, PixelData: X}", "overrides.Rows: .*; overrides.PixelData: PixelData holds pixels"),
        ("name: x\ntitle: t\noverrides: {SOPInstanceUID: K}", "SOPInstanceUID is referred to .* retain_uids"),
        ("name: x\ntitle: t\noverrides: {StudyInstanceUID: X}", "StudyInstanceUID names the file"),
        ("name: x\ntitle: t\noverrides: {PixelData: X}", "PixelData holds pixels"),
        ("name: x\ntitle: t\noverrides: {Rows: X}", "Rows is needed to read the file"),
        ("name: x\ntitle: t\noverrides: {SOPClassUID: D}", "SOPClassUID is needed to read the file"),
        ("name: x\ntitle: t\noverrides: {PatientIdentityRemoved: X}", "is always written"),
        ("name: x\ntitle: t\noverrides: {AccessionNumber: U}", "U gives a new UID"),
        ("name: x\ntitle: t\noverrides: {KVP: C}", "nothing of the kind DS"),
        ("name: x\ntitle: t\noverrides: {'(0029,1010)': K}", "is private"),
        ("name: x\ntitle: t\noverrides: {'(6000,3000)': K}", "overlays, which always go"),
        ("name: x\ntitle: t\noverrides: {TransferSyntaxUID: K}", "belongs to the file"),
        ("name: x\ntitle: t\noverrides: {KVP: X, '(0018,0060)': K}", "two overrides"),
        ("name: x\ntitle: t\noverrides: {KVP: X, KVP: K}", "line 3 is not YAML: 'KVP' stands twice"),
        ("name: x\nname: y\ntitle: t", "'name' stands twice"),
        ("name: [x", "not YAML"),
        ("name: x\ntitle: 2020-13-45", "is not YAML: it cannot be parsed"),
        ("name: x\ntitle: " + "[" * 5000, "is not YAML: it cannot be parsed"),
        ("name: x\ntitle: !!timestamp today", "is not YAML: it cannot be parsed"),
        ("just text", "profile"),
    ],
)
def test_a_profile_that_does_not_hold_is_refused_with_the_place(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(InvalidConfiguration, match=message):
        load_profile(file)


@pytest.mark.parametrize(
    ("options", "kept"),
    [("[]", ("AccessionNumber", "StudyDate", "OtherPatientIDs")), ("[retain_full_dates]", ("AccessionNumber", "OtherPatientIDs"))],
)
def test_a_profile_that_keeps_identity_says_so_by_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, options: str, kept: tuple[str, ...]
) -> None:
    file = tmp_path / "mine.yaml"
    overrides = "{OtherPatientIDs: K, AccessionNumber: K, StationName: K, KVP: K, StudyDate: K, StudyID: X}"
    file.write_text(f"name: mine\ntitle: t\noptions: {options}\noverrides: {overrides}\n")
    assert set(load_profile(file).keeps) == set(kept)
    assert [record.getMessage() for record in caplog.records] == [
        f"The de-identification profile mine keeps what identifies people: {', '.join(load_profile(file).keeps)}."
    ]


def test_uids_may_be_kept_one_by_one_where_all_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\ntitle: t\noptions: [retain_uids]\noverrides: {SOPInstanceUID: K, FrameOfReferenceUID: U}\n")
    assert load_profile(file).keeps == ()


CONDITIONS = """
name: c
title: t
dciodvfy: "off"
overrides: {StationName: K}
conditions:
  - {where: {Modality: [ct, PT]}, overrides: {KVP: X, StationName: D}}
  - {where: {Modality: [CT], Manufacturer: [ACME]}, overrides: {KVP: K, InstitutionName: K}}
"""


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"Modality": "CT"}, (None, "REMOVED", None)),
        ({"Modality": "CT", "Manufacturer": "acme"}, ("120", "REMOVED", "North")),
        ({"Modality": "MR", "Manufacturer": "ACME"}, ("120", "CT01", None)),
    ],
    ids=["one-holds", "both-hold", "none-holds"],
)
def test_conditions_lay_their_overrides_over_the_general_ones(
    tmp_path: Path, changes: dict[str, str], expected: tuple[str | None, ...]
) -> None:
    (tmp_path / "c.yaml").write_text(CONDITIONS)
    profile = load_profile(tmp_path / "c.yaml")
    assert profile.sha256  # a journal asks for it before any file is read
    (tmp_path / "a.dcm").write_bytes(as_file(a_ct(**{"KVP": "120", "StationName": "CT01", "InstitutionName": "North"} | changes)))
    outcome = deidentify_file(tmp_path / "a.dcm", Deidentifier(profile, KEY))
    output = dcmread(BytesIO(outcome.content))
    found = tuple(str(output[name].value) if name in output else None for name in ("KVP", "StationName", "InstitutionName"))
    assert (outcome.reason, found) == ("", expected)
    assert output.DeidentificationMethod[1] == profile.sha256


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InvalidConfiguration, match="no-such") as caught:
        load_profile("no-such")
    assert "basic, keep-device" in caught.value.remedy


def test_the_digest_changes_with_every_decision_and_with_nothing_else() -> None:
    first = Profile(name="p", title="t", options=frozenset({Option.RETAIN_UIDS, Option.CLEAN_GRAPHICS}))
    same = Profile(name="p", title="t", options=frozenset({Option.CLEAN_GRAPHICS, Option.RETAIN_UIDS}))
    others = [
        Profile(name="p", title="t"),
        first.model_copy(update={"oldest_age": 80}),
        first.model_copy(update={"overrides": {"KVP": "X"}}),
    ]
    assert first.sha256 == same.sha256
    assert len({first.sha256, *(Profile.model_validate(other.model_dump()).sha256 for other in others)}) == 4


@pytest.mark.parametrize(("text", "tag"), [("PatientID", 0x00100020), ("(0010,0020)", 0x00100020), ("(0008,103e)", 0x0008103E)])
def test_attributes_are_named_by_keyword_or_tag(text: str, tag: int) -> None:
    assert tag_of(text) == tag
