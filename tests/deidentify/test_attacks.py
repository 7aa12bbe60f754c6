"""An attacker hides identities where nobody looks: each attack ends in a file without them, or in quarantine."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.tag import Tag

from deidentify.ct_builders import KEY, SHARED_GROUPS, a_ct, as_file, reread
from fairlead.deidentify import Deidentifier, Outcome, Profile, deidentify_file, load_profile
from fairlead.deidentify.table import Option

BASIC = Profile(name="basic", title="t", dciodvfy="off")
LONGITUDINAL = load_profile("research-longitudinal").model_copy(update={"dciodvfy": "off"})


def outcome_of(folder: Path, source: Dataset | bytes, profile: Profile = BASIC) -> Outcome:
    (folder / "a").write_bytes(source if isinstance(source, bytes) else as_file(source))
    outcome = deidentify_file(folder / "a", Deidentifier(profile, KEY))
    assert bool(outcome.content) != bool(outcome.reason)
    return outcome


def an_image(**changes: object) -> Dataset:
    layout = {"Rows": 64, "Columns": 64, "BitsAllocated": 16, "BitsStored": 16, "HighBit": 15, "SamplesPerPixel": 1}
    described = {"PixelData": bytes(8192), "PixelRepresentation": 0, "PhotometricInterpretation": "MONOCHROME2"}
    return a_ct(**layout | described | changes)


SPELLINGS = {
    "upper case": "MÜLLER-LÜDENSCHEIDT".encode(),
    "upper case in Latin-1": "SEEN BY MÜLLER-LÜDENSCHEIDT".encode("latin-1"),
    "mixed case": "MülLER-lÜDENscheidt".encode(),
    "two code points": "Mu\u0308ller-Lu\u0308denscheidt".encode(),
    "digraphs": b"MUELLER-LUEDENSCHEIDT",
    "no diacritics": b"muller-ludenscheidt",
    "UTF-16 little endian": "Müller-Lüdenscheidt".encode("utf-16-le"),
    "UTF-16 big endian": "x: Müller-Lüdenscheidt!".encode("utf-16-be"),
    "an identifier in UTF-16 big endian": "PAT-4711-XYZ".encode("utf-16-be") + b"AB",
    "split over values": b"PAT-47\\11-XYZ",
    "other separators": b"pat 4711 xyz",
    "no separators": b"pat4711xyz",
    "with zeros": b"PAT-\x004711-XYZ",
    "with an escape": b"PAT-47\x1b(B11-XYZ",
    "name in another order": b"Luedenscheidt, Mueller",
    "phone number": b"call 0307755-331",
}


@pytest.mark.parametrize("hidden", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("where", ["ScanOptions", "RedPaletteColorLookupTableData", "nested RedPaletteColorLookupTableData"])
def test_no_spelling_of_an_identity_is_written(tmp_path: Path, hidden: bytes, where: str) -> None:
    source = a_ct(SpecificCharacterSet="ISO_IR 192", PatientID="PAT-4711-XYZ", PatientTelephoneNumbers="030 7755331")
    source.PatientName = "Müller-Lüdenscheidt^Änne"
    item = Dataset()
    place = item if where.startswith("nested") else source
    tag = Tag(where.split()[-1])
    value = hidden + b" " * (len(hidden) % 2)
    place[tag] = RawDataElement(tag, "CS" if where == "ScanOptions" else "OB", len(value), value, 0, False, True)
    source.add(DataElement(SHARED_GROUPS, "SQ", [item]))
    assert outcome_of(tmp_path, source).reason.startswith("residual-identity: ")


@pytest.mark.parametrize(
    ("name", "charset", "text"),
    [
        ("Петров^Иван", "ISO_IR 144", "ВРАЧ ПЕТРОВ"),
        ("Παπαδόπουλος^Νίκος", "ISO_IR 126", "ΠΑΠΑΔΌΠΟΥΛΟΣ"),
        ("Yamada^Tarou=山田^太郎", "ISO 2022 IR 87", "患者山田様"),
        ("Yamada^Tarou=山田^太郎", "GB18030", "山田太郎"),
        ("Hong^Gildong=홍^길동", "ISO 2022 IR 149", "환자길동씨"),
        ("Wang^XiaoDong=王^小东", "GB18030", "病人小东"),
        ("قباني^لنزار", "ISO_IR 127", "ولنزار"),
        ("שרון^דבורה", "ISO_IR 138", "לדבורה"),
        ("สมชาย^ใจดี", "ISO_IR 166", "คุณสมชายครับ"),
    ],
)
def test_a_name_in_the_character_set_of_another_item_is_found(tmp_path: Path, name: str, charset: str, text: str) -> None:
    source, item = a_ct(SpecificCharacterSet="ISO_IR 192", PatientName=name), Dataset()
    item.SpecificCharacterSet = ["", charset] if charset.startswith("ISO 2022") else charset
    item.Manufacturer = text
    source.add(DataElement(SHARED_GROUPS, "SQ", [item]))
    outcome = outcome_of(tmp_path, source)
    assert outcome.reason == ""
    assert dcmread(BytesIO(outcome.content))[SHARED_GROUPS].value[0].Manufacturer == "REMOVED"


DAYS = (
    "12.08.1964", "12.8.1964", "08/12/1964", "12/08/64", "12-08-1964", "1964/08/12", "1964.08.12", "12 Aug 1964", "12-AUG-64",
    "Aug 12, 1964", "August 12th, 1964", "12. August 1964", "12081964", "08121964", "19640812123000", "64-08-12", "1964-Aug-12",
)  # fmt: skip


@pytest.mark.parametrize("text", DAYS)
def test_the_day_of_birth_is_found_as_anybody_writes_it(tmp_path: Path, text: str) -> None:
    outcome = outcome_of(tmp_path, a_ct(Manufacturer=f"born {text}", PatientBirthDate="19640812"))
    assert dcmread(BytesIO(outcome.content)).Manufacturer == "REMOVED"


@pytest.mark.parametrize("text", [*DAYS, "tel 030 775 53 31", "+49 30 775 331", "91yr"])
def test_a_cleaned_description_keeps_no_date_no_phone_number_and_no_age(tmp_path: Path, text: str) -> None:
    source = a_ct(SeriesDescription=f"Chest {text} lung 5mm", PatientBirthDate="19640812")
    assert dcmread(BytesIO(outcome_of(tmp_path, source, LONGITUDINAL).content)).SeriesDescription == "Chest lung 5mm"


def test_an_old_form_of_the_date_of_birth_is_an_identity_too(tmp_path: Path) -> None:
    source = a_ct(Manufacturer="born 19640812")
    source[0x00100030] = RawDataElement(Tag(0x00100030), "DA", 10, b"1964.08.12", 0, False, True)
    assert dcmread(BytesIO(outcome_of(tmp_path, source).content)).Manufacturer == "REMOVED"


@pytest.mark.parametrize("keyword", ["KVP", "AcquisitionNumber", "SecondaryReviewTime"])
def test_the_day_of_birth_is_no_number_and_no_time(tmp_path: Path, keyword: str) -> None:
    source = a_ct(PatientBirthDate="19640812")
    vr = {"KVP": "DS", "AcquisitionNumber": "IS", "SecondaryReviewTime": "TM"}[keyword]
    tag = Tag(keyword)
    source[tag] = RawDataElement(tag, vr, 8, b"19640812", 0, False, True)
    assert outcome_of(tmp_path, source).reason.startswith("residual-identity: ")


def test_a_uid_below_the_root_of_dicom_is_mapped_unless_the_standard_knows_it() -> None:
    source = a_ct(StudyInstanceUID="1.2.840.10008.4711.19640812", FrameOfReferenceUID="1.2.840.10008.1.4.1.1")
    output = Deidentifier(BASIC, KEY).apply(source)
    assert output.StudyInstanceUID.startswith("2.25.")
    assert output.FrameOfReferenceUID == "1.2.840.10008.1.4.1.1"


@pytest.mark.parametrize("keyword", ["ReferencedSOPClassUID", "CodingSchemeUID", "ContextUID"])
def test_a_name_as_components_of_a_uid_is_found(tmp_path: Path, keyword: str) -> None:
    item = Dataset()
    setattr(item, keyword, "1.2." + ".".join(str(ord(letter)) for letter in "Mustermann"))
    source = a_ct()
    source.add(DataElement(SHARED_GROUPS, "SQ", [item]))
    assert outcome_of(tmp_path, source).reason.startswith("residual-identity: ")


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
def test_a_kept_identifier_never_becomes_a_path(tmp_path: Path, keyword: str) -> None:
    profile = Profile(name="uids", title="t", options=frozenset({Option.RETAIN_UIDS}), dciodvfy="off")
    content = as_file(a_ct()).replace(str(a_ct()[keyword].value).encode(), b"../../../../../etc/ab")
    assert outcome_of(tmp_path, content, profile).reason.startswith("invalid-input: ")


def test_pixels_in_an_item_or_in_another_group_do_not_travel_unseen(tmp_path: Path) -> None:
    source, item = a_ct(), Dataset()
    item.add(DataElement(0x7FE00010, "OW", b"burned in"))
    source.add(DataElement(SHARED_GROUPS, "SQ", [item]))
    source.add(DataElement(0x7F020010, "OW", b"burned in too!"))
    assert b"burned in" not in outcome_of(tmp_path, source).content


@pytest.mark.parametrize("at", ["begin", "end", "behind"])
def test_text_at_the_ends_of_native_pixels_is_found(tmp_path: Path, at: str) -> None:
    word = b"MUSTERMANN"
    pixels = {"begin": word + bytes(8182), "end": bytes(8182) + word, "behind": bytes(8192) + b"..." + word + bytes(9003)}[at]
    outcome = outcome_of(tmp_path, an_image(PixelData=pixels))
    assert "(7FE0,0010) holds identity" in outcome.reason


def test_a_name_in_the_middle_of_native_pixels_is_found_and_any_spelling_where_a_profile_asks_for_it(tmp_path: Path) -> None:
    def source(text: bytes) -> Dataset:
        return an_image(PixelData=bytes(200_000) + text + bytes(324_288 - len(text)), Rows=512, Columns=512)

    every = BASIC.model_copy(update={"pixels": BASIC.pixels.model_copy(update={"search": "all"})})
    assert "(7FE0,0010) holds identity" in outcome_of(tmp_path, source(b"MusterMANN")).reason
    wide = "Mustermann".encode("utf-16-le")
    assert outcome_of(tmp_path, source(wide)).reason == ""
    assert "(7FE0,0010) holds identity" in outcome_of(tmp_path, source(wide), every).reason


def test_four_pixels_that_happen_to_have_the_values_of_four_letters_are_no_name(tmp_path: Path) -> None:
    every = BASIC.model_copy(update={"pixels": BASIC.pixels.model_copy(update={"search": "all"})})
    pixels = bytes(200_000) + "HEAD".encode("utf-16-le") + bytes(324_280)
    assert outcome_of(tmp_path, an_image(PixelData=pixels, Rows=512, Columns=512, PatientName="CT^Head"), every).reason == ""


def a_jpeg(marker: bytes, text: bytes, *, large: bool) -> Dataset:
    """Return an image whose one frame has a colour profile, and a segment with a text after it."""
    picture = BytesIO()
    Image.fromarray(np.arange(4096, dtype=np.uint8).reshape(64, 64) % 251).save(picture, "JPEG")
    frame = picture.getvalue()
    frame = frame[:2] + (b"\xff\xe2\xff\xff" + bytes(0xFFFD)) * large + marker + struct.pack(">H", len(text) + 2) + text + frame[2:]
    image = an_image(BitsAllocated=8, BitsStored=8, HighBit=7)
    image.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.50"
    image.PixelData = encapsulate([frame])
    image["PixelData"].VR = "OB"
    return image


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("marker", [b"\xff\xfe", b"\xff\xe1", b"\xff\xed"], ids=["comment", "EXIF", "IPTC"])
@pytest.mark.parametrize("text", [b"Erika MUSTERMANN", b"somebody the header does not know"])
def test_comments_and_camera_data_in_a_frame_are_blanked_and_the_pixels_stay(
    tmp_path: Path, text: bytes, marker: bytes, *, large: bool
) -> None:
    source = a_jpeg(marker, text, large=large)
    outcome = outcome_of(tmp_path, source)
    output = dcmread(BytesIO(outcome.content))
    assert text not in outcome.content
    assert len(output.PixelData) == len(source.PixelData)
    np.testing.assert_array_equal(output.pixel_array, reread(source).pixel_array)


def test_comments_of_jpeg_2000_are_blanked_too(tmp_path: Path) -> None:
    source = reread(an_image())
    source.compress("1.2.840.10008.1.2.4.90", encoding_plugin="pylibjpeg", generate_instance_uid=False)
    frame = next(generate_frames(source.PixelData, number_of_frames=1))
    at = frame.index(b"\xff\x90")
    source.PixelData = encapsulate([frame[:at] + b"\xff\x64\0\x0f\0\x01Schmidtbauer"[:17] + frame[at:]])
    outcome = outcome_of(tmp_path, source)
    assert b"Schmidt" not in outcome.content
    np.testing.assert_array_equal(dcmread(BytesIO(outcome.content)).pixel_array, source.pixel_array)


@pytest.mark.parametrize("large", [False, True])
def test_a_name_in_the_colour_profile_of_a_frame_stops_the_file(tmp_path: Path, *, large: bool) -> None:
    assert "(7FE0,0010) holds identity" in outcome_of(tmp_path, a_jpeg(b"\xff\xe2", b"Erika MUSTERMANN", large=large)).reason


def test_what_stands_behind_the_end_of_a_jpeg_is_blanked(tmp_path: Path) -> None:
    image = an_image()
    image.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.50"
    image.PixelData = encapsulate([b"\xff\xd8\xff\xda\0\x02" + bytes(90_000) + b"\xff\xd9 erika mustermann, schmidtbauer "])
    image["PixelData"].VR = "OB"
    outcome = outcome_of(tmp_path, image)
    assert outcome.reason == ""
    assert b"mustermann" not in outcome.content
    assert b"schmidt" not in outcome.content


def test_what_follows_the_data_set_is_not_copied(tmp_path: Path) -> None:
    content = as_file(a_ct())
    for tail in (b"Must", b"\0\0\0\0Mustermann" + bytes(20)):
        outcome = outcome_of(tmp_path, content + tail)
        assert b"Must" not in outcome.content


def test_what_follows_a_deflated_data_set_is_not_copied(tmp_path: Path) -> None:
    source = a_ct()
    source.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    outcome = outcome_of(tmp_path, as_file(source) + b"Mustermann")
    assert outcome.reason == ""
    start = 132 + 12 + dcmread(BytesIO(outcome.content)).file_meta.FileMetaInformationGroupLength
    assert b"Mustermann" not in outcome.content + zlib.decompress(outcome.content[start:], -zlib.MAX_WBITS)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.103", "1.2.840.10008.1.2.4.107"])
def test_video_is_refused_by_name_whatever_the_header_says(tmp_path: Path, syntax: str) -> None:
    image = an_image(Modality="XA", BurnedInAnnotation="NO")
    image.file_meta.TransferSyntaxUID = syntax
    image.PixelData = encapsulate([bytes(100)])
    image["PixelData"].VR = "OB"
    assert outcome_of(tmp_path, image).reason.startswith("pixels (video): ")


@pytest.mark.parametrize("syntax", ["1.3.6.1.4.1.77.117.115", "1.2.840.10008.5.1.4.1.1.2", "Hans"])
def test_a_transfer_syntax_that_dicom_does_not_have_is_refused(tmp_path: Path, syntax: str) -> None:
    content = as_file(a_ct()).replace(b"1.2.840.10008.1.2.1\0", syntax.encode()[:20].ljust(20, b"\0"), 1)
    assert outcome_of(tmp_path, content).reason


@pytest.mark.parametrize("vr", ["LO", "UT", "OB", "CS", "PN"])
def test_text_in_a_public_element_that_no_dictionary_knows_does_not_pass(tmp_path: Path, vr: str) -> None:
    source, item = a_ct(), Dataset()
    for place in (source, item):
        value = b"cousin Schmidt "[: 14 if vr != "OB" else 15]
        place[0x0018ABCD] = RawDataElement(Tag(0x0018ABCD), vr, len(value), value, 0, False, True)
    source.add(DataElement(SHARED_GROUPS, "SQ", [item]))
    assert b"Schmidt" not in outcome_of(tmp_path, source).content


def test_a_number_in_an_element_that_no_dictionary_knows_stays(tmp_path: Path) -> None:
    source = a_ct()
    source.add(DataElement(0x0018ABCD, "FD", 1.5))
    assert dcmread(BytesIO(outcome_of(tmp_path, source).content))[0x0018ABCD].value == 1.5


def test_a_name_that_stands_in_a_private_element_only_is_found_elsewhere(tmp_path: Path) -> None:
    source = a_ct(Manufacturer="for Schmidtbauer")
    source.private_block(0x0009, "ACME", create=True).add_new(0x01, "PN", "Schmidtbauer^Eva")
    assert dcmread(BytesIO(outcome_of(tmp_path, source).content)).Manufacturer == "REMOVED"


def test_a_number_is_found_without_its_leading_zeros(tmp_path: Path) -> None:
    source = a_ct(Manufacturer="for 4711815", PatientID="0004711815")
    assert dcmread(BytesIO(outcome_of(tmp_path, source).content)).Manufacturer == "REMOVED"


def test_a_second_file_behind_the_first_is_not_copied(tmp_path: Path) -> None:
    outcome = outcome_of(tmp_path, as_file(a_ct()) + as_file(a_ct(Manufacturer="Schmidtbauer", PatientName="Schmidtbauer^Eva")))
    assert b"schmidtbauer" not in outcome.content.lower()
