"""What a harsh reader found: lengths that lie, names that are words, segments where nobody looked, content trees that tell an age."""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from deidentify.ct_builders import KEY, SHARED_GROUPS, a_ct, as_file
from fairlead.deidentify import Deidentifier, Outcome, Profile, deidentify_file, load_profile
from fairlead.deidentify.identity import MANY, Identity
from fairlead.deidentify.sweep import Sweep
from fairlead.deidentify.table import Option
from fairlead.deidentify.words import clean_words

BASIC = Profile(name="basic", title="t", dciodvfy="off")
LONGITUDINAL = load_profile("research-longitudinal").model_copy(update={"dciodvfy": "off"})
STORAGE = "1.2.840.10008.5.1.4.1.1."
UNDEFINED = 0xFFFFFFFF


def outcome_of(folder: Path, source: Dataset | bytes, profile: Profile = BASIC) -> Outcome:
    (folder / "a").write_bytes(source if isinstance(source, bytes) else as_file(source))
    return deidentify_file(folder / "a", Deidentifier(profile, KEY))


def written(folder: Path, source: Dataset | bytes, profile: Profile = BASIC) -> Dataset:
    outcome = outcome_of(folder, source, profile)
    assert outcome.reason == ""
    return dcmread(BytesIO(outcome.content))


# --- lengths -------------------------------------------------------------------------------------------------------------


def explicit(group: int, element: int, vr: bytes, value: bytes, *, stated: int | None = None) -> bytes:
    return struct.pack("<HH2sH", group, element, vr, len(value) if stated is None else stated) + value


def item(content: bytes, *, stated: int | None = None) -> bytes:
    delimiter = b"\xfe\xff\x0d\xe0\0\0\0\0" if stated == UNDEFINED else b""
    return struct.pack("<HHL", 0xFFFE, 0xE000, len(content) if stated is None else stated) + content + delimiter


def sequence(vr: bytes, content: bytes, *, undefined: bool = False) -> bytes:
    end = b"\xfe\xff\xdd\xe0\0\0\0\0" if undefined else b""
    return struct.pack("<HH2sHL", 0x0054, 0x0220, vr, 0, UNDEFINED if undefined else len(content)) + content + end


SECRETS = explicit(0x0010, 0x0010, b"PN", b"Wildfremd^Otto") + explicit(0x0010, 0x0030, b"DA", b"19501231")
SWALLOWS = explicit(0x0008, 0x0100, b"SH", b"T-1234", stated=6 + len(SECRETS)) + SECRETS
TOO_LONG = explicit(0x0008, 0x0100, b"SH", b"T-1234", stated=5000) + SECRETS
NESTED_LIE = sequence(b"SQ", item(SWALLOWS, stated=14), undefined=True)
LIES = {
    "longer than the sequence": sequence(b"SQ", item(TOO_LONG)),
    "longer than its item": sequence(b"SQ", item(SWALLOWS, stated=14) + item(b"")),
    "longer than its item, undefined length": sequence(b"SQ", item(SWALLOWS, stated=14), undefined=True),
    "in an item of an item": sequence(b"SQ", item(sequence(b"SQ", item(TOO_LONG)))),
    "in an item of undefined length": sequence(b"SQ", item(NESTED_LIE, stated=UNDEFINED), undefined=True),
    "in UN": sequence(b"UN", item(TOO_LONG)),
    "an item longer than the sequence": sequence(b"SQ", item(SECRETS, stated=5000)),
    "an item that ends early": sequence(b"SQ", item(b"\xfe\xff\x0d\xe0\0\0\0\0" + SECRETS)),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_an_element_that_is_longer_than_its_item_is_refused_at_every_level(tmp_path: Path, lie: bytes) -> None:
    assert outcome_of(tmp_path, as_file(a_ct()) + lie).reason.startswith("unreadable-image: ")


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("vr", [b"SQ", b"UN"])
def test_items_of_explicit_vr_are_walked_into_wherever_they_stand(tmp_path: Path, vr: bytes, *, undefined: bool) -> None:
    content = explicit(0x0008, 0x0100, b"SH", b"T-1234") + SECRETS + explicit(0x0040, 0xA160, b"LO", b"by Wildfremd")
    nested = item(content, stated=UNDEFINED if undefined else None)
    output = written(tmp_path, as_file(a_ct()) + sequence(vr, nested))
    found = output[0x00540220].value[0]
    assert found.CodeValue == "T-1234"
    assert b"ildfremd" not in as_file(output)
    assert b"19501231" not in as_file(output)


# --- names that are words ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "number", "text"),
    [
        ("Hardy^Otto", "MRN-4711", "by Hardy"),
        ("Head^Eva", "MRN-4711", "Dr Head"),
        ("Small^Max", "MRN-4711", "small volume"),
        ("Mustermann^E", "045D", "045D chest"),
        ("Body^T2w", "MRN-4711", "T2W"),
    ],
)
def test_a_name_or_number_that_is_also_a_term_goes_from_text(tmp_path: Path, name: str, number: str, text: str) -> None:
    source = a_ct(PatientName=name, PatientID=number, SeriesDescription=f"{text} thorax", Manufacturer=text, BodyPartExamined="HEAD")
    output = written(tmp_path, source, LONGITUDINAL)
    words = {*name.replace("^", " ").casefold().split(), number.casefold()}
    assert not words & set(output.SeriesDescription.casefold().split())
    assert output.SeriesDescription.endswith("thorax")
    assert output.BodyPartExamined == "HEAD"
    long = {word for word in words if len(word) >= 4}
    assert not long & set(output.Manufacturer.casefold().split())


