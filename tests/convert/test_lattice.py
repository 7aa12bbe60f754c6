from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.convert.lattice import PlanePose, axis_directions, regular_runs, stack_planes

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)


def poses(places, orientation=AXIAL):
    return [PlanePose(tuple(place), orientation, (0.5, 0.75)) for place in places]


def at(*heights):
    return poses([(0.0, 0.0, float(height)) for height in heights])


def test_axial_slices_are_ordered_toward_the_head_whatever_the_file_order():
    stack = stack_planes(at(5, 0, 2.5))
    assert stack.order == (1, 2, 0)
    assert stack.verdict.spacing_mm == (2.5, 0.5, 0.75)


def test_axial_slices_with_a_downward_normal_still_go_toward_the_head():
    stack = stack_planes(poses([(0, 0, 0), (0, 0, 3)], (1.0, 0.0, 0.0, 0.0, -1.0, 0.0)))
    assert stack.order == (0, 1)
    assert stack.verdict.verdict == "regular"


def test_the_affine_maps_index_to_patient_by_position_and_orientation():
    affine = np.asarray(stack_planes(poses([(10, 20, 30), (10, 20, 32)])).verdict.affine)
    assert (affine @ [1, 2, 4, 1]).tolist() == [10 + 4 * 0.75, 20 + 2 * 0.5, 32, 1]


@pytest.mark.parametrize(
    ("heights", "verdict", "missing", "duplicates"),
    [
        pytest.param((0, 1, 2, 3), "regular", (), (), id="regular"),
        pytest.param((0, 1, 3, 4, 5), "irregular", (2,), (), id="one missing"),
        pytest.param((0, 1, 4, 5, 6, 7), "irregular", (2, 3), (), id="two missing"),
        pytest.param((0, 1, 1, 2), "irregular", (), (2,), id="duplicate"),
        pytest.param((0, 1.25, 2.5, 7.5, 12.5), "irregular", (), (), id="spacing changes"),
        pytest.param((0, 1.0, 2.016, 3.0), "irregular", (), (), id="jitter of 1.6 percent"),
        pytest.param((0, 1.0, 2.004, 3.0), "irregular", (), (), id="jitter of 0.4 percent"),
        pytest.param((0, 1.0, 2.00011, 3.0), "irregular", (), (), id="a ten-thousandth of a millimetre and a little more"),
        pytest.param((0, 1.0, 2.00009, 3.0), "regular", (), (), id="a little less"),
        pytest.param((7,), "single", (), (), id="one plane"),
    ],
)
def test_the_verdict_names_what_is_wrong(heights, verdict, missing, duplicates):
    found = stack_planes(at(*heights)).verdict
    assert (found.verdict, found.missing, found.duplicates) == (verdict, missing, duplicates)


PRINTED = {"three decimals": "{:.3f}", "four decimals": "{:.4f}", "six digits": "{:.6g}", "sixteen characters": "{:.10f}"}


@pytest.mark.parametrize("printed", PRINTED.values(), ids=PRINTED)
@settings(deadline=None, max_examples=40)
@given(gap=st.floats(0.3, 3), start=st.floats(-650, 300), tilt=st.sampled_from([0.0, 0.31]), count=st.integers(2, 200))
def test_an_even_stack_is_a_lattice_however_its_positions_are_printed(printed, gap, start, tilt, count):
    row, down = (1.0, 0.0, 0.0), (0.0, math.cos(tilt), math.sin(tilt))
    normal = np.cross(row, down)
    places = [np.asarray([-180.123, 44.0, start]) + number * gap * normal for number in range(count)]
    written = [tuple(float(printed.format(part)) for part in place) for place in places]
    verdict = stack_planes(poses(written, (*row, *down))).verdict
    assert verdict.verdict in {"regular", "sheared"}  # two slices 0.3 mm apart, rounded, may lean by more than 0.1 degrees
    reached = [(np.asarray(verdict.affine) @ [number, 0, 0, 1])[:3] for number in range(count)]
    assert np.abs(np.asarray(reached) - places).max() <= 0.00051


def test_the_verdict_says_that_positions_are_rounded():
    rounded = stack_planes(at(0, 0.667, 1.333, 2)).verdict
    assert rounded.reason == "Parallel slices at even spacing, as far as positions rounded to 0.001 mm tell."
    assert stack_planes(at(0, 0.5, 1, 1.5)).verdict.reason == "Parallel slices at even spacing."


