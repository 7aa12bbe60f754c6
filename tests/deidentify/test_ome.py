"""Microscopy: people, dates, names and notes go, pixels and instrument stay, and the files of a set still find each other."""

from __future__ import annotations

import os
import re
from datetime import date
from enum import Enum
from io import BytesIO
from pathlib import Path

import numpy as np
import ome_types
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deidentify.ct_builders import KEY
from fairlead.cli import run
from fairlead.deidentify import Deidentifier, Plan, Profile, clean_ome_xml, deidentify_folder, deidentify_ome, load_profile
from fairlead.deidentify.ome import is_ome
from fairlead.deidentify.ome_values import is_structure
from fairlead.deidentify.ome_xml import clean_ome
from fairlead.deidentify.table import Option
from fairlead.deidentify.tiff import are_jpeg_tables
from fairlead.errors import FairleadError, ResidualIdentity, UnreadableImage, UnsupportedInput
from fairlead.files import relative_files

BASIC, LONGITUDINAL = (load_profile(name) for name in ("basic", "research-longitudinal"))
ENGINE = Deidentifier(BASIC, KEY)
NAMESPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
DOCUMENT = f"""<?xml version="1.0" encoding="UTF-8"?>
<!-- made by Erika Mustermann -->
<OME xmlns="{NAMESPACE}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" UUID="urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e"
     Creator="Mustermann Microscopy Suite 4">
  <Experimenter ID="Experimenter:0" FirstName="Erika" LastName="Mustermann" Email="erika@example.org" UserName="emust"
    Institution="Elsewhere"/>
  <Instrument ID="Instrument:0">
    <Microscope Manufacturer="ACME" Model="Lens 3" SerialNumber="SN-998877" Type="Inverted"/>
    <Objective ID="Objective:0" NominalMagnification="63" LensNA="1.4" Immersion="Oil"/>
  </Instrument>
  <Image ID="urn:lsid:lab.example.org:Image:77" Name="Mustermann lung biopsy">
    <AcquisitionDate>2021-03-15T10:15:00</AcquisitionDate>
    <ExperimenterRef ID="Experimenter:0"/>
    <Description>Patient Hans Beispiel, seen by Mustermann on 2021-03-15</Description>
    <InstrumentRef ID="Instrument:0"/>
    <ObjectiveSettings ID="Objective:0"/>
    <StageLabel Name="Mustermann desk" X="1.5" Y="2.5"/>
    <Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="16" SizeY="8" SizeZ="1" SizeC="2" SizeT="1" PhysicalSizeX="0.1"
            PhysicalSizeXUnit="&#181;m" BigEndian="false">
      <Channel ID="Channel:0:0" Name="DAPI" EmissionWavelength="461" SamplesPerPixel="1"/>
      <Channel ID="Channel:0:1" Name="GFP Mustermann" SamplesPerPixel="1"/>
      <TiffData IFD="0" PlaneCount="2">
        <UUID FileName="Mustermann_Hans.ome.tif">urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e</UUID>
      </TiffData>
    </Pixels>
    <AnnotationRef ID="Annotation:0"/>
  </Image>
  <StructuredAnnotations>
    <MapAnnotation ID="Annotation:0"><Value><M K="Patient ID">MRN-4711-X</M></Value></MapAnnotation>
  </StructuredAnnotations>
</OME>
"""
SECRETS = (
    "mustermann",
    "erika",
    "beispiel",
    "hans",
    "emust",
    "elsewhere",
    "mrn-4711",
    "0f8fad5b",
    "lab.example",
    "2021-03-15",
    "2021:03:15",
)


def an_ome_tiff(path: Path, document: str = DOCUMENT, **how: object) -> Path:
    values = np.arange(2 * 8 * 16, dtype=np.uint16).reshape(2, 8, 16)
    extra = [(315, "s", 0, "Erika Mustermann", True), (316, "s", 0, "elsewhere-pc", True), (700, "B", 20, b"<x>Erika Mustermann", True)]
    tifffile.imwrite(
        path, values, description=document.encode(), metadata=None, software="Mustermann Suite", datetime="2021:03:15 10:15:00",
        extratags=extra, photometric="minisblack", **how,
    )  # fmt: skip
    return path


