"""The walk: nesting, hidden sequences, pseudonyms, dates, ages, descriptions, references."""

from __future__ import annotations

import copy
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread, dcmwrite
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_sequence
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from deidentify.ct_builders import KEY, SHARED_GROUPS, a_ct, as_file, encode, reread
from fairlead import keys
from fairlead.deidentify import Deidentifier, Profile, deidentify_file, load_profile
from fairlead.deidentify.table import Option
from fairlead.errors import UnreadableImage

BASIC = load_profile("basic")
LONGITUDINAL = load_profile("research-longitudinal")


def with_options(*options: Option, **more: object) -> Profile:
    return Profile(name="chosen", title="t", options=frozenset(options), **more)


def hidden_sequence(*items: Dataset) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, True
    write_sequence(buffer, DataElement(SHARED_GROUPS, "SQ", Sequence(items)), ["iso8859"])
    return buffer.getvalue()


def a_named_item() -> Dataset:
    item = Dataset()
    item.PatientName, item.ReferencedSOPInstanceUID = "Mustermann^Erika", "1.3.6.1.4.1.99999.1.9"
    return item


@pytest.mark.parametrize(
    "tag", [SHARED_GROUPS, 0x00189FF0, 0x00189004], ids=["a-sequence", "unknown-to-the-dictionary", "no-sequence-at-all"]
)
def test_a_sequence_that_is_hidden_in_un_is_walked_into(tag: int) -> None:
    source = a_ct()
    source[tag] = RawDataElement(Tag(tag), "UN", len(value := hidden_sequence(a_named_item())), value, 0, False, True)
    source.set_original_encoding(False, True, "iso8859")
    content = encode(Deidentifier(BASIC, KEY).apply(source), syntax="1.2.840.10008.1.2.1")
    assert b"Mustermann" not in content
    assert b"1.3.6.1.4.1.99999.1.9" not in content
    assert keys.pseudonym_uid(KEY, "1.3.6.1.4.1.99999.1.9").encode() in content


def test_unknown_bytes_that_are_no_sequence_do_not_pass() -> None:
    source = a_ct()
    source.add(DataElement(0x00189FF0, "UN", b"Mustermann lives in Berlin"))
    assert 0x00189FF0 not in Deidentifier(BASIC, KEY).apply(source)


@pytest.mark.parametrize(
    ("vr", "value"), [("UN", b"\xfe\xff\x00\xe0\xff\xff\x00\x00Mustermann"), ("SQ", b"Mustermann")], ids=["truncated-in-un", "no-items"]
)
def test_what_should_be_a_sequence_and_is_none_is_refused(vr: str, value: bytes) -> None:
    source = a_ct(PatientName="")
    source[SHARED_GROUPS] = RawDataElement(Tag(SHARED_GROUPS), vr, len(value), value, 0, False, True)
    source.set_original_encoding(False, True, "iso8859")
    with pytest.raises(UnreadableImage, match="lengths do not add up"):
        Deidentifier(BASIC, KEY).apply(source)


def test_bytes_in_place_of_a_sequence_are_dropped() -> None:
    source = a_ct(PatientName="")
    source[SHARED_GROUPS] = RawDataElement(Tag(SHARED_GROUPS), "OB", 10, b"Mustermann", 0, False, True)
    source.set_original_encoding(False, True, "iso8859")
    assert b"Mustermann" not in encode(Deidentifier(BASIC, KEY).apply(source), syntax="1.2.840.10008.1.2.1")


def test_a_public_attribute_that_is_in_no_table_stays_as_its_bytes() -> None:
    source = a_ct(KVP="120", Manufacturer="SIEMENS")
    output = Deidentifier(BASIC, KEY).apply(reread(source))
    assert (output.KVP, output.Manufacturer) == (120, "SIEMENS")


def test_the_source_is_not_changed() -> None:
    source = reread(a_ct(AccessionNumber="ACC998877"))
    before = as_file(copy.deepcopy(source))
    Deidentifier(BASIC, KEY).apply(source)
    assert as_file(source) == before


def test_uids_of_the_standard_stay_and_all_others_are_keyed() -> None:
    source = a_ct(FrameOfReferenceUID="1.2.840.10008.1.4.1.1")
    output = Deidentifier(BASIC, KEY).apply(source)
    assert output.FrameOfReferenceUID == "1.2.840.10008.1.4.1.1"
    assert output.SOPClassUID == source.SOPClassUID
    assert output.SOPInstanceUID == keys.pseudonym_uid(KEY, source.SOPInstanceUID)
    assert output.SOPInstanceUID.startswith("2.25.")


