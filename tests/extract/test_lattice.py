from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.extract.frames import Frame
from fairlead.extract.lattice import lattice_of

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)


def frames(*depths: float, orientation: tuple[float, ...] = AXIAL, time: object = None, kind: object = None) -> list[Frame]:
    return [Frame((0.0, 0.0, z), orientation, time, kind, number) for number, z in enumerate(depths)]


def test_no_frames_are_no_lattice() -> None:
    found = lattice_of([])
    assert (found.verdict, found.slices, found.regular) == ("none", None, None)


def test_one_slice_is_single_and_has_no_spacing() -> None:
    found = lattice_of(frames(12.0))
    assert (found.verdict, found.slices, found.spacing_mm, found.regular) == ("single", 1, None, None)


@given(st.integers(2, 40), st.floats(0.1, 10), st.floats(-500, 500), st.randoms(use_true_random=False))
def test_an_even_stack_is_regular_in_any_order(count: int, step: float, start: float, shuffle: random.Random) -> None:
    stack = frames(*(start + step * index for index in range(count)))
    shuffle.shuffle(stack)
    found = lattice_of(stack)
    assert (found.verdict, found.slices, found.missing, found.duplicates) == ("regular", count, 0, 0)
    assert found.spacing_mm == pytest.approx(step, rel=1e-3, abs=1e-5)


@given(st.integers(4, 40), st.data())
def test_a_missing_slice_is_counted_and_the_step_stays(count: int, data: st.DataObject) -> None:
    gone = data.draw(st.integers(1, count - 2))
    found = lattice_of(frames(*(1.25 * index for index in range(count) if index != gone)))
    if count == 4:  # gaps 2.5 and 1.25: neither is in the majority beyond doubt, but half of them fit
        assert found.missing in (0, 1)
    else:
        assert (found.verdict, found.missing, found.spacing_mm) == ("irregular", 1, 1.25)
    assert found.regular is False


def test_a_changing_step_has_no_spacing() -> None:
    found = lattice_of(frames(0, 4.22, 8.44, 9.58, 10.72, 18.1))
    assert (found.verdict, found.spacing_mm, found.regular, found.missing) == ("irregular", None, False, 0)


def test_a_tilted_gantry_is_sheared_and_its_spacing_is_along_the_normal() -> None:
    tilt = math.radians(15)
    orientation = (1.0, 0.0, 0.0, 0.0, math.cos(tilt), -math.sin(tilt))
    found = lattice_of([Frame((0.0, 0.0, 2.5 * index), orientation, None, None, index) for index in range(10)])
    assert found.verdict == "sheared"
    assert found.spacing_mm == pytest.approx(2.5 * math.cos(tilt), abs=1e-5)
    assert found.regular is True


def test_an_oblique_stack_along_its_normal_is_regular() -> None:
    angle = math.radians(30)
    orientation = (1.0, 0.0, 0.0, 0.0, math.cos(angle), math.sin(angle))
    normal = (0.0, -math.sin(angle), math.cos(angle))
    stack = [Frame(tuple(3.0 * index * part for part in normal), orientation, None, None, index) for index in range(5)]
    assert lattice_of(stack).verdict == "regular"
    assert lattice_of(stack).spacing_mm == pytest.approx(3.0)


def test_a_localizer_among_the_slices_makes_several_orientations() -> None:
    found = lattice_of([*frames(0, 1, 2), *frames(5, orientation=CORONAL)])
    assert (found.verdict, found.orientations, found.slices, found.spacing_mm) == ("irregular", 2, 4, None)


def test_time_points_are_no_duplicates() -> None:
    found = lattice_of([*frames(0, 1, 2, time="1"), *frames(0, 1, 2, time="2")])
    assert (found.slices, found.times, found.volumes, found.duplicates, found.verdict) == (3, 2, 2, 0, "regular")


def test_echoes_are_volumes_and_no_time_points() -> None:
    found = lattice_of([*frames(0, 1, kind="te5"), *frames(0, 1, kind="te7")])
    assert (found.slices, found.times, found.volumes, found.duplicates) == (2, 1, 2, 0)


def test_stated_temporal_positions_count_when_they_fit() -> None:
    stack = [Frame((0.0, 0.0, float(z)), AXIAL, None, None, 10 * t + z) for t in range(4) for z in range(3)]
    assert lattice_of(stack, stated_times=4).times == 4
    assert lattice_of(stack, stated_times=5).times == 1


def test_the_same_instance_number_twice_at_one_place_is_a_duplicate() -> None:
    found = lattice_of([*frames(0, 1, 2), *frames(0, 1, 2)])
    assert (found.slices, found.duplicates, found.spacing_mm) == (3, 3, 1.0)


def test_a_single_repeated_slice_is_a_duplicate() -> None:
    found = lattice_of([*frames(0, 1, 2), Frame((0.0, 0.0, 1.0), AXIAL, None, None, 99)])
    assert found.duplicates == 1


def test_parallel_row_and_column_are_no_plane() -> None:
    assert lattice_of(frames(0, 1, orientation=(1.0, 0.0, 0.0, 1.0, 0.0, 0.0))).verdict == "none"