@pytest.mark.parametrize("how", [{}, {"bigtiff": True}, {"byteorder": ">"}, {"tile": (16, 16)}, {"compression": "zlib"}], ids=str)
def test_identity_is_gone_from_every_byte_and_the_pixels_are_the_same(tmp_path: Path, how: dict[str, object]) -> None:
    source = an_ome_tiff(tmp_path / "Mustermann_Hans.ome.tif", **how)
    outcome = deidentify_ome(source, ENGINE)
    assert (outcome.reason, outcome.rule) == ("", "microscopy")
    for secret in SECRETS:
        assert secret.encode() not in outcome.content.lower(), secret
        assert secret not in outcome.name.lower()
    with tifffile.TiffFile(BytesIO(outcome.content)) as before, tifffile.TiffFile(source) as after:
        assert [(page.asarray() == other.asarray()).all() for page, other in zip(before.pages, after.pages, strict=True)] == [True, True]
        assert not {305, 306, 315, 316, 700} & {tag.code for page in before.pages for tag in page.tags}
        assert ome_types.from_xml(before.pages.first.description).images[0].pixels.size_x == 16


def cleaned(profile: Profile = BASIC) -> ome_types.OME:
    result = clean_ome(DOCUMENT.encode(), profile, KEY, file_name="Mustermann_Hans.ome.tif", content_id="0")
    return ome_types.from_xml(result.xml.decode())


def test_what_describes_image_and_instrument_stays() -> None:
    image, instrument = cleaned().images[0], cleaned().instruments[0]
    assert [channel.name for channel in image.pixels.channels] == ["DAPI", "GFP"]
    assert (image.pixels.physical_size_x, image.pixels.channels[0].emission_wavelength) == (0.1, 461)
    assert (instrument.microscope.manufacturer, instrument.microscope.model, instrument.microscope.serial_number) == (
        "ACME",
        "Lens 3",
        None,
    )
    assert (instrument.objectives[0].nominal_magnification, image.instrument_ref.id) == (63, "Instrument:0")
    assert (image.name, image.description, image.acquisition_date, image.stage_label.name) == (None, None, None, "REMOVED")
    assert image.id.startswith("Image:")


@pytest.mark.parametrize("given", ["Image:19640812", "Mustermann:1", "urn:lsid:lab.example.org:Image:77", "Image:Hans", "Channel:0:1"])
def test_identifiers_become_numbers_in_the_order_of_the_document(given: str) -> None:
    document = DOCUMENT.replace("urn:lsid:lab.example.org:Image:77", given).replace("Objective:0", "Objective:19640812")
    result = clean_ome(document.encode(), BASIC, KEY, file_name="x.ome.tif", content_id="0")
    ome = ome_types.from_xml(result.xml.decode())
    assert (ome.images[0].id, ome.images[0].objective_settings.id) == ("Image:0", "Objective:0")
    assert b"Hans" not in result.xml
    assert b"19640812" not in result.xml


@pytest.mark.parametrize("name", ["PhysicalSizeXUnit", "PhysicalSizeX", "BigEndian", "AcquisitionMode", "NDFilter", "Whatever"])
@pytest.mark.parametrize("value", ["Erika Mustermann", "MRN 4711, born 1964-08-12", "19640812-4711"])
def test_attributes_have_the_values_of_the_schema_or_go(name: str, value: str) -> None:
    document = re.sub(rf' {name}="[^"]*"', "", DOCUMENT).replace("<Channel ", f'<Channel {name}="{value}" ').replace(
        "<Pixels ", f'<Pixels {name}="{value}" '
    )  # fmt: skip
    result = clean_ome(document.encode(), BASIC, KEY, file_name="x.ome.tif", content_id="0")
    assert value.encode() not in result.xml


@pytest.mark.parametrize(("name", "value"), [("DimensionOrder", "XYZCT"), ("Type", "uint16")])
def test_a_value_that_the_schema_has_not_refuses_the_file_where_it_must_be(tmp_path: Path, name: str, value: str) -> None:
    document = DOCUMENT.replace(f'{name}="{value}"', f'{name}="Mustermann"')
    assert f"{name} is none of the OME schema" in deidentify_ome(an_ome_tiff(tmp_path / "a.ome.tif", document), ENGINE).reason


