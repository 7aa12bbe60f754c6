from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from extract.builders import SERIES, an_instance, an_ome_xml, as_in_the_wild, outcomes, the_record, the_refusal, write, write_series
from fairlead.extract import DUPLICATE, FieldCatalogue
from fairlead.receive.completion import generation_of as ledger_generation
from fairlead.records import ImagingRecord, Refusal


def codes(found: list[ImagingRecord | Refusal]) -> list[str]:
    return [outcome.code if isinstance(outcome, Refusal) else "record" for outcome in found]


def test_files_of_several_series_are_sorted_out_and_read_in_any_mix(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    mixed = [an_instance(n, SeriesInstanceUID=f"{SERIES}.{s}", SOPInstanceUID=f"{SERIES}.{s}.{n}") for n in (1, 2) for s in (7, 8, 9)]
    found = outcomes(write_series(tmp_path, mixed), catalogue)
    assert [record.core.instances for record in found if isinstance(record, ImagingRecord)] == [2, 2, 2]
    assert [record.core.series_uid for record in found if isinstance(record, ImagingRecord)] == [f"{SERIES}.{s}" for s in (7, 8, 9)]


def test_the_generation_is_the_ledgers(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    from fairlead.files import sha256_file

    write_series(tmp_path, [an_instance(1), an_instance(2)])
    pairs = [(f"{SERIES}.{n}", sha256_file(tmp_path / f"{n - 1:03d}.dcm")) for n in (1, 2)]
    assert the_record(tmp_path, catalogue).core.generation == ledger_generation(pairs)


def test_the_same_bytes_twice_count_once_and_are_no_fault(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    file = write(an_instance(), tmp_path / "a.dcm")
    shutil.copy(file, tmp_path / "b.dcm")
    found = outcomes(tmp_path, catalogue)
    assert codes(found) == ["record", DUPLICATE]
    assert found[0].core.instances == 1  # type: ignore[union-attr]  # the record, by the line above


def test_other_bytes_under_the_same_uid_are_a_conflict(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    write(an_instance(), tmp_path / "a.dcm")
    write(an_instance(PixelData=bytes(31) + b"\1"), tmp_path / "b.dcm")
    assert codes(outcomes(tmp_path, catalogue)) == ["record", "conflict"]


def test_a_path_given_twice_is_read_once(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    file = write(an_instance(), tmp_path / "a.dcm")
    assert codes(outcomes([file, tmp_path, file], catalogue)) == ["record"]


@pytest.mark.parametrize(
    ("keyword", "message"),
    [(keyword, f"no valid {keyword}") for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")],
)
def test_a_file_without_a_uid_is_refused_by_the_name_of_the_uid(
    tmp_path: Path, catalogue: FieldCatalogue, keyword: str, message: str
) -> None:
    refusal = the_refusal(write(an_instance(**{keyword: None}), tmp_path / "a.dcm"), catalogue)
    assert refusal.code == "invalid-uid"
    assert message in refusal.reason


def test_a_uid_that_is_none_is_refused(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    assert the_refusal(write(an_instance(SeriesInstanceUID="../../etc"), tmp_path / "a.dcm"), catalogue).code == "invalid-uid"


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"PK\x03\x04rest", b"%PDF-1.7", bytes(4096)])
def test_a_file_that_is_neither_dicom_nor_ome_is_refused(tmp_path: Path, catalogue: FieldCatalogue, content: bytes) -> None:
    file = tmp_path / "x.bin"
    file.write_bytes(content)
    assert the_refusal(file, catalogue).code == "not-dicom"


def test_a_path_that_is_not_there_is_refused(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    assert the_refusal(tmp_path / "gone", catalogue).code == "not-found"


def test_symbolic_links_in_a_folder_are_not_followed(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    outside = write(an_instance(), tmp_path / "outside" / "a.dcm")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link.dcm").symlink_to(outside)
    (inside / "loop").symlink_to(inside)
    assert outcomes(inside, catalogue) == []


def test_a_data_set_without_preamble_is_read(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, True
    write_dataset(buffer, an_instance())
    file = tmp_path / "bare"
    file.write_bytes(buffer.getvalue())
    record = the_record(file, catalogue)
    assert record.core.modality is not None
    assert record.core.modality.curie == "DCM:MR"


def test_a_deflated_data_set_is_read_and_one_that_explodes_is_refused(
    tmp_path: Path, catalogue: FieldCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(an_instance(Rows=512, Columns=512, PixelData=bytes(512 * 512 * 2)), tmp_path / "a.dcm")
    from pydicom import dcmread

    dataset = dcmread(file)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    with as_in_the_wild():
        dataset.save_as(file, enforce_file_format=True)
    assert the_record(file, catalogue).core.geometry.size_x == 512
    monkeypatch.setattr("fairlead.extract.headers.INFLATED_LIMIT_BYTES", 10_000)
    assert "grows beyond" in the_refusal(file, catalogue).reason


def test_a_dicomdir_leads_to_its_files_and_each_is_read_once(data: Path, catalogue: FieldCatalogue) -> None:
    folder = data / "dicom" / "dicomdir_fileset"
    alone = outcomes(folder / "DICOMDIR", catalogue)
    assert sum(record.core.instances for record in alone if isinstance(record, ImagingRecord)) == 31
    assert codes(outcomes(folder, catalogue)) == codes(alone)


def test_ome_and_dicom_in_one_folder_are_both_read(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    write(an_instance(), tmp_path / "a.dcm")
    (tmp_path / "b.ome.xml").write_text(an_ome_xml())
    kinds = [outcome.core.kind for outcome in outcomes(tmp_path, catalogue) if isinstance(outcome, ImagingRecord)]
    assert kinds == ["dicom-series", "ome-image"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_damage_to_a_header_is_ever_more_than_a_refusal(tmp_path: Path, catalogue: FieldCatalogue, data: st.DataObject) -> None:
    from extract.builders import a_code, an_item, items

    file = tmp_path / "a.dcm"
    if not file.exists():
        write(
            an_instance(PatientAge="044Y", AnatomicRegionSequence=items(a_code("T-D1100", "SRT", "Head"), an_item(CodeMeaning="x"))), file
        )
    whole = file.read_bytes()
    damaged = bytearray(whole[: data.draw(st.integers(1, len(whole)), label="length")])
    for _ in range(data.draw(st.integers(0, 6), label="flips")):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    victim = tmp_path / "victim" / "v.dcm"
    victim.parent.mkdir(exist_ok=True)
    victim.write_bytes(damaged)
    assert codes(outcomes(victim, catalogue))[0] in {"record", "not-dicom", "invalid-uid", "unreadable-image", "unsupported"}


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path, catalogue: FieldCatalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    image, store = tmp_path / "a.ome.xml", write(an_instance(), tmp_path / "b.dcm")
    image.write_text(an_ome_xml())

    def denied(path: Path) -> str:
        raise PermissionError(path)

    monkeypatch.setattr("fairlead.extract.loose.sha256_file", denied)
    assert [(one.code, one.source) for one in outcomes(tmp_path, catalogue) if isinstance(one, Refusal)] == [
        ("unreadable-image", str(image)),
        ("unreadable-image", str(store)),
    ]


def test_a_dicomdir_never_leads_out_of_its_folder(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    from extract.builders import an_item, items

    write(an_instance(), tmp_path / "secret.dcm")
    with as_in_the_wild():
        outside = an_item(ReferencedFileID=["..", "secret.dcm"])
    write(an_instance(DirectoryRecordSequence=items(outside, an_item())), tmp_path / "media" / "DICOMDIR")
    assert "leads to no file" in the_refusal(tmp_path / "media", catalogue).reason


def test_a_pipe_is_refused_by_name_and_never_opened(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    write(an_instance(), tmp_path / "a.dcm")
    os.mkfifo(tmp_path / "pipe.dcm")
    found = outcomes(tmp_path, catalogue)
    assert [one.source for one in found if isinstance(one, Refusal)] == [str(tmp_path / "pipe.dcm")]
    assert sum(isinstance(one, ImagingRecord) for one in found) == 1