def test_a_short_name_goes_from_a_description(tmp_path: Path) -> None:
    assert written(tmp_path, a_ct(PatientName="Lee^Max", SeriesDescription="Max thorax"), LONGITUDINAL).SeriesDescription == "thorax"


@pytest.mark.parametrize(
    "changes",
    [
        {"PatientID": "1024", "RescaleIntercept": "-1024", "RescaleSlope": "1"},
        {"StudyID": "1000", "WindowWidth": "1000", "WindowCenter": "40"},
        {"AccessionNumber": "2000", "ExposureTime": "2000"},
        {"PatientName": "Corona^Maria", "ImageType": ["ORIGINAL", "PRIMARY", "CORONAL"]},
        {"PatientName": "Manuel^Contra", "ContrastBolusIngredient": "CONTRAST"},
        {"StationName": "HELIX", "FilterType": "HELIX"},
        {"PatientName": "Meyer^Philip", "Manufacturer": "Philips Medical Systems"},
        {"PatientID": "10008"},
        {"PatientName": "Head^Eva", "BodyPartExamined": "HEAD"},
        {"AccessionNumber": "101501", "PatientID": "045Y", "PatientAge": "045Y"},
    ],
    ids=lambda changes: "-".join(map(str, changes.values())),
)
def test_numbers_of_the_scanner_and_terms_of_the_standard_are_nobody(tmp_path: Path, changes: dict[str, object]) -> None:
    output = written(tmp_path, a_ct(**changes), LONGITUDINAL)
    for keyword in set(changes) & {
        "RescaleIntercept",
        "WindowWidth",
        "ExposureTime",
        "ImageType",
        "FilterType",
        "Manufacturer",
        "BodyPartExamined",
    }:
        assert output[keyword].value == changes[keyword]


@pytest.mark.parametrize(("keyword", "value"), [("ScanOptions", "MUSTERMANN"), ("KVP", "4711815"), ("BodyPartExamined", "MRN4711X")])
def test_a_name_in_a_coded_string_and_a_long_number_are_somebody(tmp_path: Path, keyword: str, value: str) -> None:
    source = a_ct(AccessionNumber="0004711815", **{keyword: value})
    assert outcome_of(tmp_path, source).reason.startswith("residual-identity: ")


def test_a_chinese_name_does_not_occur_in_random_bytes_by_chance() -> None:
    noise = np.random.default_rng(2).bytes(4 * 2**20)
    names = np.random.default_rng(3).integers(0x4E00, 0x9000, (20, 2))
    identity = Identity()
    for name in names.tolist():
        identity.add_text("".join(map(chr, name)))
    assert identity.found_in(noise, with_dates=False) == []
    assert not Sweep(identity).occurs_in([noise])


def test_of_many_texts_those_that_occur_are_found_in_every_spelling() -> None:
    identity = Identity()
    for number in range(4 * MANY):
        identity.add_text(f"Zq{number:04d}-Person")
    identity.add_text("Änne")
    for spelling in (b"see ZQ0077 PERSON", "Zq0077-Person".encode("utf-16-be"), ".".join(str(ord(c)) for c in "Zq0077-Person").encode()):
        assert {hit.text for hit in identity.found_in(b"x " + spelling, with_dates=False)} == {"Zq0077-Person"}
    assert identity.found_in("ÄNNE".encode(), with_dates=False)
    assert identity.found_in(b"nobody", with_dates=False) == []