def test_every_value_of_the_schema_stays() -> None:
    simple = {name: kind for name, kind in vars(ome_types.model).items() if isinstance(kind, type) and issubclass(kind, Enum)}
    units = [member.value for name, kind in simple.items() if name.startswith("Units") for member in kind]
    assert [unit for unit in units if not is_structure("Pixels", "PhysicalSizeXUnit", unit)] == []
    for name, kind in simple.items():
        element, _, attribute = name.partition("_")
        if attribute and attribute not in ("value", "Compression"):
            assert [member.value for member in kind if not is_structure(element, attribute, member.value)] == [], name


def test_options_of_the_profile_hold_for_microscopy_too() -> None:
    image = cleaned(LONGITUDINAL).images[0]
    assert image.name == "lung biopsy"
    assert image.acquisition_date is not None
    assert abs((image.acquisition_date.date() - date(2021, 3, 15)).days) % 7 == 0
    assert image.acquisition_date.strftime("%H%M") == "1015"
    device = Profile(name="d", title="t", options=frozenset({Option.RETAIN_DEVICE_IDENTITY, Option.RETAIN_FULL_DATES}))
    kept = cleaned(device)
    assert kept.instruments[0].microscope.serial_number == "SN-998877"
    assert kept.images[0].acquisition_date.isoformat().startswith("2021-03-15")


def test_the_document_says_what_was_done() -> None:
    assert cleaned().creator.startswith("Fairlead ")
    assert BASIC.sha256 in cleaned().creator


def test_the_files_of_a_set_still_name_each_other(data: Path, tmp_path: Path) -> None:
    report = deidentify_folder(data / "ome/tiff/companion_z5", tmp_path, profile=BASIC, key=KEY)
    assert (report.files, report.written, report.residue) == (6, 6, ())
    names = {name.name for name in relative_files(tmp_path)}
    companion = next(tmp_path.rglob("*.companion.ome"))
    document = ome_types.from_xml(companion.read_text())
    named = {block.uuid.file_name for block in document.images[0].pixels.tiff_data_blocks}
    assert named == names - {companion.name}
    for name in named:
        with tifffile.TiffFile(tmp_path / "ome" / name) as tiff:
            assert companion.name in tiff.pages.first.description


def test_every_sample_is_written_or_refused_with_a_reason(data: Path) -> None:
    files = [data / "ome" / name for name in relative_files(data / "ome") if is_ome(data / "ome" / name)]
    outcomes = {path.name: deidentify_ome(path, ENGINE) for path in files}
    refused = {name for name, outcome in outcomes.items() if outcome.reason}
    assert refused == {"truncated.ome.tif", "entity_expansion_small.ome.xml", "truncated.ome.xml", "bad_enum.ome.xml"}
    assert len(files) >= 60


@pytest.mark.parametrize(
    ("tag", "reason"),
    [
        ((291, 2, 0, "Erika Mustermann, MRN 4711", True), ""),
        ((290, 3, 12, b"Erika Mustermann 4711   ", True), ""),
        ((532, 1, 24, b"Erika Mustermann 19640812", True), ""),
        ((347, 7, 24, b"Erika Mustermann 19640812", True), ""),
    ],
)
def test_a_tag_of_numbers_cannot_carry_text(tmp_path: Path, tag: tuple[object, ...], reason: str) -> None:
    source = tmp_path / "a.ome.tif"
    tifffile.imwrite(source, np.zeros((8, 8), "u1"), description=DOCUMENT.encode(), metadata=None, extratags=[tag])
    outcome = deidentify_ome(source, ENGINE)
    assert outcome.reason == reason
    assert b"Mustermann" not in outcome.content
    assert tag[0] not in [entry.code for entry in tifffile.TiffFile(BytesIO(outcome.content)).pages.first.tags]


