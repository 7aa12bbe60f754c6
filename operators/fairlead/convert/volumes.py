"""Plan the stores of one DICOM series: which frames make which image, under which geometry policy."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from fairlead.convert.frames import Frame
from fairlead.convert.grouping import Member, TimeAxis, split_members, time_axis, what_differs
from fairlead.convert.headers import Header
from fairlead.convert.lattice import Stack, deviation_mm, off_lattice, reaches, regular_runs, stack_planes
from fairlead.convert.sop_classes import Layout
from fairlead.errors import UnsupportedInput
from fairlead.records import GeometryVerdict

type Policy = Literal["strict", "split", "annotate"]

NAME_DIGITS: Final = 16
SINGLES: Final = frozenset({Layout.ENHANCED, Layout.DOSE, Layout.MAP, Layout.NUCLEAR})
"""Layouts whose instances are volumes by themselves."""
NO_PLACE: Final = GeometryVerdict(verdict="none", reason="The source states no place in the patient for this image.")


@dataclass(frozen=True, slots=True)
class PlannedImage:
    """Frames of one store by time point and slice; ``step_s`` None with several points: the distance in time is unknown."""

    name: str
    points: tuple[tuple[Member, ...], ...]
    geometry: GeometryVerdict
    time_basis: str = ""
    step_s: float | None = None
    differs: tuple[tuple[str, object], ...] = ()

    @property
    def members(self) -> list[Member]:
        """Every frame, time points one after the other."""
        return [member for point in self.points for member in point]

    @property
    def has_slices(self) -> bool:
        """Whether the image has a z axis."""
        return len(self.points[0]) > 1


@dataclass(frozen=True, slots=True)
class RefusedGroup:
    """Frames that make no store under the policy, and the verdict that says why."""

    files: int
    geometry: GeometryVerdict


def store_stem(uid: str) -> str:
    """Return a store name made from a UID's hash: the same on every machine, and nothing a header says is in it."""
    return hashed("image", uid)


def hashed(kind: str, uid: str) -> str:
    """Return ``<kind>-<hash of the UID>``."""
    return f"{kind}-{hashlib.sha256(uid.encode()).hexdigest()[:NAME_DIGITS]}"


def plan_series(headers: Sequence[Header], policy: Policy) -> list[PlannedImage | RefusedGroup]:
    """Return the images of one series in a reproducible order, and the groups that the policy refuses."""
    pictures = [header for header in headers if _is_picture(header)]
    slices = [header for header in headers if not _is_picture(header)]
    planned: list[PlannedImage | RefusedGroup] = [image for header in pictures for image in _pictures(header)]
    for stem, members in _volumes(slices):
        groups = split_members(members)
        differs = what_differs(groups)
        for number, group in enumerate(groups, start=1):
            name = stem if len(groups) == 1 else f"{stem}-{number}"
            images = list(_group(name, group, policy))
            planned += [_told(image, differs[number - 1]) if isinstance(image, PlannedImage) else image for image in images]
    return planned


def _is_picture(header: Header) -> bool:
    """Return whether the frames have no place in a volume: projections, captures, cines, and slices without a position."""
    return header.layout is Layout.PLANAR or header.frames[0].pose is None


def _volumes(headers: Sequence[Header]) -> Iterator[tuple[str, list[Member]]]:
    """Yield a classic series as one pool of frames, and each multi-frame instance as its own."""
    classic = [header for header in headers if header.layout is Layout.SLICES]
    if classic:
        yield store_stem(classic[0].series_uid), [Member(header, frame) for header in classic for frame in header.frames]
    for header in headers:
        if header.layout in SINGLES:
            yield store_stem(header.sop_instance_uid), [Member(header, frame) for frame in header.frames]


def _told(image: PlannedImage, differs: dict[str, object]) -> PlannedImage:
    return replace(image, differs=tuple(differs.items()))


