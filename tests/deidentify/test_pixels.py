"""Which pixels pass, are masked, or wait for a person; and that a mask does what it says."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from deidentify.ct_builders import KEY, a_ct, as_file, reread
from fairlead.deidentify import Decision, Deidentifier, Profile, deidentify_file, judge, load_profile
from fairlead.deidentify.boxes import Box, outside, regions

BASIC, STRICT = load_profile("basic"), load_profile("pixel-strict")
NATIVE = "1.2.840.10008.1.2.1"
STORAGE = "1.2.840.10008.5.1.4.1.1."


def an_image(**changes: object) -> Dataset:
    return a_ct(PixelData=b"\1" * 16, Rows=4, Columns=4, BitsAllocated=8, SamplesPerPixel=1, **changes)


CASES = [
    ({}, "pass", "original-slice"),
    ({"Modality": "MR", "ImageType": ["ORIGINAL", "PRIMARY", "M"]}, "pass", "original-slice"),
    ({"BurnedInAnnotation": "YES"}, "quarantine", "burned-in"),
    ({"ImageType": ["DERIVED", "PRIMARY"]}, "quarantine", "derived"),
    ({"ImageType": ["DERIVED", "PRIMARY"], "BurnedInAnnotation": "NO"}, "pass", "stated-clean"),
    ({"ImageType": ["ORIGINAL", "SECONDARY"]}, "quarantine", "derived"),
    ({"ImageType": None}, "quarantine", "derived"),
    ({"SOPClassUID": STORAGE + "7"}, "quarantine", "secondary-capture"),
    ({"SOPClassUID": STORAGE + "7.4"}, "quarantine", "secondary-capture"),
    ({"ConversionType": "WSD"}, "quarantine", "secondary-capture"),
    ({"SOPClassUID": STORAGE + "104.1"}, "quarantine", "encapsulated-document"),
    ({"EncapsulatedDocument": b"%PDF"}, "quarantine", "encapsulated-document"),
    ({"SOPClassUID": STORAGE + "66.4", "Modality": "SEG"}, "pass", "computed"),
    ({"Modality": "CR"}, "quarantine", "modality"),
    ({"Modality": "CR", "BurnedInAnnotation": "NO"}, "pass", "stated-clean"),
    ({"Modality": "ES", "BurnedInAnnotation": "NO"}, "quarantine", "photo"),
    ({"Modality": "OT", "SOPClassUID": STORAGE + "77.1.4", "BurnedInAnnotation": "NO"}, "quarantine", "photo"),
    ({"Modality": "SM", "ImageType": ["ORIGINAL", "PRIMARY", "LABEL", "NONE"]}, "quarantine", "slide-photo"),
    ({"Modality": "SM", "ImageType": ["DERIVED", "PRIMARY", "VOLUME", "RESAMPLED"]}, "pass", "slide-volume"),
    ({"Modality": "US"}, "quarantine", "ultrasound"),
    ({"Modality": "AU", "SOPClassUID": STORAGE + "9.4.1"}, "quarantine", "audio"),
    ({"Modality": ""}, "quarantine", "modality"),
]


@pytest.mark.parametrize(("changes", "decision", "rule"), CASES, ids=[f"{case[2]}-{number}" for number, case in enumerate(CASES)])
def test_the_first_rule_that_knows_the_case_decides(changes: dict[str, object], decision: str, rule: str) -> None:
    verdict = judge(an_image(**changes), BASIC, transfer_syntax=NATIVE)
    assert (verdict.decision, verdict.rule) == (decision, rule)
    assert (verdict.decision is Decision.QUARANTINE) == bool(verdict.reason)


def test_an_object_without_pixels_passes() -> None:
    assert judge(a_ct(Modality="SR"), BASIC, transfer_syntax=NATIVE).rule == "no-pixels"


@pytest.mark.parametrize(
    ("data", "position", "rule"),
    [
        (None, None, "embedded-overlay"),
        (None, 12, "embedded-overlay"),
        (b"", None, "embedded-overlay"),
        (b"\0\0", 12, "embedded-overlay"),
        (b"\0\0", None, "embedded-overlay"),
        (b"\0" * 8, None, "original-slice"),
        (b"\0" * 8, 0, "original-slice"),
    ],
)
def test_an_overlay_in_unused_bits_is_not_passed(data: bytes | None, position: int | None, rule: str) -> None:
    """Its group says where it lies: data of its own hold a bit for every point, and begin at bit 0."""
    image = an_image()
    for element, value in ((0x10, 8), (0x11, 8), (0x102, position)):
        if value is not None:
            image.add_new(0x60000000 | element, "US", value)
    if data is not None:
        image.add_new(0x60003000, "OW", data)
    assert judge(image, BASIC, transfer_syntax=NATIVE).rule == rule
    assert judge(reread(image), BASIC, transfer_syntax=NATIVE).rule == rule


def test_the_strict_profile_believes_no_header() -> None:
    image = an_image(Modality="CR", BurnedInAnnotation="NO")
    assert judge(image, STRICT, transfer_syntax=NATIVE).decision is Decision.QUARANTINE


@pytest.mark.parametrize(
    ("allow", "changes"),
    [
        ("secondary-capture", {"SOPClassUID": STORAGE + "7", "Modality": "CT"}),
        ("derived", {"ImageType": ["DERIVED", "SECONDARY"]}),
        ("modality", {"Modality": "CR"}),
        ("ultrasound", {"Modality": "US"}),
        ("photo", {"Modality": "XC"}),
        ("encapsulated-document", {"SOPClassUID": STORAGE + "104.1"}),
    ],
)
def test_a_profile_may_allow_a_rule_that_a_person_has_judged(allow: str, changes: dict[str, object]) -> None:
    profile = Profile(name="p", title="t", pixels={"allow": [allow]})
    assert judge(an_image(**changes), profile, transfer_syntax=NATIVE).decision is Decision.PASS


def an_ultrasound(bits: int = 8, samples: int = 1, planar: int = 0, frames: int = 1, **changes: object) -> Dataset:
    region = Dataset()
    region.RegionLocationMinX0, region.RegionLocationMinY0, region.RegionLocationMaxX1, region.RegionLocationMaxY1 = 1, 2, 3, 6
    values = np.arange(1, frames * 6 * 5 * samples + 1, dtype=np.uint8 if bits == 8 else np.uint16)
    return a_ct(
        SOPClassUID=STORAGE + "6.1", Modality="US", Rows=6, Columns=5, BitsAllocated=bits, BitsStored=bits, HighBit=bits - 1,
        SamplesPerPixel=samples, PlanarConfiguration=planar, NumberOfFrames=frames, PixelRepresentation=0,
        PhotometricInterpretation="RGB" if samples == 3 else "MONOCHROME2", SequenceOfUltrasoundRegions=[region],
        PixelData=values.tobytes(), **changes,
    )  # fmt: skip


@pytest.mark.parametrize(("bits", "samples", "planar", "frames"), [(8, 1, 0, 1), (16, 1, 0, 2), (8, 3, 0, 1), (8, 3, 1, 2)])
def test_a_mask_keeps_the_region_and_blanks_the_rest_in_every_layout(
    tmp_path: Path, bits: int, samples: int, planar: int, frames: int
) -> None:
    source = an_ultrasound(bits, samples, planar, frames)
    (tmp_path / "us").write_bytes(as_file(source))
    outcome = deidentify_file(tmp_path / "us", Deidentifier(Profile(name="p", title="t"), KEY))
    before, output = dcmread(tmp_path / "us").pixel_array, dcmread(BytesIO(outcome.content))
    after = output.pixel_array
    rows = (slice(None),) * (1 if frames > 1 else 0) + (slice(2, 6), slice(1, 4))
    assert (after[rows] == before[rows]).all()
    blank = after.copy()
    blank[rows] = 0
    assert not blank.any()
    assert outcome.codes == ("113100", "113101")


def test_ultrasound_video_and_ultrasound_without_usable_regions_wait_for_a_person(tmp_path: Path) -> None:
    assert "cannot be masked" in judge(an_ultrasound(), BASIC, transfer_syntax="1.2.840.10008.1.2.4.110").reason
    source = an_ultrasound()
    source.SequenceOfUltrasoundRegions[0].RegionLocationMaxX1 = 50
    (tmp_path / "us").write_bytes(as_file(source))
    assert "outside of the image" in deidentify_file(tmp_path / "us", Deidentifier(BASIC, KEY)).reason
    del source.SequenceOfUltrasoundRegions[0].RegionLocationMinX0
    (tmp_path / "us").write_bytes(as_file(source))
    assert "no corners" in deidentify_file(tmp_path / "us", Deidentifier(BASIC, KEY)).reason
    assert judge(an_ultrasound(), STRICT, transfer_syntax=NATIVE).rule == "ultrasound"


def test_regions_are_cut_to_the_image_and_both_corners_belong_to_them() -> None:
    assert regions(an_ultrasound()) == (Box(top=2, bottom=6, left=1, right=4),)
    assert outside((Box(0, 1, 0, 1),), 2, 2).tolist() == [[False, True], [True, True]]


@pytest.mark.parametrize(("part", "stated"), [("HEAD", "YES"), ("KNEE", None)])
def test_a_head_is_said_to_show_a_face(tmp_path: Path, part: str, stated: str | None) -> None:
    (tmp_path / "ct").write_bytes(as_file(an_image(BodyPartExamined=part)))
    outcome = deidentify_file(tmp_path / "ct", Deidentifier(Profile(name="p", title="t"), KEY))
    output = dcmread(BytesIO(outcome.content))
    assert (output.get("RecognizableVisualFeatures"), output.BurnedInAnnotation) == (stated, "NO")


def test_without_a_verdict_nothing_is_claimed_about_burned_in_text() -> None:
    assert "BurnedInAnnotation" not in Deidentifier(BASIC, KEY).apply(an_image())