def test_tables_of_a_jpeg_stay_when_they_are_tables(tmp_path: Path) -> None:
    source = tmp_path / "a.ome.tif"
    values = np.arange(64 * 64 * 3, dtype="u1").reshape(64, 64, 3)
    tifffile.imwrite(source, values, tile=(16, 16), compression="jpeg", photometric="rgb", description=DOCUMENT.encode(), metadata=None)
    outcome = deidentify_ome(source, ENGINE)
    assert outcome.reason == ""
    with tifffile.TiffFile(BytesIO(outcome.content)) as after, tifffile.TiffFile(source) as before:
        assert (after.pages.first.asarray() == before.pages.first.asarray()).all()
    assert not are_jpeg_tables(b"\xff\xd8\xff\xfe\x00\x12Erika Mustermann\xff\xd9")
    assert not are_jpeg_tables(b"\xff\xd8\xff\xdb\x00\x12Erika Mustermann\xff\xd9")
    assert not are_jpeg_tables(b"\xff\xd8\xff\xd9Erika Mustermann")


def test_a_document_beside_pixels_is_cleaned_and_names_no_file() -> None:
    xml = clean_ome_xml(DOCUMENT.encode(), LONGITUDINAL, KEY, file_name="Mustermann_Hans.ome.tif")
    assert [secret for secret in SECRETS if secret.encode() in xml.lower()] == []
    ome = ome_types.from_xml(xml.decode(), validate=True)
    pixels = ome.images[0].pixels
    assert pixels.metadata_only is not None
    assert (pixels.tiff_data_blocks, [channel.name for channel in pixels.channels]) == ([], ["DAPI", "GFP"])
    assert LONGITUDINAL.sha256 in str(ome.creator)


def test_without_dates_nothing_beside_pixels_depends_on_the_key() -> None:
    """So a document without a secret key gives nobody a value to try names against, and the same document every time."""
    ours, other = (clean_ome_xml(DOCUMENT.encode(), BASIC, key, file_name="Mustermann_Hans.ome.tif") for key in (KEY, b"\x05" * 32))
    assert ours == other
    assert b"UUID" not in ours


def test_dates_that_moved_already_stay_beside_pixels() -> None:
    once = clean_ome_xml(DOCUMENT.encode(), LONGITUDINAL, KEY)
    twice = [ome_types.from_xml(clean_ome_xml(once, LONGITUDINAL, KEY, dates_moved=moved).decode()) for moved in (True, False)]
    first = ome_types.from_xml(once.decode()).images[0].acquisition_date
    assert (twice[0].images[0].acquisition_date, twice[0].creator) == (first, twice[1].creator)
    assert ome_types.from_xml(clean_ome_xml(once, BASIC, KEY, dates_moved=True).decode()).images[0].acquisition_date is None


@pytest.mark.parametrize(
    ("document", "error", "reason"),
    [
        (DOCUMENT.replace('Model="Lens 3"', 'Model="MustermannScope"'), ResidualIdentity, "would still hold identity"),
        (DOCUMENT.replace('Name="Mustermann lung biopsy"', 'Name="label"'), UnsupportedInput, "label or overview"),
        (f'<OME xmlns="{NAMESPACE}"><BinaryOnly MetadataFile="a.companion.ome" UUID="x"/></OME>', UnsupportedInput, "points to another"),
        ("<OME/>", UnsupportedInput, "points to another"),
        (DOCUMENT[:-40], UnreadableImage, "cannot be parsed"),
        (DOCUMENT.replace("<OME", "<!DOCTYPE OME []><OME", 1), UnsupportedInput, "document type"),
    ],
)
def test_a_document_that_cannot_lie_beside_pixels_is_refused(document: str, error: type[FairleadError], reason: str) -> None:
    with pytest.raises(error, match=reason):
        clean_ome_xml(document.encode(), BASIC, KEY)


def test_a_pyramid_keeps_all_its_levels(data: Path, tmp_path: Path) -> None:
    source = data / "ome/tiff/he_left_pyramid.ome.tif"
    (tmp_path / "a.ome.tif").write_bytes(deidentify_ome(source, ENGINE).content)
    with tifffile.TiffFile(source) as before, tifffile.TiffFile(tmp_path / "a.ome.tif") as after:
        shapes = [[level.shape for level in tiff.series[0].levels] for tiff in (before, after)]
        assert shapes[0] == shapes[1]
        assert len(shapes[1]) > 1
        assert (before.series[0].levels[-1].asarray() == after.series[0].levels[-1].asarray()).all()


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("ImageJ=1.53", "holds no OME-XML"),
        (DOCUMENT.replace('Name="Mustermann lung biopsy"', 'Name="macro"'), "label or overview"),
        (DOCUMENT.replace("<OME", "<!DOCTYPE OME []><OME", 1), "document type"),
        (DOCUMENT[:-40], "cannot be parsed"),
    ],
)
def test_what_cannot_be_cleaned_is_refused_by_name(tmp_path: Path, document: str, reason: str) -> None:
    assert reason in deidentify_ome(an_ome_tiff(tmp_path / "a.ome.tif", document), ENGINE).reason


