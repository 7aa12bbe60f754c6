"""Turn a planned DICOM image into a store plan: axes in millimetres, voxels on demand, and what the header knows."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fairlead.convert.decode import COLOUR, decode_frame, stored_dtype
from fairlead.convert.facts import fit_facts, fit_part, fit_words, lost_facts
from fairlead.convert.frames import Frame
from fairlead.convert.grouping import Member
from fairlead.convert.lattice import axis_directions, deviation_mm, direction_name, reaches
from fairlead.convert.located import located
from fairlead.convert.plan import Axis, Channel, ImagePlan, rgb_channels
from fairlead.convert.values import ValueScale, value_scale
from fairlead.convert.volumes import PlannedImage
from fairlead.errors import CheckFailed, FairleadError
from fairlead.records import GeometryVerdict, JsonObject, is_uid

MILLIMETER: Final = "millimeter"
DECODING_THREADS: Final = 2


class DicomVoxels:
    """Voxels of planned frames, decoded in two threads, one slab at a time."""

    def __init__(self, image: PlannedImage, scale: ValueScale, *, colour: bool) -> None:
        self.image = image
        self.digests: dict[tuple[int, int], str] | None = None
        self._scale = scale
        self._colour = colour
        self._last: tuple[Member, NDArray[Any]] | None = None

    def read(self, level: int, lead: tuple[int, ...], start: int, stop: int) -> NDArray[Any]:
        """Return slices (or rows of a single plane) ``start:stop`` of level 0; rows of a colour picture with all channels."""
        time = lead[0] if len(self.image.points) > 1 else 0
        point = self.image.points[time]
        if self._colour and not self.image.has_slices:
            picture = self._whole(point[0])
            if start == 0:
                self._note(time, 0, picture)
            return picture[:, start:stop].transpose(1, 0, 2)
        channel = lead[-1] if self._colour else None
        if not self.image.has_slices:
            plane = self._scale.apply(self._whole(point[0]), point[0].frame)
            if start == 0:
                self._note(time, 0, plane)
            return np.ascontiguousarray(plane[start:stop])
        first = point[0].header.format
        slab = np.empty((stop - start, first.rows, first.columns), self._scale.dtype)

        def fill(place: int) -> None:
            """Decode one plane into its place in the slab."""
            stored = self._stored(point[start + place])
            slab[place] = stored[channel] if channel is not None else self._scale.apply(stored, point[start + place].frame)
            if not channel:  # a colour is noted with all its channels, when the first of them is read
                self._note(time, start + place, slab[place] if channel is None else stored)

        with warnings.catch_warnings(), ThreadPoolExecutor(DECODING_THREADS) as pool:
            warnings.simplefilter("ignore")  # pydicom comments on odd but decodable pixels; the shape check is ours
            for _ in pool.map(fill, range(stop - start)):
                pass
        return slab

    def _note(self, time: int, place: int, plane: NDArray[Any]) -> None:
        """Keep the sha256 of a plane (grey rows, or red, green and blue ones), when somebody wants it."""
        if self.digests is not None:
            self.digests[time, place] = hashlib.sha256(np.ascontiguousarray(plane, plane.dtype.newbyteorder("<"))).hexdigest()

    def _whole(self, member: Member) -> NDArray[Any]:
        """Return one picture as it is stored, kept until another is asked for: its bands come one after the other."""
        if self._last is None or self._last[0] is not member:
            self._last = (member, self._stored(member))
        return self._last[1]

    def _stored(self, member: Member) -> NDArray[Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return decode_frame(member.header.path, member.header.format, member.frame.index)
            except FairleadError as error:
                raise located(error, member.header.path)  # noqa: B904  # the same error, which now knows its file


def dicom_plan(image: PlannedImage, *, exact: bool = True) -> ImagePlan:
    """Return the store plan of a planned image; ``exact`` false asks for float32 after an overflow of int16."""
    first = image.members[0]
    pixels = first.header.format
    colour = pixels.photometric in COLOUR or pixels.samples > 1
    frames = [member.frame for member in image.members] if not colour else [Frame(0, None, None)]  # colour is never rescaled
    stored = np.dtype(np.uint16) if pixels.photometric == "PALETTE COLOR" else stored_dtype(pixels)
    if pixels.photometric == "PALETTE COLOR":
        stored = decode_frame(first.header.path, pixels, 0).dtype
    scale = value_scale(frames, stored, exact=exact)
    channels = rgb_channels(scale.dtype) if colour else (Channel(window=_window(frames), inverted=pixels.photometric == "MONOCHROME1"),)
    return ImagePlan(
        name=image.name,
        source=f"urn:oid:{first.header.series_uid}",
        kind=str(fit_facts(first.header.facts).get("Modality", "")) or "OT",
        axes=tuple(_axes(image, colour=colour)),
        dtype=scale.dtype,
        voxels=DicomVoxels(image, scale, colour=colour),
        geometry=image.geometry,
        channels=channels,
        attributes={"dicom": _attributes(image, scale)},
        dropped=_dropped(image),
        instances=len({member.header.path for member in image.members}),
        greyscale=not colour,
        bands=colour and not image.has_slices,
    )


def _axes(image: PlannedImage, *, colour: bool) -> list[Axis]:
    axes: list[Axis] = []
    if len(image.points) > 1:
        axes.append(Axis("t", len(image.points), image.step_s or 1.0, "second" if image.step_s else None))
    if colour:
        axes.append(Axis("c", 3))
    pixels, spacing = image.members[0].header.format, image.members[0].frame.spacing_mm
    sizes = {"y": pixels.rows, "x": pixels.columns}
    in_plane = (None, None) if spacing is None else spacing
    scales: dict[str, float | None] = {"y": in_plane[0], "x": in_plane[1]}
    if image.has_slices:
        sizes = {"z": len(image.points[0])} | sizes
        known = image.geometry.spacing_mm
        scales["z"] = known[0] if known is not None and len(known) == 3 else None
    placed = _placed(image.geometry) if image.has_slices else {}
    for name, size in sizes.items():
        step = scales[name]
        origin, orientation = placed.get(name, (0.0, None))
        axes.append(Axis(name, size, step or 1.0, MILLIMETER if step else None, origin, orientation))
    return axes


def _placed(geometry: GeometryVerdict) -> dict[str, tuple[float, str]]:
    """Return origin and RFC-4 orientation per axis when all three run along patient axes; oblique and tilted stay unclaimed."""
    if geometry.affine is None or geometry.verdict != "regular" or (directions := axis_directions(geometry.affine)) is None:
        return {}
    origin = [row[3] for row in geometry.affine]
    names = zip("zyx", directions, strict=True)
    return {name: (origin[axis] * sign, direction_name(axis, sign)) for name, (axis, sign) in names}


def _window(frames: Sequence[Frame]) -> tuple[float, float] | None:
    """Return the window of all frames; None when they differ from slice to slice, as MR and PET do."""
    windows = {frame.window for frame in frames}
    return windows.pop() if len(windows) == 1 else None


def _dropped(image: PlannedImage) -> tuple[str, ...]:
    planes = {member.header.format.photometric for member in image.members}
    curved = any("ModalityLUT" in member.header.facts for member in image.members)
    return (
        *(("colour palette applied, indices not kept",) if "PALETTE COLOR" in planes else ()),
        *(("table of the modality (ModalityLUTSequence) not applied: values as stored",) if curved else ()),
        *lost_facts(image.members[0].header.facts),
    )


def _attributes(image: PlannedImage, scale: ValueScale) -> JsonObject:
    """Return ``attributes.dicom``: geometry, value scale, acquisition facts and persistent ids; no name, date or free text."""
    first = image.members[0]
    header = first.header
    ids = {"study": header.study_uid, "series": header.series_uid, "frame_of_reference": header.frame_of_reference_uid}
    found: JsonObject = {
        "version": "1",
        "sop_class": header.sop_class_uid,
        "transfer_syntax": sorted({member.header.format.transfer_syntax_uid for member in image.members}),
        "identifiers": {name: f"urn:oid:{uid}" for name, uid in ids.items() if is_uid(uid)},
        "image_type": fit_words(header.image_type[:3]),
        "facts": fit_facts(header.facts),
        "geometry": _geometry(image),
        "values": _values(image, scale),
    }
    if image.differs:
        found["part"] = fit_part(dict(image.differs))
    if len(image.points) > 1:
        found["time"] = {"basis": image.time_basis, "step_s": image.step_s}
    return found


def _geometry(image: PlannedImage) -> JsonObject:
    verdict = image.geometry
    found: JsonObject = {"verdict": verdict.verdict, "reason": verdict.reason, "coordinates": "LPS, mm, centre of the first voxel"}
    found["spacing_basis"] = image.members[0].frame.spacing_basis or None
    if verdict.affine is not None:
        found |= {"affine_kji_to_lps_mm": [list(row) for row in verdict.affine], "spacing_mm": list(verdict.spacing_mm or ())}
        found["largest_deviation_mm"] = _deviation_mm(image, verdict.affine)
    elif verdict.verdict == "irregular":
        found |= {"missing": list(verdict.missing), "duplicates": list(verdict.duplicates)}
        tables = [[list(member.frame.pose.position) for member in point if member.frame.pose] for point in image.points]
        found["positions_lps_mm"] = tables[0] if len(tables) == 1 else tables  # with a time axis one table a time point
        pose = image.members[0].frame.pose
        found["orientation"] = list(pose.orientation) if pose else None
        found["in_plane_spacing_mm"] = list(pose.spacing_mm) if pose else None
    return found


def _deviation_mm(image: PlannedImage, affine: tuple[tuple[float, ...], ...]) -> float:
    """Return how far the ImagePositionPatient of a slice lies from where the affine puts it, at most, in steps of 1e-6 mm.

    Raises
    ------
    CheckFailed : further than its recorded decimals leave open.
    """
    matrix = np.asarray(affine, float)
    places = [np.asarray([member.frame.pose.position for member in point if member.frame.pose], float) for point in image.points]
    deviation = max(deviation_mm(place, matrix[:3, 3], matrix[:3, 0]) for place in places)
    if not all(reaches(place, matrix[:3, 3], matrix[:3, 0]) for place in places):
        raise CheckFailed(f"The affine misses a slice by {deviation:g} mm.", remedy="Convert with --geometry annotate.")
    return round(deviation, 6)


def _values(image: PlannedImage, scale: ValueScale) -> JsonObject:
    pairs = [(member.frame.slope, member.frame.intercept) for member in image.members]
    facts = image.members[0].header.facts
    found: JsonObject = {"rescaled": not scale.identity, "stored_type": str(stored_dtype(image.members[0].header.format))}
    if len(set(pairs)) == 1:
        found |= {"slope": pairs[0][0], "intercept": pairs[0][1]}
    else:
        found |= {"slope_per_plane": [pair[0] for pair in pairs], "intercept_per_plane": [pair[1] for pair in pairs]}
    padding = facts.get("PixelPaddingValue")
    if isinstance(padding, (int, float)):
        found["padding"] = {"stored": padding, "value": padding * pairs[0][0] + pairs[0][1]}
    return found