def test_the_same_patient_and_key_give_the_same_pseudonym_and_another_key_another() -> None:
    first, second = (Deidentifier(BASIC, KEY).apply(a_ct(SOPInstanceUID=f"1.3.6.1.4.1.99999.{n}")) for n in (1, 2))
    other = Deidentifier(BASIC, bytes(32)).apply(a_ct())
    assert first.PatientID == second.PatientID == first.PatientName
    assert first.StudyInstanceUID == second.StudyInstanceUID
    assert first.PatientID != other.PatientID
    assert first.StudyInstanceUID != other.StudyInstanceUID


def test_patients_without_an_id_are_not_merged() -> None:
    outputs = [Deidentifier(BASIC, KEY).apply(a_ct(PatientID="", StudyInstanceUID=f"1.3.6.1.4.1.99999.8.{n}")) for n in (1, 2)]
    assert outputs[0].PatientID != outputs[1].PatientID


def test_issuers_keep_equal_ids_apart() -> None:
    outputs = [Deidentifier(BASIC, KEY).apply(a_ct(IssuerOfPatientID=issuer)) for issuer in ("north", "south")]
    assert outputs[0].PatientID != outputs[1].PatientID


def test_dates_of_one_patient_move_by_the_same_whole_weeks() -> None:
    source = a_ct(StudyDate="20200229", AcquisitionDateTime="20200302101500.5+0100", PatientBirthDate="19300101")
    output = Deidentifier(LONGITUDINAL, KEY).apply(source)
    days = Deidentifier(LONGITUDINAL, KEY).person(source).days
    assert days % 7 == 0
    assert 0 < abs(days) <= 364
    assert output.StudyDate == keys_shifted("20200229", days)
    assert output.AcquisitionDateTime == keys_shifted("20200302", days) + "101500.5+0100"
    assert output.StudyTime == "101500"
    assert output.PatientBirthDate in (None, "")


def keys_shifted(text: str, days: int) -> str:
    from datetime import datetime, timedelta

    return (datetime.strptime(text, "%Y%m%d") + timedelta(days=days)).strftime("%Y%m%d")


@pytest.mark.parametrize("text", ["yesterday", "99999999", "20201301"])
def test_a_date_that_is_none_becomes_a_dummy(text: str) -> None:
    source = a_ct()
    source.add(DataElement(0x00080020, "DA", text, validation_mode=0))
    assert Deidentifier(LONGITUDINAL, KEY).apply(source).StudyDate == "19000101"


@pytest.mark.parametrize(("age", "expected"), [("089Y", "089Y"), ("090Y", "090Y"), ("101Y", "090Y"), ("004M", "004M")])
def test_ages_above_89_become_90(age: str, expected: str) -> None:
    assert Deidentifier(LONGITUDINAL, KEY).apply(a_ct(PatientAge=age)).PatientAge == expected


def test_an_age_that_is_none_is_removed() -> None:
    source = a_ct()
    source.add(DataElement(0x00101010, "AS", "OLD!", validation_mode=0))
    assert "PatientAge" not in Deidentifier(LONGITUDINAL, KEY).apply(source)


@pytest.mark.parametrize(
    ("charset", "name", "text", "expected"),
    [
        ("ISO_IR 100", "Müller^Jörg", "Abdomen nativ Müller 5mm", "Abdomen nativ 5mm"),
        ("ISO_IR 192", "王^小东", "Brain 王 T2", "Brain T2"),
        ("ISO_IR 144", "Люкceмбypг", "Thorax Люкceмбypг axial", "Thorax axial"),
        ("ISO_IR 127", "قباني^لنزار", "Chest قباني low dose", "Chest low dose"),
        ("ISO_IR 126", "Διονυσιος", "Head Διονυσιος", "Head"),
        ("ISO_IR 138", "שרון^דבורה", "Spine שרון", "Spine"),
        ("ISO_IR 166", "สมชาย", "Knee สมชาย", "Knee"),
        ("GB18030", "王^小东", "Brain 小东 T2", "Brain T2"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동", "Chest 길동 lung", "Chest lung"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう", "Liver 山田 phase", "Liver phase"),
        ("ISO_IR 192", "Head^Erika", "Head Erika MRN-4711-X", "REMOVED"),
    ],
)
def test_descriptions_keep_known_words_and_lose_names_in_every_script(charset: str, name: str, text: str, expected: str) -> None:
    source = a_ct(SpecificCharacterSet=charset, PatientName=name, SeriesDescription=text)
    output = Deidentifier(LONGITUDINAL, KEY).apply(reread(source))
    assert output.SeriesDescription == expected