def test_a_long_text_is_found_by_any_of_its_lines() -> None:
    identity = Identity()
    identity.add_text("\r\n".join(["Zum Grünen Jäger 12", "12345 Neustadt-Üsenhausen", "ü" * 40_000]))
    assert identity.found_in("in 12345 Neustadt-Üsenhausen".encode("latin-1"), with_dates=False)
    assert identity.found_in(("Ü" * 40_000).encode(), with_dates=False)
    assert identity.found_in(b"12345 Neustadt", with_dates=False) == []


# --- numbers and profiles with words in them -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tag", "vr", "value"),
    [
        ((0x0070, 0x7777), b"DS", b"Wildfremd Otto, Tel 030 12 34 "),
        ((0x0070, 0x7777), b"IS", b"Wildfremd Otto"),
        ((0x0070, 0x7777), b"FD", b"Wildfremd, Otto."),
        ((0x0018, 0x0088), b"DS", b"Wildfremd Otto"),
        ((0x0018, 0x0088), b"LO", b"Wildfremd Otto"),
    ],
)
def test_words_in_a_number_do_not_stay(tmp_path: Path, tag: tuple[int, int], vr: bytes, value: bytes) -> None:
    outcome = outcome_of(tmp_path, as_file(a_ct()) + explicit(*tag, vr, value))
    assert outcome.reason == ""
    assert b"Wildfremd" not in outcome.content


def test_numbers_as_sloppy_writers_write_them_stay(tmp_path: Path) -> None:
    values = {0x00180050: b"1,5 ", 0x00180060: b"NaN ", 0x00180088: b" -1.5e+3\\2"}
    content = as_file(a_ct()) + b"".join(explicit(tag >> 16, tag & 0xFFFF, b"DS", value) for tag, value in values.items())
    output = written(tmp_path, content)
    assert {tag: output._dict[tag].value for tag in values} == values


def test_a_colour_profile_stays_and_words_in_its_place_do_not(tmp_path: Path) -> None:
    profile = (136).to_bytes(4, "big") + bytes(32) + b"acsp" + bytes(96)
    assert written(tmp_path, a_ct(ICCProfile=profile)).ICCProfile == profile
    assert "ICCProfile" not in written(tmp_path, a_ct(ICCProfile=b"Wildfremd Otto born 1964"))


# --- content trees -------------------------------------------------------------------------------------------------------


def code(value: str, scheme: str, meaning: str) -> Dataset:
    found = Dataset()
    found.CodeValue, found.CodingSchemeDesignator, found.CodeMeaning = value, scheme, meaning
    return found


def content_item(kind: str, concept: Dataset, **changes: object) -> Dataset:
    found = Dataset()
    found.RelationshipType, found.ValueType, found.ConceptNameCodeSequence = "CONTAINS", kind, [concept]
    for keyword, value in changes.items():
        setattr(found, keyword, value)
    return found


def measured(number: str, unit: str) -> Dataset:
    found = Dataset()
    found.NumericValue, found.MeasurementUnitsCodeSequence = number, [code(unit, "UCUM", "unit")]
    return found


AGE = code("121033", "DCM", "Subject Age")
SEX = code("121032", "DCM", "Subject Sex")


def a_report(*items: Dataset) -> Dataset:
    return a_ct(SOPClassUID=STORAGE + "88.33", Modality="SR", ValueType="CONTAINER", ContentSequence=list(items))


@pytest.mark.parametrize(
    ("number", "unit", "expected"),
    [("97", "a", ("90", "a")), ("61", "a", ("61", "a")), ("1200", "mo", ("90", "a")), ("8", "mo", ("8", "mo"))],
)
def test_the_age_of_a_subject_is_capped_where_it_stays(tmp_path: Path, number: str, unit: str, expected: tuple[str, str]) -> None:
    source = a_report(content_item("NUM", AGE, MeasuredValueSequence=[measured(number, unit)]))
    found = written(tmp_path, source, LONGITUDINAL).ContentSequence[0].MeasuredValueSequence[0]
    assert (str(found.NumericValue), found.MeasurementUnitsCodeSequence[0].CodeValue) == expected


