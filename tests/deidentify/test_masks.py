"""Masks by model and in compressed syntaxes, faces, and the pictures and second opinion that go into the report."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID

from deidentify.ct_builders import KEY, a_ct, as_file
from fairlead.deidentify import Decision, Deidentifier, Plan, Profile, deface, deidentify_file, deidentify_folder, judge
from fairlead.deidentify.ocr import count_words
from fairlead.deidentify.table import Option
from fairlead.errors import InvalidConfiguration, NotFound
from needs import program

ENGINE = Deidentifier(Profile(name="p", title="t"), KEY)
NATIVE, RLE = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.5"
JPEG_LS, JPEG_2000 = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90"
STORAGE = "1.2.840.10008.5.1.4.1.1."


def an_ultrasound(*, samples: int = 1, bits: int = 8, frames: int = 1, **changes: object) -> Dataset:
    region = Dataset()
    region.RegionLocationMinX0, region.RegionLocationMinY0, region.RegionLocationMaxX1, region.RegionLocationMaxY1 = 4, 16, 63, 47
    shape = (frames, 48, 64, samples) if samples > 1 else (frames, 48, 64)
    values = np.random.default_rng(3).integers(1, 2**bits - 1, shape).astype(np.uint8 if bits == 8 else np.uint16)
    return a_ct(
        SOPClassUID=STORAGE + ("6.1" if frames == 1 else "3.1"), Modality="US", Rows=48, Columns=64, BitsAllocated=bits, BitsStored=bits,
        HighBit=bits - 1, SamplesPerPixel=samples, NumberOfFrames=frames, PixelRepresentation=0, SequenceOfUltrasoundRegions=[region],
        PhotometricInterpretation="RGB" if samples == 3 else "MONOCHROME2", PixelData=values.tobytes(), PlanarConfiguration=0, **changes,
    )  # fmt: skip


def compressed(dataset: Dataset, syntax: str) -> bytes:
    dataset.compress(UID(syntax), generate_instance_uid=False)
    return as_file(dataset)


LAYOUTS = [(1, 8, 1), (3, 8, 2), (1, 16, 2)]


@pytest.mark.parametrize("syntax", [RLE, JPEG_LS, JPEG_2000])
@pytest.mark.parametrize(("samples", "bits", "frames"), LAYOUTS)
def test_a_compressed_image_is_masked_and_stays_lossless(tmp_path: Path, syntax: str, samples: int, bits: int, frames: int) -> None:
    source = an_ultrasound(samples=samples, bits=bits, frames=frames)
    before = source.pixel_array.copy()
    (tmp_path / "us").write_bytes(compressed(source, syntax))
    outcome = deidentify_file(tmp_path / "us", ENGINE)
    output = dcmread(BytesIO(outcome.content))
    after = output.pixel_array
    inside = (..., slice(16, None), slice(4, None), slice(None)) if samples > 1 else (..., slice(16, None), slice(4, None))
    assert (after[inside] == before[inside]).all()
    blank = after.copy()
    blank[inside] = 0
    assert not blank.any()
    assert (output.file_meta.TransferSyntaxUID, outcome.codes) == (syntax, ("113100", "113101"))


def test_a_jpeg_cine_is_masked_and_written_without_further_loss(data: Path, tmp_path: Path) -> None:
    source = dcmread(data / "dicom/us/us_ybr_multiframe_jpeg.dcm")
    region = Dataset()
    region.RegionLocationMinX0, region.RegionLocationMinY0, region.RegionLocationMaxX1, region.RegionLocationMaxY1 = 20, 40, 299, 219
    source.SequenceOfUltrasoundRegions = [region]
    source.save_as(tmp_path / "us")
    before, output = source.pixel_array, dcmread(BytesIO(deidentify_file(tmp_path / "us", ENGINE).content))
    after = output.pixel_array
    assert (output.file_meta.TransferSyntaxUID, output.PhotometricInterpretation, output.NumberOfFrames) == (JPEG_LS, "RGB", 30)
    assert (after[:, 40:220, 20:300] == before[:, 40:220, 20:300]).all()
    assert not after[:, :40].any()
    assert output.LossyImageCompression == source.get("LossyImageCompression", output.LossyImageCompression)


MASKS = """
name: devices
title: t
dciodvfy: "off"
pixels:
  masks:
    - {manufacturer: acme, model: Viewer 3, rows: 8, columns: 10, blank: [[0, 0, 10, 2]]}
    - {manufacturer: ACME, model: Probe, modality: US, rows: 8, columns: 10, keep: [[2, 1, 9, 7]], blank: [[8, 6, 9, 7]]}