SCRIPTS = [
    ("ISO_IR 144", "Люкceмбypг"),
    ("ISO_IR 127", "قباني"),
    ("ISO_IR 126", "Διονυσιος"),
    ("ISO_IR 138", "דבורה"),
    ("ISO_IR 166", "สมชาย"),
    ("GB18030", "诸葛亮"),
    (["", "ISO 2022 IR 149"], "길동길동"),
    (["", "ISO 2022 IR 87"], "山田太郎"),
]


@pytest.mark.parametrize(("charset", "name"), SCRIPTS, ids=[str(charset) for charset, _ in SCRIPTS])
def test_a_name_in_any_encoding_does_not_pass_the_gate_in_an_attribute_without_a_row(
    tmp_path: Path, charset: str | list[str], name: str
) -> None:
    source = a_ct(SpecificCharacterSet=charset, PatientName=name, Manufacturer=f"ACME {name} Inc")
    (tmp_path / "a.dcm").write_bytes(as_file(source))
    outcome = deidentify_file(tmp_path / "a.dcm", Deidentifier(BASIC, KEY))
    raw = dcmread(tmp_path / "a.dcm").get_item("PatientName").value.strip()
    assert raw not in outcome.content
    assert name.encode() not in outcome.content
    assert outcome.content or outcome.reason.startswith("residual-identity")


def test_words_that_a_profile_allows_stay_in_their_field_only() -> None:
    profile = with_options(Option.CLEAN_DESCRIPTORS, terms={"SeriesDescription": ("zebra",)})
    output = Deidentifier(profile, KEY).apply(a_ct(SeriesDescription="Zebra chest", StudyDescription="Zebra chest"))
    assert (output.SeriesDescription, output.StudyDescription) == ("Zebra chest", "chest")


def test_a_name_or_date_without_a_row_in_the_table_does_not_pass() -> None:
    source = a_ct()
    source.add(DataElement(0x00141020, "DA", "20201111"))
    source.add(DataElement(0x00189FF2, "PN", "Unlisted^Person"))
    content = encode(Deidentifier(BASIC, KEY).apply(reread(source)), syntax="1.2.840.10008.1.2.1")
    assert b"20201111" not in content
    assert b"Unlisted" not in content


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientBirthDateInAlternativeCalendar", "S39.08.12"),
        ("CommentsOnTheScheduledProcedureStep", "call Erika back"),
        ("DoseComment", "as told by Dr. Eisen"),
        ("ContentDescription", "drawn for Erika"),
        ("SecondaryCaptureDeviceID", "WS-0815-X"),
        ("RadiationMachineName", "Linac at North"),
        ("BoardingPassID", "LH1234"),
    ],
)
@pytest.mark.parametrize("level", ["top", "nested"])
def test_what_later_editions_and_common_sense_add_to_the_table_goes_too(keyword: str, value: str, level: str) -> None:
    source, item = a_ct(), Dataset()
    setattr(source if level == "top" else item, keyword, value)
    source.add(DataElement(SHARED_GROUPS, "SQ", [item]))
    assert value.encode() not in encode(Deidentifier(BASIC, KEY).apply(reread(source)), syntax="1.2.840.10008.1.2.1")


def test_overrides_are_stronger_than_the_table() -> None:
    profile = with_options(overrides={"Manufacturer": "X", "StationName": "K", "(0008,1030)": "C", "KVP": "Z", "SeriesNumber": "D"})
    source = a_ct(Manufacturer="ACME", StationName="CT01", StudyDescription="head for Dr Who", KVP="120", SeriesNumber="7")
    output = Deidentifier(profile, KEY).apply(source)
    assert "Manufacturer" not in output
    assert (output.StationName, output.StudyDescription, output.KVP, int(output.SeriesNumber)) == ("CT01", "head", None, 0)


def safe_private_source() -> Dataset:
    source = a_ct()
    safe = source.private_block(0x0019, "ACME MR 1", create=True)
    safe.add_new(0x0C, "IS", "1000")
    safe.add_new(0x0D, "LO", "Mustermann")
    source.private_block(0x0019, "OTHER", create=True).add_new(0x0C, "LO", "Mustermann")
    return source