def test_identity_that_hides_in_a_term_stops_at_the_gate(tmp_path: Path) -> None:
    hidden = DOCUMENT.replace('Model="Lens 3"', 'Model="MustermannScope"')
    outcome = deidentify_ome(an_ome_tiff(tmp_path / "a.ome.tif", hidden), ENGINE)
    assert outcome.content == b""
    assert outcome.reason == "residual-identity: The output would still hold identity in Microscope/@Model of its OME-XML."


def test_cut_and_flipped_files_never_raise(tmp_path: Path) -> None:
    content = an_ome_tiff(tmp_path / "a.ome.tif").read_bytes()
    chance = np.random.default_rng(5)
    for number in range(150):
        bad = bytearray(content[: int(chance.integers(8, len(content)))] if number % 3 == 0 else content)
        for at in chance.integers(4, min(len(bad), 400), 3):
            bad[at] = int(chance.integers(256))
        (tmp_path / "b.ome.tif").write_bytes(bytes(bad))
        outcome = deidentify_ome(tmp_path / "b.ome.tif", ENGINE)
        assert outcome.reason or b"Mustermann" not in outcome.content


WORD = st.text(st.characters(categories=["Lu", "Ll"]), min_size=4, max_size=10).map(lambda text: "Zq" + text)
PLACES = st.sets(st.sampled_from(["Mustermann lung biopsy", "desk", "GFP", "Patient Hans", "Suite", "MRN-4711-X", "ACME"]), min_size=1)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(word=WORD, places=PLACES)
def test_a_name_planted_anywhere_never_leaks(word: str, places: set[str]) -> None:
    document = DOCUMENT.replace('LastName="Mustermann"', f'LastName="{word}"')
    for place in places:
        document = document.replace(place, f"{place} {word}")
    result = clean_ome(document.encode(), LONGITUDINAL, KEY, file_name=f"{word}.ome.tif", content_id="0")
    assert word.lower() not in result.xml.decode().lower()


def test_a_file_name_that_is_no_utf_8_is_identity_too(tmp_path: Path) -> None:
    source = an_ome_tiff(tmp_path / "plain.ome.tif").rename(Path(os.fsdecode(os.fsencode(tmp_path) + b"/J\xfcrgens.ome.tif")))
    assert deidentify_ome(source, ENGINE).reason == ""
    named = DOCUMENT.replace("Mustermann lung biopsy", "Jürgens.ome.tif")
    outcome = deidentify_ome(an_ome_tiff(tmp_path / "plain.ome.tif", named).rename(source), ENGINE)
    assert all(form not in outcome.content for form in ("Jürgens".encode(), "Jürgens".encode("latin-1")))


def test_the_command_cleans_an_ome_tiff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path / "home"))
    an_ome_tiff(tmp_path / "Mustermann_Hans.ome.tif")
    options = ["--report", str(tmp_path / "r.html"), "--journal", str(tmp_path / "j"), "--lookup-table", str(tmp_path / "l")]
    for text in ("1 written", "1 finished before"):
        assert run(["deidentify", str(tmp_path / "Mustermann_Hans.ome.tif"), str(tmp_path / "out"), *options]) == 0
        assert text in capsys.readouterr().out.replace(", 0 quarantined", "")
    assert [path.suffix for path in relative_files(tmp_path / "out")] == [".tif"]
    assert "Mustermann" not in (tmp_path / "r.html").read_text()


def test_a_journal_works_for_microscopy_too(tmp_path: Path) -> None:
    an_ome_tiff(tmp_path / "a.ome.tif")
    plan = Plan(journal=tmp_path / "journal")
    reports = [deidentify_folder(tmp_path / "a.ome.tif", tmp_path / "out", profile=BASIC, key=KEY, plan=plan) for _ in range(2)]
    assert [report.already for report in reports] == [0, 1]