"""


@pytest.fixture
def devices(tmp_path: Path) -> Profile:
    from fairlead.deidentify import load_profile

    (tmp_path / "devices.yaml").write_text(MASKS)
    return load_profile(tmp_path / "devices.yaml")


def an_image(**changes: object) -> Dataset:
    layout = {"Rows": 8, "Columns": 10, "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "SamplesPerPixel": 1, "PixelRepresentation": 0}
    return a_ct(PhotometricInterpretation="MONOCHROME2", **({"PixelData": b"\7" * 80} | layout | changes))


def test_a_known_model_is_masked_even_where_the_header_says_that_text_is_burned_in(devices: Profile, tmp_path: Path) -> None:
    image = an_image(Modality="OT", Manufacturer="ACME", ManufacturerModelName="Viewer 3", BurnedInAnnotation="YES")
    (tmp_path / "a").write_bytes(as_file(image))
    outcome = deidentify_file(tmp_path / "a", Deidentifier(devices, KEY))
    output = dcmread(BytesIO(outcome.content))
    assert (outcome.rule, output.BurnedInAnnotation) == ("known-model", "NO")
    assert output.pixel_array.tolist() == [[0] * 10] * 2 + [[7] * 10] * 6


def test_keep_and_blank_of_a_mask_work_together(devices: Profile, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(as_file(an_image(Modality="US", Manufacturer="ACME", ManufacturerModelName="PROBE")))
    after = dcmread(BytesIO(deidentify_file(tmp_path / "a", Deidentifier(devices, KEY)).content)).pixel_array
    assert after[1:7, 2:9].sum() == 7 * (6 * 7 - 1)
    assert after.sum() == after[1:7, 2:9].sum()


@pytest.mark.parametrize("changes", [{"Rows": 9, "PixelData": b"\7" * 90}, {"ManufacturerModelName": "Viewer 4"}, {"Manufacturer": ""}])
def test_another_size_or_model_is_not_masked_by_guess(devices: Profile, changes: dict[str, object]) -> None:
    image = an_image(**({"Modality": "OT", "Manufacturer": "ACME", "ManufacturerModelName": "Viewer 3"} | changes))
    assert judge(image, devices, transfer_syntax=NATIVE).decision is Decision.QUARANTINE


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{manufacturer: A, model: B, rows: 8, columns: 8}", "needs rectangles"),
        ("{manufacturer: A, model: B, rows: 8, columns: 8, keep: [[0, 0, 9, 8]]}", "inside the image"),
        ("{manufacturer: A, model: B, rows: 8, columns: 8, blank: [[4, 4, 4, 8]]}", "not empty"),
    ],
)
def test_a_mask_that_does_not_hold_is_refused(tmp_path: Path, entry: str, message: str) -> None:
    from fairlead.deidentify import load_profile

    (tmp_path / "bad.yaml").write_text(f"name: x\ntitle: t\npixels: {{masks: [{entry}]}}")
    with pytest.raises(InvalidConfiguration, match=message):
        load_profile(tmp_path / "bad.yaml")


# --- faces ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "face"),
    [
        ({"BodyPartExamined": "HEAD"}, True),
        ({"StudyDescription": "CT Brain w/o contrast"}, True),
        ({"ProtocolName": "t1_mprage_sag"}, True),
        ({"BodyPartExamined": "KNEE"}, False),
        ({"BodyPartExamined": "HEAD", "Modality": "CR", "BurnedInAnnotation": "NO"}, False),
    ],
)
def test_a_head_is_said_to_show_a_face_and_not_to_be_cleaned(tmp_path: Path, changes: dict[str, object], *, face: bool) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_bytes(as_file(an_image(**changes)))
    report = deidentify_folder(tmp_path / "in", tmp_path / "out", profile=Profile(name="p", title="t", dciodvfy="off"), key=KEY)
    output = dcmread(next((tmp_path / "out").rglob("*.dcm")))
    assert (report.faces_not_cleaned, output.get("RecognizableVisualFeatures")) == ((1, "YES") if face else (0, None))
    assert report.profile_codes == ("113100",)


PLUG_IN = """
import numpy