def test_what_a_subject_is_like_goes_with_the_basic_profile_and_an_age_in_words_always(tmp_path: Path) -> None:
    items = (
        content_item("NUM", AGE, MeasuredValueSequence=[measured("61", "a")]),
        content_item("CODE", SEX, ConceptCodeSequence=[code("F", "DCM", "Female")]),
        content_item("TEXT", AGE, TextValue="97"),
        content_item("NUM", code("112031", "DCM", "Attenuation Coefficient"), MeasuredValueSequence=[measured("97", "[hnsf'U]")]),
    )
    basic = written(tmp_path, a_report(*items)).ContentSequence
    assert [one.ValueType for one in basic] == ["TEXT", "TEXT", "TEXT", "NUM"]
    assert {one.TextValue for one in basic[:3]} == {"REMOVED"}
    kept = written(tmp_path, a_report(*items), LONGITUDINAL).ContentSequence
    assert [one.ValueType for one in kept] == ["NUM", "CODE", "TEXT", "NUM"]
    assert kept[1].ConceptCodeSequence[0].CodeMeaning == "Female"
    assert kept[2].TextValue == "REMOVED"
    assert str(kept[3].MeasuredValueSequence[0].NumericValue) == "97"


@pytest.mark.parametrize(
    ("value", "scheme", "stated", "expected"),
    [
        ("121094", "DCM", "Prof. Wildfremd, tel 4711", None),
        ("39607008", "SCT", "Lung", "Lung"),
        ("39607008", "SCT", "lungs of Mr Wildfremd", None),
        ("99999999", "SCT", "right lung of Wildfremd", "right lung of"),
        ("99999999", "SCT", "Wildfremd", "REMOVED"),
        ("Wildfremd", "SCT", "Wildfremd", "REMOVED"),
    ],
)
def test_a_code_means_what_the_dictionary_says(tmp_path: Path, value: str, scheme: str, stated: str, expected: str | None) -> None:
    source = a_report(content_item("CODE", code("121071", "DCM", "Finding"), ConceptCodeSequence=[code(value, scheme, stated)]))
    output = written(tmp_path, source)
    found = output.ContentSequence[0].ConceptCodeSequence[0]
    if expected is None:  # whatever PS3.16 calls it, it is not what the file says
        assert "Wildfremd" not in found.CodeMeaning
        assert found.CodeMeaning != "REMOVED"
    else:
        assert found.CodeMeaning == expected
    assert b"Wildfremd" not in as_file(output)


# --- who a nested item speaks of -----------------------------------------------------------------------------------------


def test_a_nested_patient_has_the_pseudonym_that_the_person_has_everywhere(tmp_path: Path) -> None:
    def person(**values: str) -> Dataset:
        found = Dataset()
        for keyword, value in values.items():
            setattr(found, keyword, value)
        return found

    source = a_ct(PatientID="MRN-4711", IssuerOfPatientID="North")
    nested = [
        person(PatientID="MRN-4711", IssuerOfPatientID="North", PatientName="Mustermann^Erika"),
        person(PatientID="MRN-4711"),
        person(PatientName="Mustermann^Erika"),
        person(PatientID="OTHER-1", PatientName="Anders^Jemand"),
        person(PatientID="MRN-4711", IssuerOfPatientID="South"),
    ]
    source.add(DataElement(SHARED_GROUPS, "SQ", nested))
    output = written(tmp_path, source)
    same, bare, named, other, elsewhere = output[SHARED_GROUPS].value
    assert output.PatientID == same.PatientID == same.PatientName == bare.PatientID == named.PatientName
    assert other.PatientID == other.PatientName == written(tmp_path, a_ct(PatientID="OTHER-1")).PatientID
    assert elsewhere.PatientID == written(tmp_path, a_ct(PatientID="MRN-4711", IssuerOfPatientID="South")).PatientID
    assert len({output.PatientID, other.PatientID, elsewhere.PatientID}) == 3


# --- pixels --------------------------------------------------------------------------------------------------------------


