"""Every real DICOM file: written and valid, or quarantined with a reason; references and pixels intact."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import highdicom
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from deidentify.ct_builders import KEY
from fairlead import keys
from fairlead.deidentify import deidentify_folder, load_profile
from fairlead.deidentify.conformance import errors_of
from fairlead.files import relative_files
from fairlead.records import DeidentifyReport

LINKED = ("ct/dcmqi_ct3slice", "ct/CT_small.dcm", "seg", "sr", "pr", "pm", "rt/rtutils_phantom", "sm")


@pytest.fixture(scope="module")
def bundle(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[DeidentifyReport, Path]:
    out = tmp_path_factory.mktemp("safe")
    return deidentify_folder(data / "dicom", out, profile=load_profile("basic"), key=KEY), out


def outputs(out: Path) -> list[Path]:
    return [out / name for name in relative_files(out)]


def original(data: Path, uid: str, cache: dict[str, list[Path]] = {}) -> list[Path]:  # noqa: B006 - one scan for the module
    """Return the source files whose instance got this UID."""
    if not cache:
        for name in relative_files(data / "dicom"):
            try:
                source = dcmread(data / "dicom" / name, specific_tags=["SOPInstanceUID"], force=True)
                cache.setdefault(keys.pseudonym_uid(KEY, str(source.SOPInstanceUID)), []).append(data / "dicom" / name)
            except Exception:  # noqa: S112 - files that are no DICOM are other tests' business
                continue
    return cache[uid]


def test_every_file_is_written_or_quarantined_with_a_reason(bundle: tuple[DeidentifyReport, Path], data: Path) -> None:
    report, out = bundle
    assert report.files == len(relative_files(data / "dicom")) == 416
    assert report.files == report.written + len(report.quarantined)
    assert all(refused.reason for refused in report.quarantined)
    assert len(outputs(out)) <= report.written
    assert report.written >= 330


def test_nothing_is_left_of_any_identity_and_no_new_error_appears(bundle: tuple[DeidentifyReport, Path], data: Path) -> None:
    report, _ = bundle
    assert report.residue == ()
    assert report.dciodvfy_new_errors == 0
    if shutil.which("dciodvfy"):
        assert report.dciodvfy_checked >= report.written - 2, "dciodvfy itself aborts on two of the sources"
        assert errors_of(data / "dicom/odd/derived_rows_mismatch.dcm", "dciodvfy"), "and it really looks into files"


def test_the_reasons_are_of_the_kinds_that_the_documentation_lists(bundle: tuple[DeidentifyReport, Path]) -> None:
    kinds = Counter(refused.reason.split(":")[0] for refused in bundle[0].quarantined)
    assert set(kinds) <= {
        "pixels (secondary-capture)", "pixels (derived)", "pixels (modality)", "pixels (slide-photo)", "pixels (ultrasound)",
        "not-dicom", "invalid-input", "unsupported", "conflict", "unreadable-image",
    }  # fmt: skip


def test_the_secondary_capture_with_identifiers_is_quarantined(bundle: tuple[DeidentifyReport, Path], data: Path) -> None:
    names = sorted((name.as_posix() for name in relative_files(data / "dicom")), key=os.fsencode)
    number = f"#{names.index('deid/ctbrain1_fake_phi.dcm') + 1} "
    (reason,) = [entry.reason for entry in bundle[0].quarantined if entry.path.startswith(number)]
    assert "secondary-capture" in reason


def test_names_of_output_files_are_the_new_uids(bundle: tuple[DeidentifyReport, Path]) -> None:
    for path in outputs(bundle[1]):
        output = dcmread(path, stop_before_pixels=True)
        assert path.relative_to(bundle[1]).as_posix() == f"{output.StudyInstanceUID}/{output.SeriesInstanceUID}/{output.SOPInstanceUID}.dcm"


def test_no_output_repeats_a_name_an_id_or_a_uid_of_its_source(bundle: tuple[DeidentifyReport, Path], data: Path) -> None:
    for path in outputs(bundle[1]):
        output = dcmread(path)
        header = path.read_bytes() if "PixelData" not in output else path.read_bytes().replace(output.PixelData, b"")
        source = dcmread(original(data, output.SOPInstanceUID)[0], force=True)
        for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "PatientID", "PatientName"):
            value = str(source.get(keyword) or "").encode()
            if len(value) >= 6 and value.lower() not in (b"anonymous", b"anonymized", b"removed"):
                assert value not in header, keyword


def padded(value: bytes | None) -> bytes | None:
    """Return the value in even length, as PS3.5 section 7.1.1 demands; one source file is not."""
    return value + b"\0" * (len(value) % 2) if value else value


def is_same(before: bytes, after: bytes) -> bool:
    """Return whether bytes are the same, comments of encoders (at the beginning, now zero) aside."""
    if before == after or len(before) != len(after) or before[4096:] != after[4096:]:
        return before == after
    return all(new in (old, 0) for old, new in zip(before[:4096], after[:4096], strict=True))


def test_pixel_bytes_and_transfer_syntax_stay_as_they_were(bundle: tuple[DeidentifyReport, Path], data: Path) -> None:
    for path in outputs(bundle[1]):
        output = dcmread(path)
        sources = [dcmread(file, force=True) for file in original(data, output.SOPInstanceUID)]
        if "PixelData" not in output or output.Modality == "US":
            continue
        stated = str(output.file_meta.TransferSyntaxUID)
        assert any(is_same(padded(source.get("PixelData")), output.PixelData) for source in sources), sources[0].filename
        assert stated in {str(source.file_meta.get("TransferSyntaxUID", stated)) for source in sources}


def test_the_masked_ultrasound_is_black_outside_its_region_and_untouched_inside(bundle: tuple[DeidentifyReport, Path], data: Path) -> None:
    source = dcmread(data / "dicom/deid/us_RGB_burned_in.dcm")
    output = dcmread(next(path for path in outputs(bundle[1]) if path.stem == keys.pseudonym_uid(KEY, source.SOPInstanceUID)))
    before, after = source.pixel_array, output.pixel_array
    assert before[:60].any()
    assert not after[:60].any()
    assert (after[60:765, :1009] == before[60:765, :1009]).all()
    assert "113101" in [item.CodeValue for item in output.DeidentificationMethodCodeSequence]
    assert output.BurnedInAnnotation == "NO"


def references(dataset: Dataset) -> set[str]:
    return {str(element.value) for element in dataset.iterall() if element.keyword == "ReferencedSOPInstanceUID"}


def test_references_between_files_resolve_after_mapping_as_they_did_before(data: Path, tmp_path: Path) -> None:
    sources = [data / "dicom" / name for name in LINKED]
    deidentify_folder(sources, tmp_path, profile=load_profile("research-longitudinal"), key=KEY)
    done = [dcmread(path) for path in outputs(tmp_path)]
    here = {str(output.SOPInstanceUID) for output in done}
    for output in done:
        source = dcmread(original(data, output.SOPInstanceUID)[0], force=True)
        mapped = {keys.pseudonym_uid(KEY, uid) for uid in references(source)}
        assert references(output) <= mapped
        assert mapped & here == references(output) & here
        if "FrameOfReferenceUID" in source:
            assert output.FrameOfReferenceUID == keys.pseudonym_uid(KEY, source.FrameOfReferenceUID)
    segmentations = [output for output in done if output.Modality == "SEG" and references(output) & here]
    reports = [output for output in done if output.Modality == "SR" and references(output) & here]
    structures = [output for output in done if output.Modality == "RTSTRUCT" and references(output) & here]
    assert len(segmentations) >= 4
    assert len(reports) >= 1
    assert len(structures) >= 1
    for output in structures:
        source = dcmread(original(data, output.SOPInstanceUID)[0], force=True)
        frames = [keys.pseudonym_uid(KEY, item.FrameOfReferenceUID) for item in source.ReferencedFrameOfReferenceSequence]
        assert [item.FrameOfReferenceUID for item in output.ReferencedFrameOfReferenceSequence] == frames


def test_highdicom_still_reads_segmentations_and_reports(bundle: tuple[DeidentifyReport, Path]) -> None:
    read = 0
    for path in outputs(bundle[1]):
        output = dcmread(path)
        if output.SOPClassUID == "1.2.840.10008.5.1.4.1.1.66.4":
            segmentation = highdicom.seg.Segmentation.from_dataset(output)
            assert segmentation.number_of_segments >= 1
            segmentation._db_con.close()  # highdicom leaves its in-memory table to the garbage collector
            read += 1
        elif output.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.34":
            assert highdicom.sr.Comprehensive3DSR.from_dataset(output).content is not None
            read += 1
    assert read >= 5


def test_a_second_run_writes_nothing_new_and_another_key_names_everything_anew(data: Path, tmp_path: Path) -> None:
    source = data / "dicom/ct/dcmqi_ct3slice"
    first = deidentify_folder(source, tmp_path / "a", profile=load_profile("basic"), key=KEY)
    before = {path: path.stat().st_mtime_ns for path in outputs(tmp_path / "a")}
    again = deidentify_folder(source, tmp_path / "a", profile=load_profile("basic"), key=KEY)
    other = deidentify_folder(source, tmp_path / "b", profile=load_profile("basic"), key=bytes(32))
    assert first.written == again.written == other.written == 3
    assert {path: path.stat().st_mtime_ns for path in outputs(tmp_path / "a")} == before
    assert not {path.name for path in outputs(tmp_path / "a")} & {path.name for path in outputs(tmp_path / "b")}