def test_safe_private_elements_are_known_by_their_creator() -> None:
    safe = {"creator": "ACME MR 1", "group": "0019", "elements": ("0C",)}
    profile = with_options(Option.RETAIN_SAFE_PRIVATE, safe_private=(safe,))
    output = Deidentifier(profile, KEY).apply(safe_private_source())
    assert output.private_block(0x0019, "ACME MR 1")[0x0C].value == 1000
    assert [element.tag for element in output if element.tag.is_private] == [(0x0019, 0x0010), (0x0019, 0x100C)]


def test_the_packaged_safe_private_elements_stay_while_they_are_numbers() -> None:
    source = a_ct()
    siemens = source.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    siemens.add_new(0x0C, "IS", "1000")
    siemens.add_new(0x0D, "LO", "Schmidt")  # a code by the table, not here
    siemens.add_new(0x0E, "FD", [0.1, 0.2, 0.3])
    siemens.add_new(0x0F, "LO", "Schmidt")
    source.private_block(0x7053, "Philips PET Private Group", create=True).add_new(0x00, "UN", b"0.000312")
    source.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(0x39, "UN", b"1000\\Schmidt ")
    cleaned = Deidentifier(with_options(Option.RETAIN_SAFE_PRIVATE), KEY).apply(reread(source))
    output = dcmread(BytesIO(encode(cleaned, syntax="1.2.840.10008.1.2.1")))
    kept = {int(element.tag): element.value for element in output if element.tag.is_private and element.tag.element > 0xFF}
    assert kept == {0x0019100C: 1000, 0x0019100E: [0.1, 0.2, 0.3], 0x70531000: "0.000312"}


def test_without_the_option_no_private_element_is_safe() -> None:
    safe = {"creator": "ACME MR 1", "group": "0019", "elements": ("0C",)}
    output = Deidentifier(with_options(safe_private=(safe,)), KEY).apply(safe_private_source())
    assert [element.tag for element in output if element.tag.is_private] == []


def a_report() -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "121071", "DCM", "Finding"
    local = Dataset()
    local.CodeValue, local.CodingSchemeDesignator, local.CodeMeaning = "1", "99LOCAL", "Mustermann's lesion"
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.3.6.1.4.1.99999.1.9"
    image, text = Dataset(), Dataset()
    image.RelationshipType, image.ValueType, image.ReferencedSOPSequence = "CONTAINS", "IMAGE", [reference]
    text.RelationshipType, text.ValueType, text.TextValue = "CONTAINS", "TEXT", "Mustermann has a lesion in the brain"
    text.ConceptNameCodeSequence = [code]
    local_item = Dataset()
    local_item.ValueType, local_item.ConceptCodeSequence = "CODE", [local]
    return a_ct(ContentSequence=[image, text, local_item], ValueType="CONTAINER")


def test_a_report_keeps_its_references_and_codes_and_loses_its_words() -> None:
    output = Deidentifier(BASIC, KEY).apply(a_report())
    image, text, local = output.ContentSequence
    assert image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == keys.pseudonym_uid(KEY, "1.3.6.1.4.1.99999.1.9")
    assert text.ConceptNameCodeSequence[0].CodeMeaning == "Finding"
    assert text.TextValue == "REMOVED"
    assert [str(element.value) for element in local.ConceptCodeSequence[0]] == ["REMOVED", "99FAIRLEAD", "REMOVED"]


def test_cleaned_structured_content_keeps_the_known_words_of_its_texts() -> None:
    output = Deidentifier(with_options(Option.CLEAN_STRUCTURED_CONTENT), KEY).apply(a_report())
    assert output.ContentSequence[1].TextValue == "a lesion in brain"


def test_a_nested_patient_id_gets_its_own_pseudonym() -> None:
    item = Dataset()
    item.PatientID, item.PatientName = "OTHER-1", "Other^Person"
    source = a_ct()
    source.add(DataElement(SHARED_GROUPS, "SQ", [item]))
    nested = Deidentifier(BASIC, KEY).apply(source)[SHARED_GROUPS].value[0]
    assert nested.PatientID == keys.pseudonym_patient(KEY, keys.patient_key(KEY, "OTHER-1"))


def test_nesting_without_end_is_refused() -> None:
    source = item = a_ct()
    for _ in range(70):
        inner = Dataset()
        item.add(DataElement(SHARED_GROUPS, "SQ", [inner]))
        item = inner
    with pytest.raises(UnreadableImage, match="64 levels"):
        Deidentifier(BASIC, KEY).apply(source)


PSEUDONYMS = {"UI", "DA", "DT"}


