"""Nuclear medicine: vectors of indices tell frames apart, detectors and a signed spacing place reconstructed slices (PS3.3 C.8.4)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import zarr
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from convert.builders import AXIAL, CORONAL, a_slice, save
from fairlead.convert import convert

POSITION = [-50.0, -60.0, 70.0]


def an_item(**values: Any) -> Dataset:
    item = Dataset()
    for name, value in values.items():
        setattr(item, name, value)
    return item


def an_nm(kind: str, planes: np.ndarray[Any, Any], **changes: Any) -> Dataset:
    """Return one multi-frame image; the place of a volume stands in its detector only."""
    dataset = a_slice(0, POSITION, planes[0])
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "WindowCenter", "WindowWidth", "RescaleSlope", "RescaleIntercept"):
        delattr(dataset, name)
    dataset.SOPClassUID, dataset.Modality = "1.2.840.10008.5.1.4.1.1.20", "NM"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", kind, "EMISSION"]
    dataset.BitsStored, dataset.HighBit = 16, 15
    dataset.NumberOfFrames, dataset.PixelData = len(planes), planes.astype("<u2").tobytes()
    dataset.PixelSpacing = [4.0, 4.0]
    detector = an_item(ImagePositionPatient=POSITION, ImageOrientationPatient=list(AXIAL))
    dataset.DetectorInformationSequence = Sequence([detector])
    for name, value in changes.items():
        setattr(dataset, name, value)
    return dataset


@pytest.fixture(scope="module")
def planes() -> np.ndarray[Any, Any]:
    return np.random.default_rng(20).integers(0, 4000, (12, 16, 18), dtype=np.uint16)


def written(tmp_path: Path, dataset: Dataset) -> tuple[Any, list[np.ndarray[Any, Any]]]:
    report = convert(save(tmp_path / "in", [dataset]), tmp_path / "out")
    arrays = [np.asarray(zarr.open_array(str(tmp_path / "out" / store.path / "0"), mode="r")[:]) for store in report.stores]
    return report, arrays


@pytest.mark.parametrize("step", [5.0, -5.0])
@pytest.mark.parametrize("orientation", [AXIAL, CORONAL])
def test_reconstructed_slices_lie_behind_or_in_front_of_the_first(
    tmp_path: Path, planes: np.ndarray[Any, Any], step: float, orientation: Any
) -> None:
    """Positive spacing stacks along the normal (rows × columns), negative against it; the store runs toward the head or the back."""
    detector = an_item(ImagePositionPatient=POSITION, ImageOrientationPatient=list(orientation))
    changes = {"SliceVector": list(range(1, 13)), "SpacingBetweenSlices": step, "DetectorInformationSequence": Sequence([detector])}
    report, (found,) = written(tmp_path, an_nm("RECON TOMO", planes, **changes))
    geometry = report.stores[0].geometry
    assert (report.stores[0].shape, geometry.verdict) == ((12, 16, 18), "regular")
    affine = np.asarray(geometry.affine)
    normal = np.cross(orientation[:3], orientation[3:])
    for number in (0, 11):
        place = np.asarray(POSITION) + normal * step * number
        (index,) = (slice_ for slice_ in range(12) if np.allclose(affine @ [slice_, 0, 0, 1], [*place, 1], atol=1e-4))
        assert np.array_equal(found[index], planes[number])


@pytest.mark.parametrize("kind", ["", "SPECT", "VOLUME"])
def test_counted_slices_are_a_volume_whatever_the_image_type_says(tmp_path: Path, planes: np.ndarray[Any, Any], kind: str) -> None:
    report, (found,) = written(tmp_path, an_nm(kind, planes, SliceVector=list(range(1, 13)), SpacingBetweenSlices=4.0))
    assert (report.stores[0].axes, report.stores[0].geometry.verdict) == (("z", "y", "x"), "regular")
    assert np.array_equal(found, planes)


def test_gated_volumes_become_time(tmp_path: Path, planes: np.ndarray[Any, Any]) -> None:
    slots, slices = [1 + number % 3 for number in range(12)], [1 + number // 3 for number in range(12)]
    changes = {"TimeSlotVector": slots, "SliceVector": slices, "SpacingBetweenSlices": 4.0}
    report, (found,) = written(tmp_path, an_nm("RECON GATED TOMO", planes, **changes))
    assert (report.stores[0].axes, report.stores[0].shape) == (("t", "z", "y", "x"), (3, 4, 16, 18))
    assert np.array_equal(found, planes.reshape(4, 3, 16, 18).swapaxes(0, 1))


def test_detectors_and_energy_windows_are_images_and_frames_are_time(tmp_path: Path, planes: np.ndarray[Any, Any]) -> None:
    """Two detectors, two windows, three frames of half a second with pauses of a quarter."""
    changes = {
        "EnergyWindowVector": [1 + number // 6 for number in range(12)],
        "DetectorVector": [1 + number // 3 % 2 for number in range(12)],
        "TimeSliceVector": [1 + number % 3 for number in range(12)],
        "PhaseInformationSequence": Sequence([an_item(ActualFrameDuration=500, PauseBetweenFrames=250.0)]),
    }
    report, found = written(tmp_path, an_nm("DYNAMIC", planes, **changes))
    assert [(store.axes, store.shape, store.geometry.verdict) for store in report.stores] == [(("t", "y", "x"), (3, 16, 18), "none")] * 4
    assert all(np.array_equal(one, planes[3 * number : 3 * number + 3]) for number, one in enumerate(found))
    attributes = json.loads((tmp_path / "out" / report.stores[1].path / "zarr.json").read_text())["attributes"]
    assert attributes["dicom"]["part"] == {"energy_window": 1, "detector": 2}
    assert attributes["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"] == [0.75, 4.0, 4.0]


def test_projections_say_that_they_are_angular_views(tmp_path: Path, planes: np.ndarray[Any, Any]) -> None:
    report, _ = written(tmp_path, an_nm("TOMO", planes, AngularViewVector=list(range(1, 13)), DetectorVector=[1] * 12))
    attributes = json.loads((tmp_path / "out" / report.stores[0].path / "zarr.json").read_text())["attributes"]
    assert attributes["dicom"]["time"] == {"basis": "angular_view", "step_s": None}


def test_gated_projections_are_an_image_per_gate_and_views_are_no_time(tmp_path: Path, planes: np.ndarray[Any, Any]) -> None:
    """Three gates of 50 ms, four views each: the gate's time is not the time between views."""
    gates = Sequence([an_item(DataInformationSequence=Sequence([an_item(FrameTime=50.0)]))])
    changes = {"TimeSlotVector": [1 + number // 4 for number in range(12)], "AngularViewVector": [1 + number % 4 for number in range(12)]}
    report, found = written(tmp_path, an_nm("GATED TOMO", planes, GatedInformationSequence=gates, **changes))
    assert [store.shape for store in report.stores] == [(4, 16, 18)] * 3
    assert all(np.array_equal(one, planes[4 * number : 4 * number + 4]) for number, one in enumerate(found))
    attributes = json.loads((tmp_path / "out" / report.stores[2].path / "zarr.json").read_text())["attributes"]
    assert (attributes["dicom"]["part"], attributes["dicom"]["time"]) == ({"time_slot": 3}, {"basis": "angular_view", "step_s": None})


def test_frames_follow_their_vector_not_the_file(tmp_path: Path, planes: np.ndarray[Any, Any]) -> None:
    phase = Sequence([an_item(ActualFrameDuration=500)])
    _, (found,) = written(tmp_path, an_nm("DYNAMIC", planes, TimeSliceVector=list(range(12, 0, -1)), PhaseInformationSequence=phase))
    assert np.array_equal(found, planes[::-1])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"SliceVector": [1, 2, 3]}, "12 frames, but SliceVector 3 entries"),
        ({"SpacingBetweenSlices": 0}, "do not say where they lie"),
        ({"SpacingBetweenSlices": None}, "do not say where they lie"),
        ({"DetectorInformationSequence": Sequence()}, "do not say where they lie"),
        ({"SliceVector": [1] * 12}, "11 slices lie where another one lies"),
        ({"SliceVector": list(range(12))}, "does not count from one"),
        ({"SliceVector": list(range(12, 0, -1))}, "does not count from one"),
        ({"SliceVector": None, "TimeSlotVector": [1 + number % 3 for number in range(12)]}, "SliceVector is absent"),
        ({"DetectorVector": [2] * 12}, "a detector that the image does not describe"),
    ],
)
def test_volumes_that_cannot_be_placed_are_refused(
    tmp_path: Path, planes: np.ndarray[Any, Any], changes: dict[str, Any], reason: str
) -> None:
    stated = {"SliceVector": list(range(1, 13)), "SpacingBetweenSlices": 4.0} | changes
    report, _ = written(tmp_path, an_nm("RECON TOMO", planes, **stated))
    assert report.stores == ()
    assert reason in report.refused[0].reason


def test_tomosynthesis_is_placed_by_its_functional_groups(data: Path, tmp_path: Path) -> None:
    """The same planes as an enhanced CT, under the SOP class and the frame types of breast tomosynthesis."""
    source = pydicom.dcmread(data / "dicom/ct_enhanced/CT0012.not_fragmented_bot_rle.dcm")
    (expected,) = convert(Path(str(source.filename)), tmp_path / "ct").stores
    source.SOPClassUID, source.Modality = "1.2.840.10008.5.1.4.1.1.13.1.3", "MG"
    (store,) = convert(save(tmp_path / "in", [source]), tmp_path / "out").stores
    assert (store.shape, store.geometry.affine) == (expected.shape, expected.geometry.affine)