def clean(file, dataset):
    frames = dataset.pixel_array.copy()
    frames[:4] = 0
    return {answer}
"""


@pytest.fixture
def plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    """Install a package with a defacing function, as pip would."""
    site = tmp_path / "site"
    (site / "scissors-1.dist-info").mkdir(parents=True)
    (site / "scissors-1.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: scissors\nVersion: 1\n")
    (site / "scissors-1.dist-info/entry_points.txt").write_text("[fairlead.deface]\nscissors = scissors:clean\n")
    (site / "scissors.py").write_text(PLUG_IN.format(answer=request.param))
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delitem(__import__("sys").modules, "scissors", raising=False)
    deface.find_deface.cache_clear()
    yield
    deface.find_deface.cache_clear()


@pytest.mark.parametrize(
    ("plug_in", "codes", "features"),
    [("frames", ("113100", "113102"), "NO"), ("None", ("113100",), "YES")],
    indirect=["plug_in"],
    ids=["cleaned", "declined"],
)
@pytest.mark.usefixtures("plug_in")
def test_a_plug_in_removes_the_face_or_the_output_says_that_it_is_there(tmp_path: Path, codes: tuple[str, ...], features: str) -> None:
    profile = Profile(name="p", title="t", options=frozenset({Option.CLEAN_VISUAL_FEATURES}))
    (tmp_path / "a").write_bytes(as_file(an_image(BodyPartExamined="HEAD")))
    outcome = deidentify_file(tmp_path / "a", Deidentifier(profile, KEY))
    output = dcmread(BytesIO(outcome.content))
    assert (outcome.codes, output.RecognizableVisualFeatures) == (codes, features)
    assert output.pixel_array[:4].any() == (features == "YES")


@pytest.mark.parametrize(
    ("plug_in", "reason"),
    [("frames[:2]", "changed the shape"), ("frames.astype(float)", "or the type"), ("1 / 0", "The defacing plug-in failed.")],
    indirect=["plug_in"],
)
@pytest.mark.usefixtures("plug_in")
def test_a_plug_in_that_does_not_keep_to_its_contract_is_refused(tmp_path: Path, reason: str) -> None:
    profile = Profile(name="p", title="t", options=frozenset({Option.CLEAN_VISUAL_FEATURES}))
    (tmp_path / "a").write_bytes(as_file(an_image(BodyPartExamined="HEAD")))
    assert reason in deidentify_file(tmp_path / "a", Deidentifier(profile, KEY)).reason


# --- report --------------------------------------------------------------------------------------------------------------


def masked_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "us.dcm").write_bytes(as_file(an_ultrasound(samples=3)))
    (folder / "Mustermann.dcm").write_bytes(as_file(an_image(BurnedInAnnotation="YES", SOPInstanceUID="1.3.6.1.4.1.99999.9")))
    return folder


def test_the_page_shows_counts_and_pictures_and_no_value(tmp_path: Path) -> None:
    profile = Profile(name="p", title="t", dciodvfy="off")
    deidentify_folder(masked_folder(tmp_path), tmp_path / "out", profile=profile, key=KEY, plan=Plan(page=tmp_path / "report.html"))
    page = (tmp_path / "report.html").read_text()
    assert "2 files: 1 written, 1 quarantined" in page
    assert page.count("data:image/png;base64,") == 2
    assert "ultrasound-regions" in page
    assert "the header says that text is burned into the pixels" in page
    for value in ("Mustermann", "MRN-4711", "19640812", "ACC998877", "1.3.6.1.4.1.99999"):
        assert value not in page
    assert "http://" not in page
    assert "https://" not in page


def test_the_picture_before_is_too_coarse_to_read(tmp_path: Path) -> None:
    from fairlead.deidentify.instance import Extras

    (tmp_path / "us").write_bytes(as_file(an_ultrasound()))
    before, after = deidentify_file(tmp_path / "us", ENGINE, extras=Extras(pictures=True)).pictures
    values = np.asarray(Image.open(BytesIO(before)))
    changes = (np.diff(values.astype(int), axis=1) != 0).any(axis=0).sum()
    assert changes < 24
    assert Image.open(BytesIO(after)).size[0] == 320


TABLE = "level\\tconf\\ttext\\n5\\t93.1\\tMUSTERMANN\\n5\\t12\\tnoise\\n5\\t95\\t1\\n"


def a_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = tmp_path / "bin" / "tesseract"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")


@pytest.mark.parametrize(("script", "seen"), [(f"cat >/dev/null; printf '{TABLE}'", (1, 1)), ("exit 1", (0, 0))], ids=["words", "fails"])
def test_a_second_opinion_is_counted_and_decides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, seen: tuple[int, int]
) -> None:
    a_reader(tmp_path, monkeypatch, script)
    (tmp_path / "a.dcm").write_bytes(as_file(an_image()))
    profile = Profile(name="p", title="t", dciodvfy="off")
    report = deidentify_folder(tmp_path / "a.dcm", tmp_path / "out", profile=profile, key=KEY, plan=Plan(ocr=True))
    assert (report.written, report.ocr_checked, report.ocr_with_words) == (1, *seen)
    assert "MUSTERMANN" not in report.model_dump_json()


def test_tesseract_sees_what_is_burned_in_and_nothing_where_nothing_is(tmp_path: Path) -> None:
    program("tesseract")
    picture = Image.new("L", (256, 256))
    ImageDraw.Draw(picture).text((8, 100), "MUSTERMANN", fill=255, font=ImageFont.load_default(32))
    (tmp_path / "in").mkdir()
    for number, values in enumerate((np.asarray(picture), np.zeros((256, 256)))):
        image = an_image(SOPInstanceUID=f"1.3.6.1.4.1.99999.1.{number}", Rows=256, Columns=256, BitsAllocated=16, BitsStored=16, HighBit=15)
        image.PixelData = values.astype("<u2").tobytes()
        (tmp_path / "in" / f"{number}.dcm").write_bytes(as_file(image))
    profile = Profile(name="p", title="t", dciodvfy="off")
    report = deidentify_folder(tmp_path / "in", tmp_path / "out", profile=profile, key=KEY, plan=Plan(ocr=True))
    assert (report.written, report.ocr_checked, report.ocr_with_words) == (2, 2, 1)
    (name,) = report.ocr_words_in
    assert dcmread(tmp_path / "out" / name).pixel_array.max() == 255


def test_a_second_opinion_without_the_program_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "a.dcm").write_bytes(as_file(an_image()))
    with pytest.raises(NotFound, match="tesseract is not installed"):
        deidentify_folder(tmp_path / "a.dcm", tmp_path / "out", profile=Profile(name="p", title="t"), key=KEY, plan=Plan(ocr=True))


@pytest.mark.parametrize(("table", "words"), [("", 0), ("no table", 0), ("conf\ttext\n96\tErika\n96\t--\n10\tErika\nbroken\n", 1)])
def test_only_sure_words_count(table: str, words: int) -> None:
    assert count_words(table) == words
