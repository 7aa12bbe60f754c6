"""Take a series apart into images: first by what never shares a volume, then repeats of a lattice into time points."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from fairlead.convert.frames import Frame
from fairlead.convert.headers import Header
from fairlead.convert.lattice import POSITION_TOLERANCE_MM, slice_order

SAME_DIRECTION: Final = 1e-3
"""Direction cosines closer than this belong to one stack."""
EVEN_TIME: Final = 0.02
"""Time steps within two percent of each other are regular."""
SECONDS: Final = {"TriggerTime": 1e-3, "FrameReferenceTime": 1e-3, "AcquisitionTime": 1.0}
"""Time attributes that are clocks, with their unit in seconds; the others are only counters."""


@dataclass(frozen=True, slots=True)
class Member:
    """A frame together with the file it is in."""

    header: Header
    frame: Frame


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """Time points of a 4-D image: each lists members in the same slice order. ``step_s`` None: order known, distance not."""

    points: tuple[tuple[Member, ...], ...]
    basis: str
    step_s: float | None


def split_members(members: Sequence[Member]) -> list[list[Member]]:
    """Return groups that agree in pixels, spacing, orientation, frame of reference, component, echo, b-value and localizer flag.

    Frames without a place come out one per group. Groups and their members keep a reproducible order.
    """
    groups: list[tuple[tuple[object, ...], list[Member]]] = []
    for member in sorted(members, key=_natural):
        if member.frame.pose is None:
            groups.append(((object(),), [member]))
            continue
        key = (member.header.format.kind, member.header.frame_of_reference_uid, member.frame.apart)
        home = next((group for other, group in groups if other == key and _same_plane_shape(group[0], member)), None)
        if home is None:
            groups.append((key, [member]))
        else:
            home.append(member)
    return [group for _, group in groups]


def what_differs(groups: Sequence[Sequence[Member]]) -> list[dict[str, object]]:
    """Return for every group the distinguishing facts (echo time, b-value …) that are not the same in all groups."""
    tables = [dict(group[0].frame.apart) for group in groups]
    varying = [name for name in tables[0] if any(table.get(name) != tables[0][name] for table in tables)] if tables else []
    return [{name: table.get(name) for name in varying} for table in tables]


def time_axis(members: Sequence[Member]) -> TimeAxis | None:
    """Return the time points when every slice position occurs equally often and an attribute tells the repeats apart.

    Tried in turn: TemporalPositionIdentifier (or the enhanced index), TriggerTime, FrameReferenceTime, AcquisitionNumber,
    AcquisitionTime, and at last InstanceNumber, when it counts through whole volumes or whole repeats.
    """
    places = _places(members)
    counts = {len(place) for place in places}
    if len(counts) != 1 or (repeats := counts.pop()) < 2:
        return None
    for name in _time_names(members):
        if (points := _by_attribute(places, name)) is not None:
            return TimeAxis(points, name, _step_s(points, name))
    if (points := _by_number(places, repeats)) is not None:
        return TimeAxis(points, "InstanceNumber", _repetition_s(members))
    return None


def _natural(member: Member) -> tuple[int, str, int]:
    return member.frame.number, member.header.path.as_posix(), member.frame.index


def _same_plane_shape(first: Member, other: Member) -> bool:
    one, two = first.frame.pose, other.frame.pose
    if one is None or two is None:
        return False
    close = np.allclose(one.orientation, two.orientation, rtol=0, atol=SAME_DIRECTION)
    return bool(close and np.allclose(one.spacing_mm, two.spacing_mm, rtol=1e-4, atol=0))


def _places(members: Sequence[Member]) -> list[list[Member]]:
    poses = [member.frame.pose for member in members if member.frame.pose is not None]
    places: list[list[Member]] = []
    last = np.full(3, np.inf)
    for index in slice_order(poses):
        position = np.asarray(poses[index].position)
        if np.linalg.norm(position - last) > POSITION_TOLERANCE_MM:
            places.append([])
        places[-1].append(members[index])
        last = position
    return places


def _time_names(members: Sequence[Member]) -> list[str]:
    return [name for name, _ in members[0].frame.times]


def _by_attribute(places: list[list[Member]], name: str) -> tuple[tuple[Member, ...], ...] | None:
    """Return time points when the attribute's values are all different at each place; ranks are compared, clocks drift over slices."""
    ordered = []
    for place in places:
        values = [dict(member.frame.times).get(name) for member in place]
        known = [value for value in values if value is not None]
        if len(known) != len(place) or len(set(known)) != len(place):
            return None
        ordered.append([place[index] for index in sorted(range(len(place)), key=known.__getitem__)])
    return tuple(zip(*ordered, strict=True))


def _by_number(places: list[list[Member]], repeats: int) -> tuple[tuple[Member, ...], ...] | None:
    """Return time points when instance numbers run volume by volume, or repeat by repeat, without a gap in the pattern."""
    where = {id(member): number for number, place in enumerate(places) for member in place}
    flat = sorted((member for place in places for member in place), key=lambda member: member.frame.number)
    if len({member.frame.number for member in flat}) != len(flat):
        return None
    whole = _blocks(flat, len(places), lambda block: {where[id(member)] for member in block} == set(range(len(places))))
    if whole is None and _blocks(flat, repeats, lambda block: len({where[id(member)] for member in block}) == 1) is None:
        return None
    ordered = [sorted(place, key=lambda member: member.frame.number) for place in places]
    return tuple(zip(*ordered, strict=True))


def _blocks(flat: list[Member], length: int, holds: Callable[[list[Member]], bool]) -> list[list[Member]] | None:
    blocks = [flat[start : start + length] for start in range(0, len(flat), length)]
    return blocks if all(holds(block) for block in blocks) else None


def _step_s(points: tuple[tuple[Member, ...], ...], name: str) -> float | None:
    if name not in SECONDS:
        return None
    times = np.asarray([np.mean([dict(member.frame.times)[name] for member in point]) for point in points]) * SECONDS[name]
    steps = np.diff(times)
    return float(steps.mean()) if steps.min() > 0 and steps.max() - steps.min() <= EVEN_TIME * steps.max() else None


def _repetition_s(members: Sequence[Member]) -> float | None:
    """Return the repetition time of an echo-planar MR, where one repetition is one volume; None elsewhere."""
    facts = members[0].header.facts
    sequence = facts.get("ScanningSequence", "")
    planar = "EP" in (sequence if isinstance(sequence, list) else [sequence])
    repetition = facts.get("RepetitionTime")
    return float(repetition) / 1000 if planar and isinstance(repetition, (int, float)) and repetition > 0 else None


def by_series(headers: Sequence[Header]) -> dict[str, list[Header]]:
    """Return headers by SeriesInstanceUID, in order of first appearance."""
    found: dict[str, list[Header]] = defaultdict(list)
    for header in headers:
        found[header.series_uid].append(header)
    return dict(found)