def an_image(**changes: object) -> Dataset:
    layout = {"Rows": 64, "Columns": 64, "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "SamplesPerPixel": 1}
    described = {"PixelData": b"\x07" * 4096, "PixelRepresentation": 0, "PhotometricInterpretation": "MONOCHROME2"}
    image = a_ct(**layout | described | changes)
    image["PixelData"].VR = "OB"
    return image


@pytest.mark.parametrize("corner", [63, 64, 65, 4_000_000])
def test_an_ultrasound_of_which_nothing_would_be_blanked_waits_for_a_person(tmp_path: Path, corner: int) -> None:
    region = Dataset()
    region.RegionLocationMinX0 = region.RegionLocationMinY0 = 0
    region.RegionLocationMaxX1 = region.RegionLocationMaxY1 = corner
    source = an_image(Modality="US", SOPClassUID=STORAGE + "6.1", SequenceOfUltrasoundRegions=[region])
    reason = outcome_of(tmp_path, source).reason
    assert ("outside of the image" if corner > 64 else "cover the whole image") in reason


@pytest.mark.parametrize("sop_class", ["6.1", "3.1", "77.1.5.1", "12.1", "1", "66"])
@pytest.mark.parametrize("burned_in", ["", "NO"])
def test_only_slices_pass_as_slices_whatever_the_modality_says(tmp_path: Path, sop_class: str, burned_in: str) -> None:
    source = an_image(Modality="MR", SOPClassUID=STORAGE + sop_class, BurnedInAnnotation=burned_in)
    assert outcome_of(tmp_path, source).reason.startswith("pixels (")


@pytest.mark.parametrize(
    ("modality", "sop_class"), [("CT", "2"), ("CT", "2.1"), ("MR", "4.1"), ("PT", "128"), ("PT", "130"), ("MR", "4.4")]
)
def test_original_slices_pass(tmp_path: Path, modality: str, sop_class: str) -> None:
    assert outcome_of(tmp_path, an_image(Modality=modality, SOPClassUID=STORAGE + sop_class)).rule == "original-slice"


STRANGER = b"Photo by Otto Wildfremd, +49 30 1234567"
NOISE = np.random.default_rng(5).bytes(9000).replace(b"\xff", b"\0")
SCAN = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"
JPEG, J2K = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90"


def comment(text: bytes = STRANGER, marker: bytes = b"\xfe") -> bytes:
    return b"\xff" + marker + struct.pack(">H", len(text) + 2) + text


def compressed(fragments: list[bytes], syntax: str, *, frames: int = 1) -> Dataset:
    image = an_image(NumberOfFrames=frames)
    image.file_meta.TransferSyntaxUID = syntax
    image.PixelData = encapsulate(fragments, has_bot=False)
    image["PixelData"].VR = "OB"
    return image


SPLIT = b"\xff\xd8" + comment(b"x" * 40 + STRANGER)
TILE = b"\xff\x90\x00\x0a" + bytes(8)
SOD = b"\xff\x93"
TILE_PART = b"\xff\x90\x00\x0a\0\0" + struct.pack(">L", 12 + 2 + 900) + b"\0\1" + SOD + NOISE[:900]
HIDDEN = {
    "after a fill byte": ([b"\xff\xd8\xff\xff" + comment() + SCAN + NOISE + b"\xff\xd9"], JPEG, 1),
    "between two scans": ([b"\xff\xd8" + SCAN + NOISE + comment() + SCAN + NOISE + b"\xff\xd9"], JPEG, 1),
    "in the middle of restarts": ([b"\xff\xd8" + SCAN + NOISE + b"\xff\xd0" + NOISE + comment() + SCAN + NOISE + b"\xff\xd9"], JPEG, 1),
    "across a border of fragments": ([SPLIT[:40], SPLIT[40:] + SCAN + NOISE + b"\xff\xd9"], JPEG, 1),
    "across a border inside the marker": ([b"\xff\xd8\xff", comment()[1:] + SCAN + NOISE + b"\xff\xd9"], JPEG, 1),
    "in the second frame": ([b"\xff\xd8" + SCAN + NOISE + b"\xff\xd9", SPLIT + SCAN + NOISE + b"\xff\xd9"], JPEG, 2),
    "after a frame without an end": ([b"\xff\xd8" + SCAN + NOISE, SPLIT + SCAN + NOISE + b"\xff\xd9"], JPEG, 2),
    "behind the end": ([b"\xff\xd8" + SCAN + NOISE + b"\xff\xd9" + STRANGER], JPEG, 1),
    "in a fragment behind the end": ([b"\xff\xd8" + SCAN + NOISE + b"\xff\xd9", STRANGER], JPEG, 1),
    "between segments": ([b"\xff\xd8" + STRANGER + SCAN + NOISE + b"\xff\xd9"], JPEG, 1),
    "in a segment that nobody knows": ([b"\xff\xd8" + comment(marker=b"\xf3") + SCAN + NOISE + b"\xff\xd9"], JPEG, 1),
    "in a tile-part header": ([b"\xff\x4f" + TILE + comment(b"\0\1" + STRANGER, b"\x64") + SOD + NOISE + b"\xff\xd9"], J2K, 1),
    "in a second tile-part": ([b"\xff\x4f" + TILE_PART + TILE + comment(b"\0\1" + STRANGER, b"\x64") + SOD + NOISE + b"\xff\xd9"], J2K, 1),
    "in a main header": ([b"\xff\x4f" + comment(b"\0\1" + STRANGER, b"\x64") + TILE + SOD + NOISE + b"\xff\xd9"], J2K, 1),
    "in an unknown segment of a codestream": ([b"\xff\x4f" + comment(marker=b"\x6f") + TILE + SOD + NOISE + b"\xff\xd9"], J2K, 1),
}  # fmt: skip


@pytest.mark.parametrize(("fragments", "syntax", "frames"), HIDDEN.values(), ids=HIDDEN)
def test_words_in_a_compressed_frame_are_blanked_wherever_they_stand(
    tmp_path: Path, fragments: list[bytes], syntax: str, frames: int
) -> None:
    source = compressed(fragments, syntax, frames=frames)
    before = source.PixelData
    output = written(tmp_path, source)
    assert b"Wildfremd" not in output.PixelData
    assert len(output.PixelData) == len(before)
    assert output.PixelData.count(NOISE[:900]) == before.count(NOISE[:900])


@pytest.mark.parametrize("signature", [b"jP  \r\n\x87\n", b"JXL \r\n\x87\n"])
def test_files_with_boxes_in_place_of_codestreams_are_refused(tmp_path: Path, signature: bytes) -> None:
    frame = b"\0\0\0\x0c" + signature + struct.pack(">L", len(STRANGER) + 8) + b"xml " + STRANGER
    assert "boxes" in outcome_of(tmp_path, compressed([frame], J2K)).reason


@pytest.mark.parametrize("at", [0, 5, 6, 1_048_570, 1_048_575, 1_048_576, 1_500_000])
@pytest.mark.parametrize("text", [b"MusterMANN", b"mrn-4711", b"2.25.4711.1", "MÜLLER-Ä".encode("latin-1"), "müller-ä".encode()])
def test_a_value_is_found_at_any_place_among_pixels(at: int, text: bytes) -> None:
    identity = Identity(texts={"Mustermann", "MRN-4711", "Müller-Ä"}, uids={"2.25.4711.1"})
    noise = np.random.default_rng(4).integers(0, 2, 1_600_000, np.uint8).tobytes()
    whole = noise[:at] + text + noise[at:]
    blocks = [whole[begin : begin + 1_048_576] for begin in range(0, len(whole), 1_048_576)]
    assert Sweep(identity).occurs_in(blocks)
    assert not Sweep(identity).occurs_in([whole.replace(text, text[:5] + b"\1")])
    assert not Sweep(Identity(texts={"Philip"})).occurs_in([noise + b"Philips"])


@pytest.mark.parametrize("text", ["age 69", "Alter: 69", "4 4 7 1 9 0 3", "4471 903", "4471-903"])
def test_ages_and_numbers_in_pieces_go_from_a_cleaned_text(text: str) -> None:
    assert clean_words(f"chest {text} 5mm", forbidden=frozenset()) == "chest 5mm"


@pytest.mark.parametrize("size", [128, 512])
@pytest.mark.parametrize("place", [0.0, 0.5, 0.9])
def test_a_name_anywhere_among_the_pixels_of_a_file_of_any_size_stops_it(tmp_path: Path, size: int, place: float) -> None:
    pixels = bytearray(np.random.default_rng(1).integers(0, 900, size * size, np.uint16).tobytes())
    at = int(place * (len(pixels) - 64)) // 2 * 2
    ct = a_ct(Rows=size, Columns=size, PatientName="Mustermann^Erika")
    ct.PixelData = bytes(pixels)
    assert not outcome_of(tmp_path, ct).reason
    pixels[at : at + 10] = b"MUSTERMANN"
    ct.PixelData = bytes(pixels)
    assert outcome_of(tmp_path, ct).reason


def test_a_profile_that_keeps_uids_lets_them_stay_in_text(tmp_path: Path) -> None:
    profile = Profile(name="u", title="t", options=frozenset({Option.RETAIN_UIDS}), dciodvfy="off")
    uid = "1.3.6.1.4.1.99999.1.1"
    assert written(tmp_path, a_ct(Manufacturer=f"study {uid}"), profile).Manufacturer == f"study {uid}"
    assert written(tmp_path, a_ct(Manufacturer=f"study {uid}")).Manufacturer == "REMOVED"