def _pictures(header: Header) -> Iterator[PlannedImage]:
    """Plan a projection, photograph, capture or cine: one plane per time point; energy windows and detectors one by one."""
    if header.layout is not Layout.NUCLEAR:
        yield _picture(header, header.frames, store_stem(header.sop_instance_uid))
        return
    groups: dict[tuple[tuple[str, object], ...], list[Frame]] = {}
    for frame in header.frames:
        groups.setdefault(frame.apart, []).append(frame)
    differs = what_differs([[Member(header, frame) for frame in frames] for frames in groups.values()])
    for number, frames in enumerate(groups.values(), start=1):
        name = store_stem(header.sop_instance_uid) + (f"-{number}" if len(groups) > 1 else "")
        yield _told(_picture(header, frames, name), differs[number - 1])


def _picture(header: Header, frames: Sequence[Frame], name: str) -> PlannedImage:
    pose = frames[0].pose
    geometry = stack_planes([pose]).verdict if pose is not None and len(frames) == 1 else NO_PLACE
    times = [dict(frame.times).get("FrameTime") for frame in frames]
    step = times[1] - (times[0] or 0.0) if len(times) > 1 and times[1] else None
    basis = next((told for told, _ in frames[0].times if told != "FrameTime"), "frame number")
    points = tuple((Member(header, frame),) for frame in frames)
    return PlannedImage(name, points, geometry, "FrameTime" if step else basis, step)


def _group(name: str, group: list[Member], policy: Policy) -> Iterator[PlannedImage | RefusedGroup]:
    if group[0].frame.pose is None:
        yield PlannedImage(name, ((group[0],),), NO_PLACE)
        return
    times = time_axis(group)
    if times is not None:
        stack = _stack_over_time(times)
        steady = stack.is_lattice or not _stack(times.points[0]).is_lattice
        if stack.is_lattice or (policy == "annotate" and not steady):
            yield _over_time(name, times, stack)
            return
        if policy == "strict" and not steady:
            yield _refused(group, stack)
            return
    stack = _stack(group)
    if stack.is_lattice or policy == "annotate":
        yield PlannedImage(name, (tuple(group[index] for index in stack.order),), stack.verdict)
    elif policy == "split":
        yield from _runs(name, group)
    else:
        yield _refused(group, stack)


def _refused(group: list[Member], stack: Stack) -> RefusedGroup:
    return RefusedGroup(len({member.header.path for member in group}), stack.verdict)


def _stack_over_time(times: TimeAxis) -> Stack:
    """Return the stack of the first time point; irregular when the affine misses a slice of another one."""
    stack = _stack(times.points[0])
    if stack.verdict.affine is None:
        return stack
    affine = np.asarray(stack.verdict.affine)
    found = 0.0
    for point in times.points[1:]:
        places = [point[index].frame.pose.position for index in stack.order]  # type: ignore[union-attr]  # the group has poses
        positions = np.asarray(places, float)
        if not reaches(positions, affine[:3, 3], affine[:3, 0]):
            found = max(found, deviation_mm(positions, affine[:3, 3], affine[:3, 0]))
    if not found:
        return stack
    return Stack(stack.order, GeometryVerdict(verdict="irregular", reason=f"Over time: {off_lattice(found)}."))


def _over_time(name: str, times: TimeAxis, stack: Stack) -> PlannedImage:
    points = tuple(tuple(point[index] for index in stack.order) for point in times.points)
    return PlannedImage(name, points, stack.verdict, times.basis, times.step_s)


def _stack(members: Sequence[Member]) -> Stack:
    return stack_planes([member.frame.pose for member in members if member.frame.pose is not None])


def _runs(name: str, group: list[Member]) -> Iterator[PlannedImage]:
    poses = [member.frame.pose for member in group if member.frame.pose is not None]
    for number, run in enumerate(regular_runs(poses), start=1):
        members = tuple(group[index] for index in run)
        stack = _stack(members)
        reason = f"Run {number} of an irregular series. {stack.verdict.reason}"
        yield PlannedImage(f"{name}-run{number}", (members,), stack.verdict.model_copy(update={"reason": reason}))


def parse_policy(text: str) -> Policy:
    """Return the policy by name.

    Raises
    ------
    UnsupportedInput : any other word.
    """
    match text:
        case "strict" | "split" | "annotate":
            return text
    raise UnsupportedInput(f"There is no geometry policy {text!r}.", remedy="Use strict, split or annotate.")