@pytest.mark.parametrize(
    "heights",
    [
        pytest.param((0, 0.667, 1.336, 2.001), id="two units of the last place beside it"),
        pytest.param((0, 1.0, 2.1, 3.0), id="a tenth in a millimetre"),
        pytest.param((9, 9.004, 10), id="few decimals in the largest number"),
        pytest.param((0, 5, 10.2, 15), id="two tenths"),
        pytest.param((0, 2.5, 5.0004, 7.5), id="four units"),
    ],
)
def test_more_than_rounding_is_no_lattice(heights):
    assert stack_planes(at(*heights)).verdict.verdict == "irregular"


def test_a_change_of_spacing_is_not_mistaken_for_missing_slices():
    assert stack_planes(at(0, 1.25, 2.5, 7.5, 12.5)).verdict.reason == "Slice spacing varies from 1.25 to 5 mm."


def test_a_tilted_gantry_is_sheared_and_its_affine_reproduces_every_position():
    angle = math.radians(15)
    orientation = (1.0, 0.0, 0.0, 0.0, math.cos(angle), -math.sin(angle))
    places = [(-100.0, -50.0, 1.25 * number) for number in range(20)]
    verdict = stack_planes(poses(places, orientation)).verdict
    assert verdict.verdict == "sheared"
    assert "15.00 degrees" in verdict.reason
    affine = np.asarray(verdict.affine)
    assert np.abs([(affine @ [number, 0, 0, 1])[:3] - place for number, place in enumerate(places)]).max() < 1e-9


def test_slices_that_drift_sideways_unevenly_are_irregular():
    places = [(0, 0, 0), (0.5, 0, 1), (0, 0, 2), (0.5, 0, 3)]
    assert stack_planes(poses(places)).verdict.reason == "Slices drift sideways unevenly."


def test_regular_runs_separate_spacings_and_doubles():
    assert regular_runs(at(0, 1, 2, 7, 12, 17)) == [[0, 1, 2], [3, 4, 5]]
    assert regular_runs(at(0, 0, 1, 1)) == [[0, 2], [1, 3]]


@pytest.mark.parametrize(
    ("orientation", "step", "expected"),
    [
        (AXIAL, (0, 0, 1), ((2, 1), (1, 1), (0, 1))),
        (CORONAL, (0, 1, 0), ((1, 1), (2, -1), (0, 1))),
        (SAGITTAL, (-1, 0, 0), ((0, -1), (2, -1), (1, 1))),
    ],
    ids=["axial", "coronal", "sagittal"],
)
def test_axes_know_which_way_they_run_in_the_patient(orientation, step, expected):
    stack = stack_planes(poses([(0, 0, 0), step], orientation))
    assert axis_directions(stack.verdict.affine) == expected


def test_an_oblique_stack_claims_no_patient_axis():
    orientation = (0.8, 0.6, 0.0, 0.0, 0.0, -1.0)
    stack = stack_planes(poses([(0, 0, 0), (-0.6, 0.8, 0)], orientation))
    assert stack.verdict.verdict == "regular"
    assert axis_directions(stack.verdict.affine) is None


angles = st.floats(-math.pi, math.pi)


@given(yaw=angles, pitch=angles, gap=st.floats(0.1, 20), count=st.integers(2, 30), seed=st.integers(0, 999))
def test_any_rotated_even_stack_is_regular_and_its_affine_reproduces_every_position(yaw, pitch, gap, count, seed):
    turn = np.asarray([[math.cos(yaw), -math.sin(yaw), 0], [math.sin(yaw), math.cos(yaw), 0], [0, 0, 1]])
    tip = np.asarray([[1, 0, 0], [0, math.cos(pitch), -math.sin(pitch)], [0, math.sin(pitch), math.cos(pitch)]])
    row, column, normal = (turn @ tip).T
    places = [tuple(np.asarray([-10.0, 20.0, 5.0]) + number * gap * normal) for number in range(count)]
    shuffled = np.random.default_rng(seed).permutation(count)
    given_poses = poses([places[index] for index in shuffled], (*row, *column))
    stack = stack_planes(given_poses)
    assert stack.verdict.verdict == "regular"
    affine = np.asarray(stack.verdict.affine)
    for place, index in enumerate(stack.order):
        assert np.allclose((affine @ [place, 0, 0, 1])[:3], given_poses[index].position, atol=1e-4)