@pytest.mark.parametrize("profile", [BASIC, LONGITUDINAL], ids=["basic", "research-longitudinal"])
def test_twice_equals_once_up_to_what_is_mapped_again(profile: Profile) -> None:
    engine = Deidentifier(profile, KEY)
    once = engine.apply(a_report())
    twice = engine.apply(once)

    def rest(dataset: Dataset) -> list[tuple[int, str]]:
        return [
            (int(element.tag), str(element.value))
            for element in dataset.iterall()
            if element.VR not in PSEUDONYMS | {"SQ"} and element.tag not in (0x00100010, 0x00100020)
        ]

    assert rest(twice) == rest(once)
    assert [element.tag for element in twice.iterall()] == [element.tag for element in once.iterall()]


NAME = st.text(st.characters(categories=["Lu", "Ll", "Lo"]), min_size=4, max_size=12).map(lambda text: "Zq" + text)
PLACES = st.sampled_from(["PatientName", "PatientComments", "OtherPatientNames", "InstitutionName", "OperatorsName", "ImageComments"])


def nested(children: st.SearchStrategy[Dataset]) -> st.SearchStrategy[Dataset]:
    def build(pairs: list[tuple[int, Dataset]]) -> Dataset:
        dataset = Dataset()
        for tag, child in pairs:
            dataset.add(DataElement(tag, "SQ", [child]))
        return dataset

    tags = st.sampled_from([SHARED_GROUPS, 0x00081140, 0x00089215, 0x0040A730, 0x00091001, 0x300A0010])
    return st.lists(st.tuples(tags, children), min_size=1, max_size=3).map(build)


@settings(max_examples=60, deadline=None)
@given(name=NAME, places=st.lists(PLACES, min_size=1), data=st.data())
@pytest.mark.parametrize("profile", [BASIC, LONGITUDINAL], ids=["basic", "research-longitudinal"])
def test_a_name_planted_anywhere_in_random_nesting_never_leaks(profile: Profile, name: str, places: list[str], data: st.DataObject) -> None:
    leaf = Dataset()
    for place in places:
        setattr(leaf, place, name)
    tree = data.draw(st.recursive(st.just(leaf), nested, max_leaves=6))
    source = a_ct(PatientName=name, SpecificCharacterSet="ISO_IR 192")
    for element in tree:
        source.add(copy.deepcopy(element))
    content = encode(Deidentifier(profile, KEY).apply(reread(source)), syntax="1.2.840.10008.1.2.1")
    assert name.encode() not in content


@given(uid=st.from_regex(r"[1-9][0-9]{0,8}(\.[1-9][0-9]{0,8}){2,5}", fullmatch=True))
def test_mapped_uids_are_valid_distinct_and_stable(uid: str) -> None:
    mapped = keys.pseudonym_uid(KEY, uid)
    assert mapped == keys.pseudonym_uid(KEY, uid) != uid
    assert len(mapped) <= 44
    assert dcmuid_is_valid(mapped)


def dcmuid_is_valid(text: str) -> bool:
    from pydicom.uid import UID

    return UID(text).is_valid


@given(patient=st.text(), span=st.integers(14, 3650), weeks=st.booleans())
def test_the_shift_is_never_zero_and_never_beyond_the_span(patient: str, span: int, weeks: bool) -> None:
    days = keys.day_shift(KEY, patient, span_days=span, whole_weeks=weeks)
    assert 0 < abs(days) <= span
    assert not weeks or days % 7 == 0


def test_implicit_vr_and_big_endian_sources_are_walked_like_any_other() -> None:
    for syntax, implicit, little in (("1.2.840.10008.1.2", True, True), ("1.2.840.10008.1.2.2", False, False)):
        source = a_ct()
        source.add(DataElement(SHARED_GROUPS, "SQ", [a_named_item()]))
        source.file_meta.TransferSyntaxUID = syntax
        buffer = BytesIO()
        source.file_meta.MediaStorageSOPClassUID, source.file_meta.MediaStorageSOPInstanceUID = source.SOPClassUID, source.SOPInstanceUID
        dcmwrite(buffer, source, enforce_file_format=True, implicit_vr=implicit, little_endian=little)
        content = encode(Deidentifier(BASIC, KEY).apply(dcmread(BytesIO(buffer.getvalue()))), syntax=syntax)
        output = dcmread(BytesIO(content))
        assert b"Mustermann" not in content
        assert output.file_meta.TransferSyntaxUID == syntax
        assert output[SHARED_GROUPS].value[0].ReferencedSOPInstanceUID == keys.pseudonym_uid(KEY, "1.3.6.1.4.1.99999.1.9")
