from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
import tifffile

from extract.builders import KEY, an_ome_xml, outcomes, received, the_record, the_refusal
from fairlead.errors import UnreadableImage, UnsupportedInput
from fairlead.extract import FieldCatalogue, read_file
from fairlead.receive.formats import recognise
from fairlead.records import ImagingRecord, OmeMetadata

MAP = (
    "<StructuredAnnotations><MapAnnotation ID='Annotation:0'><Value>{pairs}</Value></MapAnnotation></StructuredAnnotations>"
    "<Experimenter ID='Experimenter:0' FirstName='Ines' LastName='Brackenfold' Email='ines@example.org'/>"
)


def ome(record: ImagingRecord) -> OmeMetadata:
    assert record.community.ome is not None
    return record.community.ome


def annotated(folder: Path, **pairs: str) -> Path:
    file = folder / "a.ome.xml"
    text = "".join(f'<M K="{key.replace("_", " ")}">{value}</M>' for key, value in pairs.items())
    file.write_text(an_ome_xml(after=MAP.format(pairs=text)).replace("</Pixels>", '</Pixels><AnnotationRef ID="Annotation:0"/>'))
    return file


def a_tiff(file: Path, shape: tuple[int, ...] = (2, 3, 16, 24)) -> Path:
    tifffile.imwrite(
        file,
        np.arange(np.prod(shape), dtype=np.uint16).reshape(shape),
        metadata={
            "axes": "ZCYX",
            "PhysicalSizeX": 0.5,
            "PhysicalSizeXUnit": "µm",
            "PhysicalSizeZ": 2.0,
            "Channel": {"Name": ["DAPI", "GFP", "RFP"]},
        },
        ome=True,
    )
    return file


