"""What somebody typed into attributes of a scanner or an image reaches a store in known words and defined terms only."""

from __future__ import annotations

from pathlib import Path

import pytest

from convert.builders import a_series, axial_positions, save
from convert.test_labels import attributes
from fairlead.convert import ConvertOptions, convert
from fairlead.convert.facts import fits

NAMES = ("JOHN DOE", "Dr John Doe", "Zqmiller", "DOE_JANE", "PID-4711", "Jane 19700131")
TYPED = (
    "BodyPartExamined", "Manufacturer", "ManufacturerModelName", "ConvolutionKernel", "RescaleType", "ViewPosition", "PatientPosition",
    "ScanningSequence", "Units", "Laterality",
)  # fmt: skip


@pytest.mark.filterwarnings("ignore:Invalid value for VR")  # what is written here is what somebody typed
@pytest.mark.parametrize("name", NAMES)
def test_a_name_typed_into_any_fact_reaches_no_file_of_the_store(tmp_path: Path, name: str) -> None:
    changes = dict.fromkeys(TYPED, name) | {"ImageType": ["ORIGINAL", "PRIMARY", name], "SpecificCharacterSet": "ISO_IR 192"}
    other = a_series(axial_positions(2, origin=(0.0, 0.0, 0.0)), **changes | {"ConvolutionKernel": f"{name} 2"})
    for dataset in other:
        dataset.SOPInstanceUID += ".9"
    source = save(tmp_path / "in", [*a_series(axial_positions(3), **changes), *other])
    report = convert(source, tmp_path / "out", options=ConvertOptions(described=True))
    assert len(report.stores) == 2
    assert "BodyPartExamined" in " ".join(report.stores[0].dropped)
    assert name not in report.model_dump_json()
    for file in (tmp_path / "out").rglob("*"):
        assert name.encode() not in (file.read_bytes() if file.is_file() else b""), file.name


def test_makers_kernels_and_terms_in_common_use_stay(tmp_path: Path) -> None:
    stated = {
        "Modality": "CT",
        "BodyPartExamined": "CHEST",
        "Manufacturer": "GE MEDICAL SYSTEMS",
        "ManufacturerModelName": "LightSpeed Plus",
        "ConvolutionKernel": "H31s",
        "PatientPosition": "HFS",
        "KVP": 120.0,
    }
    (store,) = convert(save(tmp_path / "in", a_series(axial_positions(2), **stated)), tmp_path / "out").stores
    found = attributes(tmp_path / "out" / store.path)["dicom"]
    assert found["facts"] | stated == found["facts"]
    assert found["image_type"] == ["ORIGINAL", "PRIMARY", "AXIAL"]
    assert store.dropped == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [("Manufacturer", "Philips Medical Systems, Inc."), ("ManufacturerModelName", "SOMATOM Definition AS+"), ("Units", "BQML"),
     ("PhotometricInterpretation", "YBR_FULL_422"), ("LossyImageCompressionMethod", "ISO_10918_1"), ("RescaleType", "OD REL"),
     ("ConvolutionKernel", ["B30f", "3"]), ("BodyPartExamined", "WHOLE BODY")],
)  # fmt: skip
def test_values_of_real_scanners_stay(name: str, value: object) -> None:
    assert fits(name, value)
