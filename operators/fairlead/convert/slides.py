"""Plan whole slides: the pyramid of the source is reused level by level, each with its own spacing.

Optical paths become channels, focal planes the z axis, colour three channels; the ICC profile goes beside the pixels.
Tiles are decoded and stored without loss, which makes a JPEG slide many times larger: ``max_expansion`` says when that
is too much.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fairlead.convert.compact import jpeg_levels
from fairlead.convert.facts import fit_facts, fit_words, lost_facts
from fairlead.convert.headers import Header
from fairlead.convert.icc import bare_profile
from fairlead.convert.plan import Axis, Channel, ImagePlan, rgb_channels
from fairlead.convert.slide_files import SlideFile, SlideLevel, TileKey, decode_tile, read_slide_file
from fairlead.convert.tiles import place_on_slide
from fairlead.convert.volumes import hashed
from fairlead.convert.words import known_words
from fairlead.errors import FairleadError, UnreadableImage, UnsupportedInput
from fairlead.records import GeometryVerdict, JsonObject, is_uid

MAX_EXPANSION: Final = 50.0
SMALL_BYTES: Final = 256 * 1024**2
"""Slides that are smaller than this when decoded are never too large."""
DECODING_THREADS: Final = 2
MILLIMETER: Final = "millimeter"
WHITE: Final = 255
RGB: Final = 3
ON_GLASS: Final = GeometryVerdict(verdict="none", reason="A slide: sampling as each level states it, no place in a patient.")


@dataclass(frozen=True, slots=True)
class SlideLimits:
    """What the caller allows for slides."""

    max_expansion: float = MAX_EXPANSION
    compact: bool = False


class SlideVoxels:
    """Bands of rows of a slide, all channels at once, decoded in two threads."""

    def __init__(self, levels: Sequence[SlideLevel], paths: Sequence[str], depths: Sequence[float]) -> None:
        self._levels = levels
        self._paths = paths
        self._depths = depths
        self._kept: dict[tuple[int, TileKey], NDArray[Any]] = {}

    def read(self, level: int, lead: tuple[int, ...], start: int, stop: int) -> NDArray[Any]:
        """Return rows ``start:stop`` of a level, shape (rows, channels, columns) or (rows, columns)."""
        source = self._levels[level]
        depth = self._depths[lead[-1] if lead else 0]
        first = source.first
        channels = RGB if first.samples == RGB else len(self._paths)
        band = np.full((channels, stop - start, first.matrix[1]), WHITE if first.samples == RGB else 0, first.dtype)
        keys = [
            TileKey(path, depth, row, column)
            for path in self._paths
            for row in range(start // first.tile[0] * first.tile[0], stop, first.tile[0])
            for column in range(0, first.matrix[1], first.tile[1])
        ]
        with ThreadPoolExecutor(DECODING_THREADS) as pool:
            for key, tile in zip(keys, pool.map(lambda key: self._tile(level, key, stop), keys), strict=True):
                if tile is not None:
                    _paste(band, tile, key, self._paths.index(key.path), start)
        return band[0] if channels == 1 else band.transpose(1, 0, 2)

    def _tile(self, level: int, key: TileKey, stop: int) -> NDArray[Any] | None:
        """Return a tile, None where the slide has none; a tile that reaches into the next band is kept for it."""
        if (kept := self._kept.pop((level, key), None)) is not None:
            return kept
        source = self._levels[level]
        if (place := source.tiles.get(key)) is None:
            return None
        number, frame = place
        file = source.files[number]
        tile = decode_tile(file, frame)
        if key.row + file.tile[0] > stop:
            self._kept[level, key] = tile
        return tile


def slide_plans(headers: Sequence[Header], limits: SlideLimits, refuse: Callable[[str, FairleadError], None]) -> Iterator[ImagePlan]:
    """Yield a plan per pyramid of a series; label and overview images and broken files are refused by themselves.

    Raises
    ------
    UnreadableImage : levels that do not fit together.
    UnsupportedInput : a slide that would grow beyond the limit.
    """
    pyramids: dict[str, list[SlideFile]] = defaultdict(list)
    for header in sorted(headers, key=lambda header: header.path.as_posix()):
        try:
            file = read_slide_file(header)
        except FairleadError as error:
            refuse(f"urn:oid:{header.series_uid}", error)
            continue
        pyramids[file.pyramid].append(file)
    for name, files in pyramids.items():
        yield _planned(name, files, limits)


def _planned(pyramid: str, files: list[SlideFile], limits: SlideLimits) -> ImagePlan:
    try:
        return _plan(pyramid, files, limits)
    except FairleadError:
        raise
    except (ValueError, TypeError, AttributeError, ArithmeticError) as error:  # values that pydicom converts when they are asked for
        raise UnreadableImage(f"The slide's header cannot be read ({type(error).__name__}).") from error


def _plan(pyramid: str, files: list[SlideFile], limits: SlideLimits) -> ImagePlan:
    levels = _levels(files)
    first = levels[0].first
    paths, depths = _distinct(levels)
    if first.samples == RGB and len(paths) > 1:
        raise UnsupportedInput("A colour slide with several optical paths is not converted.", remedy="Export its optical paths one by one.")
    if limits.compact and len(depths) == 1 and (tiles := jpeg_levels(levels)):
        return replace(_image_plan(pyramid, levels, paths, depths), tiles=tiles)
    decoded = sum(level.wanted * level.first.tile[0] * level.first.tile[1] * first.samples * first.dtype.itemsize for level in levels)
    decoded *= len(depths) * (len(paths) if first.samples == 1 else 1)
    _affordable(decoded, sum(file.header.path.stat().st_size for file in files), limits)
    return _image_plan(pyramid, levels, paths, depths)


def _image_plan(pyramid: str, levels: Sequence[SlideLevel], paths: list[str], depths: list[float]) -> ImagePlan:
    first = levels[0].first
    channels = rgb_channels(first.dtype) if first.samples == RGB else tuple(_channel(first, path) for path in paths)
    profiles = _profiles(first)
    axes = [Axis("c", len(channels))] if len(channels) > 1 else []
    axes += (
        [Axis("z", len(depths), _depth_step(first, depths) or 1.0, MILLIMETER if _depth_step(first, depths) else None)]
        if len(depths) > 1
        else []
    )
    steps = _steps(levels)
    unit = MILLIMETER if first.spacing_mm else None
    axes += [Axis(axis, size, step, unit) for axis, size, step in zip("yx", first.matrix, steps[0], strict=True)]
    deep = (len(depths),) if len(depths) > 1 else ()
    return ImagePlan(
        name=hashed("slide", f"{first.header.series_uid}/{pyramid}"),
        source=f"urn:oid:{first.header.series_uid}",
        kind="SM",
        axes=tuple(axes),
        dtype=first.dtype,
        voxels=SlideVoxels(levels, paths, depths),
        geometry=ON_GLASS,
        channels=channels,
        levels=tuple((*deep, *level.first.matrix) for level in levels) if len(levels) > 1 else (),
        level_steps=tuple((*(1.0 for _ in deep), *step) for step in steps) if len(levels) > 1 else (),
        attributes={"dicom": _attributes(levels, profiles, depths)},
        dropped=(*_absent(levels, len(paths) * len(depths)), *lost_facts(first.header.facts)),
        instances=sum(len(level.files) for level in levels),
        greyscale=len(channels) == 1,
        bands=True,
        files={f"icc/{path}.icc": profile for path, profile in profiles.items()},
    )


def _levels(files: Sequence[SlideFile]) -> list[SlideLevel]:
    """Return the resolutions, largest first; files of one size are parts, paths or focal planes of one level."""
    sizes: dict[tuple[int, int], list[SlideFile]] = defaultdict(list)
    for file in files:
        sizes[file.matrix].append(file)
    levels = []
    for _, members in sorted(sizes.items(), reverse=True):
        tiles: dict[TileKey, tuple[int, int]] = {}
        for number, file in enumerate(members):
            if (file.tile, file.samples, file.bits) != (members[0].tile, members[0].samples, files[0].bits):
                raise UnreadableImage("Files of one level differ in tile size or pixel format.")
            tiles |= {key: (number, frame) for frame, key in enumerate(file.tiles)}
        if len(tiles) != sum(len(file.tiles) for file in members):
            raise UnreadableImage("Two tiles of the slide lie at one place.")
        levels.append(SlideLevel(tuple(members), tiles))
    if len({level.first.samples for level in levels}) > 1:
        raise UnreadableImage("Levels of the slide differ in pixel format.")
    return levels


def _distinct(levels: Sequence[SlideLevel]) -> tuple[list[str], list[float]]:
    keys = levels[0].tiles
    paths = list(dict.fromkeys(key.path for key in keys))
    depths = sorted({key.depth for key in keys})
    for level in levels[1:]:
        if {key.path for key in level.tiles} != set(paths) or {key.depth for key in level.tiles} != set(depths):
            raise UnsupportedInput("Levels of the slide differ in optical paths or focal planes.", remedy="Export complete pyramids.")
    return paths, depths


def _steps(levels: Sequence[SlideLevel]) -> list[tuple[float, float]]:
    """Return the spacing of every level: stated, else from its size."""
    rows, columns = levels[0].first.matrix
    full = levels[0].first.spacing_mm or (1.0, 1.0)
    known = levels[0].first.spacing_mm is not None
    sized = [(full[0] * rows / level.first.matrix[0], full[1] * columns / level.first.matrix[1]) for level in levels]
    return [level.first.spacing_mm if known and level.first.spacing_mm else size for level, size in zip(levels, sized, strict=True)]


def _depth_step(file: SlideFile, depths: Sequence[float]) -> float | None:
    if file.full or len(depths) < 2:
        return file.depth_step_mm
    gaps = np.diff(depths)
    return float(gaps.mean()) if gaps.max() - gaps.min() <= 0.01 * gaps.max() else None


def _affordable(decoded: int, stored: int, limits: SlideLimits) -> None:
    if decoded > SMALL_BYTES and decoded > limits.max_expansion * stored:
        raise UnsupportedInput(
            f"Decoded, the slide has {decoded / 1e9:.1f} GB, {decoded / stored:.0f} times its files.",
            remedy=f"Allow more than {limits.max_expansion:g} times with --max-expansion, or publish the DICOM files.",
        )


def _paste(band: NDArray[Any], tile: NDArray[Any], key: TileKey, path: int, start: int) -> None:
    top, bottom = max(key.row, start), min(key.row + tile.shape[0], start + band.shape[1])
    right = min(key.column + tile.shape[1], band.shape[2])
    part = tile[top - key.row : bottom - key.row, : right - key.column]
    target = band[:, top - start : bottom - start, key.column : right]
    if part.ndim == 3:
        target[...] = part.transpose(2, 0, 1)
    else:
        target[path] = part


def _channel(file: SlideFile, path: str) -> Channel:
    item = next(
        (item for item in file.dataset.get("OpticalPathSequence") or [] if str(item.get("OpticalPathIdentifier", "")) == path), None
    )
    wavelength = item.get("IlluminationWaveLength") if item is not None else None
    known = known_words(path)
    return Channel(f"{float(wavelength):g} nm" if wavelength else f"path {known}" if known else None)


def _profiles(file: SlideFile) -> dict[str, bytes]:
    """Return the ICC profiles by number of the optical path, without words and dates; what is no profile is left out."""
    items = file.dataset.get("OpticalPathSequence") or []
    found = {str(number): bare_profile(bytes(item.get("ICCProfile") or b"")) for number, item in enumerate(items)}
    return {number: profile for number, profile in found.items() if profile}


def _absent(levels: Sequence[SlideLevel], planes: int) -> tuple[str, ...]:
    """Return what the tiles that a sparse slide does not have were taken for: said, never silent."""
    absent = sum(level.wanted * planes - len(level.tiles) for level in levels)
    shown = "white" if levels[0].first.samples == RGB else "zero"
    return (f"{absent} tiles were not acquired and are {shown}",) if absent > 0 else ()


def _attributes(levels: Sequence[SlideLevel], profiles: Mapping[str, bytes], depths: Sequence[float]) -> JsonObject:
    first = levels[0].first
    header, dataset = first.header, first.dataset
    ids = {"study": header.study_uid, "series": header.series_uid, "frame_of_reference": header.frame_of_reference_uid}
    origin, orientation = place_on_slide(dataset)
    slide: JsonObject = {
        "levels": len(levels),
        "tile": list(first.tile),
        "orientation": list(orientation),
        "icc_profiles": {f"icc/{path}.icc": hashlib.sha256(profile).hexdigest() for path, profile in profiles.items()},
    }
    if len(depths) > 1:
        slide["focal_planes_mm"] = list(depths)
    if origin:
        slide["origin_mm"] = list(origin)
    return {
        "version": "1",
        "sop_class": header.sop_class_uid,
        "transfer_syntax": sorted({file.syntax for level in levels for file in level.files}),
        "identifiers": {name: f"urn:oid:{uid}" for name, uid in ids.items() if is_uid(uid)},
        "image_type": fit_words(header.image_type[:3]),
        "facts": fit_facts(header.facts),
        "geometry": {"verdict": "none", "reason": ON_GLASS.reason},
        "slide": slide,
    }