def test_an_ome_tiff_becomes_a_record(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    file = received(a_tiff(tmp_path / "a.ome.tiff"))
    (record,) = read_file(file, catalogue=catalogue, key=KEY)
    core = record.core
    assert (core.id, core.study_uid) == (f"north:lung:ome-{file.sha256[:32]}-0", f"ome-{file.sha256[:32]}")
    assert (core.source.place, core.source.paths, core.instances, core.generation) == (
        "file",
        (str(tmp_path / "a.ome.tiff"),),
        1,
        file.sha256,
    )
    assert core.geometry.model_dump(exclude_none=True, exclude={"missing_slices", "duplicate_positions"}) == {
        "size_x": 24, "size_y": 16, "size_z": 2, "size_c": 3, "size_t": 1,
        "spacing_x_mm": 0.0005, "spacing_z_mm": 0.002, "regular": True, "verdict": "regular",
    }  # fmt: skip
    assert ome(record).attributes["ome.channel_name"] == ("DAPI", "GFP", "RFP")
    assert ome(record).attributes["ome.pixel_type"] == "uint16"
    assert ome(record).rembi["image_data"]["physical_size_um"] == {"x": 0.5, "z": 2.0}


def test_map_annotations_state_organism_method_and_licence(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    record = the_record(annotated(tmp_path, Organism="Mus musculus", Imaging_Method="SPIM", License="CC BY 4.0"), catalogue)
    values = catalogue.values(record)
    assert (values["organism"], values["imaging_method"], values["licence"]) == (("NCBITaxon:10090",), ("FBbi:00000369",), ("CC BY 4.0",))
    assert ome(record).rembi["biosample"]["organism"]["label"] == "Mus musculus"


def test_a_stated_subject_is_keyed_and_never_recorded(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    record = the_record(annotated(tmp_path, Patient_ID="SUBJ-0815", Organism="SUBJ-0815"), catalogue)
    assert record.core.patient_basis == "stated"
    assert record.core.organism is None
    assert "SUBJ-0815" not in record.model_dump_json()


def test_names_of_experimenters_are_never_recorded(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    file = annotated(tmp_path, License="by Brackenfold")
    file.write_text(file.read_text().replace('Name="sample"', 'Name="scan of Ines Brackenfold"'))
    text = the_record(file, catalogue).model_dump_json(exclude={"core": {"source"}}).casefold()
    assert "brackenfold" not in text
    assert "ines@" not in text


def test_every_image_of_a_file_is_a_record_of_one_subject(data: Path, catalogue: FieldCatalogue) -> None:
    found = [one for one in outcomes(data / "ome/xml/2016-06/spim.ome.xml", catalogue) if isinstance(one, ImagingRecord)]
    assert [record.core.source.image_index for record in found] == [0, 1, 2, 3]
    assert len({record.core.patient_key for record in found}) == 1
    assert len({record.id for record in found}) == 4


def test_a_companion_speaks_for_its_files(data: Path, catalogue: FieldCatalogue) -> None:
    folder = data / "ome/tiff/companion_z5"
    record = the_record(folder, catalogue)
    assert (record.core.instances, record.core.geometry.size_z, record.core.geometry.size_x) == (5, 5, 18)
    assert record.core.source.paths == (str(folder / "multifile.companion.ome"),)
    assert read_file(received(folder / "multifile-Z3.ome.tiff"), catalogue=catalogue, key=KEY) == ()


def test_a_companion_without_its_files_is_metadata_only(data: Path, catalogue: FieldCatalogue) -> None:
    record = the_record(data / "ome/tiff-malformed/companion_missing_siblings.companion.ome", catalogue)
    assert [finding.code for finding in record.findings] == ["metadata-only", "missing-files", "no-patient-id"]
    assert "5 image files" in record.findings[1].message


def test_a_part_without_its_companion_is_refused(tmp_path: Path, data: Path, catalogue: FieldCatalogue) -> None:
    part = tmp_path / "part.ome.tiff"
    part.write_bytes((data / "ome/tiff/companion_z5/multifile-Z1.ome.tiff").read_bytes())
    assert "companion file that is not beside it" in the_refusal(part, catalogue).reason


@pytest.mark.parametrize("name", ["../secret.ome.tiff", "/etc/passwd", "a\\b.tiff", ".."])
def test_a_file_name_in_the_metadata_leads_nowhere_outside_its_folder(tmp_path: Path, catalogue: FieldCatalogue, name: str) -> None:
    (tmp_path / "secret.ome.tiff").write_bytes(b"x")
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "a.companion.ome").write_text(an_ome_xml(inside=f'<TiffData><UUID FileName="{name}">urn:uuid:0</UUID></TiffData>'))
    assert "missing-files" in [finding.code for finding in the_record(inner, catalogue).findings]


def test_only_the_first_file_of_a_set_gives_the_record(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    names = ("one.ome.tiff", "two.ome.tiff")
    inside = "".join(
        f'<TiffData IFD="0" FirstZ="{z}"><UUID FileName="{name}">urn:uuid:{z}</UUID></TiffData>' for z, name in enumerate(names)
    )
    text = an_ome_xml(pixels='SizeX="8" SizeY="6" SizeZ="2" SizeC="1" SizeT="1" DimensionOrder="XYZCT" Type="uint8"', inside=inside)
    for name in names:
        tifffile.imwrite(tmp_path / name, np.zeros((6, 8), np.uint8), description=text.encode(), metadata=None)
    record = the_record(tmp_path, catalogue)
    assert (record.core.source.paths, record.core.instances) == ((str(tmp_path / "one.ome.tiff"),), 2)


def test_a_tiff_without_ome_and_a_truncated_one_are_refused_differently(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    plain = tmp_path / "plain.tif"
    tifffile.imwrite(plain, np.zeros((8, 8), np.uint8), metadata=None)
    with pytest.raises(UnsupportedInput, match="holds no OME-XML"):
        read_file(received(plain), catalogue=catalogue, key=KEY)
    cut = a_tiff(tmp_path / "cut.ome.tiff")
    cut.write_bytes(cut.read_bytes()[:-200])
    with pytest.raises(UnreadableImage, match="TIFF"):
        read_file(received(cut), catalogue=catalogue, key=KEY)


@pytest.mark.parametrize(
    "content", [b"II*\x00", b"II*\x00\xff\xff\xff\x7f", b"MM\x00+" + bytes(40), b"II*\x00\x08\x00\x00\x00" + b"\xff" * 64]
)
def test_a_tiff_of_rubbish_is_refused(tmp_path: Path, catalogue: FieldCatalogue, content: bytes) -> None:
    file = tmp_path / "x.tif"
    file.write_bytes(content)
    assert the_refusal(file, catalogue).code in ("unreadable-image", "unsupported")


def test_an_ome_document_without_images_and_another_format_are_refused(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    empty = tmp_path / "e.ome.xml"
    empty.write_text('<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"/>')
    with pytest.raises(UnsupportedInput, match="describes no image"):
        read_file(received(empty), catalogue=catalogue, key=KEY)
    text = tmp_path / "a.txt"
    text.write_text("hello")
    with pytest.raises(UnsupportedInput, match="no OME file"):
        read_file(received(text), catalogue=catalogue, key=KEY)
    with pytest.raises(UnreadableImage, match="cannot be read"):
        read_file(received(text, path=str(tmp_path / "gone")), catalogue=catalogue, key=KEY)


def test_old_and_new_schemas_tell_the_same_instrument(data: Path, catalogue: FieldCatalogue) -> None:
    for schema in ("2008-09", "2010-06", "2012-06", "2015-01", "2016-06"):
        record = the_record(data / f"ome/xml/{schema}/instrument.ome.xml", catalogue)
        found = ome(record).attributes
        assert (found["ome.objective_magnification"], found["ome.immersion"], found["model"]) == (60.0, "Air", "Lab Mk3"), schema
        assert (record.core.acquired_on, found["ome.schema"]) == (date(2010, 2, 23), schema)


def test_wavelengths_are_nanometres_whatever_their_unit(data: Path, catalogue: FieldCatalogue) -> None:
    for name in ("instrument-units-default", "instrument-units-alternate"):
        found = ome(the_record(data / f"ome/xml/2015-01/{name}.ome.xml", catalogue))
        assert found.rembi["image_data"]["channels"][0]["emission_nm"] == found.attributes["ome.emission_nm"]
        assert 300 < float(str(found.attributes["ome.emission_nm"])) < 800


@pytest.mark.parametrize("key", ["Patient Name", "patient_id", "Donor", "Date of birth", "MRN", "Last Name"])
def test_whoever_a_map_annotation_names_is_in_no_text_of_the_record(tmp_path: Path, catalogue: FieldCatalogue, key: str) -> None:
    note = (
        '<StructuredAnnotations><MapAnnotation ID="Annotation:0"><Value>'
        f'<M K="{key}">Quibbleworth</M><M K="Organism">mouse</M></Value></MapAnnotation></StructuredAnnotations>'
    )
    text = an_ome_xml(image='<AnnotationRef ID="Annotation:0"/>', after=note).replace('Name="sample"', 'Name="slide of quibbleworth"')
    file = tmp_path / "a.ome.xml"
    file.write_text(text)
    record = the_record(file, catalogue)
    assert "quibbleworth" not in record.model_dump_json().casefold()
    assert record.core.organism is not None


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_a_bigtiff_of_either_byte_order_says_what_a_classic_one_says(tmp_path: Path, catalogue: FieldCatalogue, byteorder: str) -> None:
    def told(name: str, *, big: bool) -> tuple[str, object]:
        pixels = np.zeros((2, 3, 16, 24), f"{byteorder}u2")
        tifffile.imwrite(tmp_path / name, pixels, ome=True, bigtiff=big, byteorder=byteorder, metadata={"axes": "ZCYX", "Name": "sample"})
        record = the_record(tmp_path / name, catalogue)
        return recognise(tmp_path / name).value, (record.core.geometry, ome(record).attributes)

    assert told("big.ome.tif", big=True) == told("classic.ome.tif", big=False)
    assert (tmp_path / "big.ome.tif").read_bytes()[2:4] in (b"\x2b\x00", b"\x00\x2b")
