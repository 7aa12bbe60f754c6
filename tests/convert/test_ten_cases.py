"""Ten series of 20 slices that other tools get wrong, some in silence: the verdict, and highdicom's word where it has one."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
import zarr
from pydicom.dataset import Dataset

from convert.builders import AXIAL, CORONAL, OBLIQUE, a_series, a_slice, along, axial_positions, save, some_pixels
from fairlead.convert import ConvertOptions, convert

SLICES = 20
TILT = math.radians(15)


def jittered() -> list[list[float]]:
    """Return positions that are up to 1.6 % of the step away from an even lattice."""
    moved = np.random.default_rng(3).uniform(-0.016, 0.016, SLICES) * 1.25
    moved[:2] = 0.02, -0.02
    return [[x, y, z + shift] for (x, y, z), shift in zip(axial_positions(SLICES), moved, strict=True)]


def changing() -> list[list[float]]:
    heights = [1.25 * number for number in range(10)] + [11.25 + 5 * number for number in range(1, 11)]
    return [[-100.0, -80.0, height] for height in heights]


def two_times() -> list[Dataset]:
    return [
        a_slice(100 * time + number, place, some_pixels(100 * time + number), TemporalPositionIdentifier=time + 1)
        for time in range(2)
        for number, place in enumerate(axial_positions(SLICES))
    ]


def with_localizer() -> list[Dataset]:
    image_type = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    scout = a_slice(50, (0, 0, 0), some_pixels(50), ImageOrientationPatient=list(CORONAL), ImageType=image_type)
    return [*a_series(axial_positions(SLICES)), scout]


def sloped() -> list[Dataset]:
    found = a_series(axial_positions(SLICES), Modality="PT")
    for number, dataset in enumerate(found):
        dataset.RescaleSlope, dataset.RescaleIntercept = 0.25 + number / 16, 0
    return found


def turned(orientation: tuple[float, ...], direction: tuple[float, float, float]) -> list[Dataset]:
    return a_series(along(direction, SLICES), ImageOrientationPatient=list(orientation))


@dataclass(frozen=True)
class Case:
    """One series, what becomes of it under ``strict``, and how many runs ``split`` makes of it where it is refused."""

    series: Callable[[], list[Dataset]]
    stores: tuple[tuple[tuple[int, ...], str], ...] = ()
    reason: str = ""
    runs: tuple[int, ...] = ()
    highdicom: bool = False


WHOLE = ((SLICES, 12, 16), "regular")
CASES = {
    "regular axial": Case(lambda: a_series(axial_positions(SLICES)), (WHOLE,), highdicom=True),
    "oblique": Case(lambda: turned(OBLIQUE, (-0.6, 0.8, 0)), (WHOLE,), highdicom=True),
    "coronal": Case(lambda: turned(CORONAL, (0, 1, 0)), (WHOLE,), highdicom=True),
    "gantry tilt": Case(lambda: turned(AXIAL, (0, math.sin(TILT), math.cos(TILT))), (((SLICES, 12, 16), "sheared"),)),
    "missing slice": Case(
        lambda: a_series([*axial_positions(SLICES)[:7], *axial_positions(SLICES)[8:]]),
        reason="1 of 20 slices are missing at a spacing of 1.25 mm",
        runs=(12, 7),
    ),
    "spacing change": Case(lambda: a_series(changing()), reason="Slice spacing varies from 1.25 to 5 mm", runs=(10, 10)),
    "jitter": Case(lambda: a_series(jittered()), reason="Slice spacing varies"),
    "two time points": Case(two_times, (((2, SLICES, 12, 16), "regular"),)),
    "localizer": Case(with_localizer, (WHOLE, ((12, 16), "single"))),
    "slope per slice": Case(sloped, (WHOLE,), highdicom=True),
}


def highdicoms(folder: Path) -> highdicom.Volume | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        datasets = [pydicom.dcmread(file) for file in sorted(folder.iterdir())]
        try:
            return highdicom.get_volume_from_series(datasets, dtype=np.float64)
        except (ValueError, AttributeError):
            return None


def in_lps(array: np.ndarray, affine: np.ndarray, place: np.ndarray) -> float:
    """Return the value of the voxel whose centre is nearest to a place in the patient."""
    index = np.rint(np.linalg.solve(affine, [*place, 1]))[:3].astype(int)
    return float(array[tuple(index)])


@pytest.mark.parametrize("name", CASES)
def test_each_of_the_ten_cases_gets_its_verdict(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    report = convert(save(tmp_path / "in", case.series()), tmp_path / "out")
    assert sorted((store.shape, store.geometry.verdict) for store in report.stores) == sorted(case.stores)
    assert [case.reason in refusal.reason for refusal in report.refused] == ([True] if case.reason else [])
    assert all(store.verified_voxels for store in report.stores)
    assert all(store.geometry.spacing_mm in ((1.25, 0.5, 0.75), (0.5, 0.75)) or name == "gantry tilt" for store in report.stores)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.runs])
def test_what_is_refused_can_be_split_into_its_regular_runs(tmp_path: Path, name: str) -> None:
    report = convert(save(tmp_path / "in", CASES[name].series()), tmp_path / "out", options=ConvertOptions(geometry="split"))
    assert report.refused == ()
    assert sorted(store.shape[0] for store in report.stores) == sorted(CASES[name].runs)
    assert {store.geometry.verdict for store in report.stores} == {"regular"}


@pytest.mark.parametrize("name", CASES)
def test_where_highdicom_accepts_the_geometry_place_and_value_agree(tmp_path: Path, name: str) -> None:
    source = save(tmp_path / "in", CASES[name].series())
    judge = highdicoms(source)
    assert (judge is not None) is CASES[name].highdicom
    if judge is None:
        return
    (store,) = convert(source, tmp_path / "out").stores
    ours, affine = zarr.open_array(str(tmp_path / "out" / store.path / "0"), mode="r")[:], np.asarray(store.geometry.affine)
    assert judge.array.shape == store.shape
    for k, j, i in np.random.default_rng(1).integers(0, store.shape, (50, 3)):
        place = (affine @ [k, j, i, 1])[:3]
        assert in_lps(judge.array, judge.affine, place) == pytest.approx(float(ours[k, j, i]), rel=1e-6)
    assert np.allclose(np.abs(np.linalg.det(affine[:3, :3])), np.abs(np.linalg.det(judge.affine[:3, :3])))
