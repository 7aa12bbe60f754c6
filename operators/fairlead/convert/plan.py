"""What a store will hold, said before any voxel is read: axes, sizes, sampling, channels, and a source of voxels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from fairlead.records import GeometryVerdict, JsonObject

AXIS_ORDER: Final = "tczyx"
MIXED: Final = ("0000FF", "00FF00", "FF0000", "FF00FF", "00FFFF", "FFFF00", "FFFFFF")
"""Blue, green, red as fluorescence usually runs, then mixtures."""
AXIS_TYPES: Final[Mapping[str, str]] = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}


class VoxelSource(Protocol):
    """Gives voxels slab by slab; nothing outside the asked slab is held."""

    def read(self, level: int, lead: tuple[int, ...], start: int, stop: int) -> NDArray[Any]:
        """Return planes ``start:stop`` along the first space axis of ``level`` at index ``lead`` of the other axes."""
        ...


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of level 0. ``scale`` is the sample distance in ``unit``; ``unit`` None means that nobody stated it."""

    name: str
    size: int
    scale: float = 1.0
    unit: str | None = None
    origin: float = 0.0
    orientation: str | None = None

    @property
    def is_space(self) -> bool:
        """Whether this axis is one of z, y, x."""
        return self.name in "zyx"


@dataclass(frozen=True, slots=True)
class Channel:
    """How one channel is shown. ``window`` is (start, end) in stored values, None: taken from the values."""

    label: str | None = None
    color: str = "FFFFFF"
    window: tuple[float, float] | None = None
    inverted: bool = False


def default_color(number: int, count: int) -> str:
    """Return a colour for a channel without one: white alone, else colours that can be told apart when they are mixed.

    >>> default_color(0, 1), default_color(0, 2), default_color(1, 2)
    ('FFFFFF', '0000FF', '00FF00')
    """
    return "FFFFFF" if count == 1 else MIXED[number % len(MIXED)]


def rgb_channels(dtype: np.dtype[Any]) -> tuple[Channel, ...]:
    """Return red, green and blue over the whole range of an integer type; one window for all keeps the colours true."""
    window = (0.0, float(np.iinfo(dtype).max)) if dtype.kind == "u" else None
    return tuple(Channel(label, color, window) for label, color in (("Red", "FF0000"), ("Green", "00FF00"), ("Blue", "0000FF")))


@dataclass(frozen=True, slots=True)
class TileLevel:
    """One resolution of tiles that stay as they are encoded: where each lies in the chunk grid, and how to get its bytes.

    ``encoded`` raises when a tile does not decode to ``tile``, so that no damaged chunk is ever written.
    """

    matrix: tuple[int, int]
    tile: tuple[int, int]
    places: tuple[tuple[int, int], ...]
    encoded: Callable[[tuple[int, int]], bytes]
    colorspace: str


@dataclass(frozen=True, slots=True)
class KeptArray:
    """A level in Zarr v2 whose chunk files stay as they are: where they lie, how they are called, and the v3 codec that reads them."""

    array: Any
    folder: Path
    separator: str
    codec: Any


@dataclass(frozen=True, slots=True)
class ImagePlan:
    """Everything the writer needs. ``levels`` lists space shapes when the source brings its own pyramid, else is empty.

    ``level_steps`` and ``level_shifts`` are the space scales and translations that such levels state; ``level_count`` is
    how many levels to compute otherwise. ``bands`` reads a plane in bands of rows with all channels at once, as slides
    are stored. With ``image_label`` the values are labels; ``labels`` are written into the store beside the image, and
    ``files`` go into it as they are, ``late`` once every voxel is written. With ``tiles`` or ``kept`` the chunks are
    those of the source.
    """

    name: str
    source: str
    kind: str
    axes: tuple[Axis, ...]
    dtype: np.dtype[Any]
    voxels: VoxelSource
    geometry: GeometryVerdict
    channels: tuple[Channel, ...] = (Channel(),)
    levels: tuple[tuple[int, ...], ...] = ()
    attributes: JsonObject = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    instances: int = 1
    greyscale: bool = True
    level_steps: tuple[tuple[float, ...], ...] = ()
    level_shifts: tuple[tuple[float, ...], ...] = ()
    level_count: int | None = None
    bands: bool = False
    image_label: JsonObject | None = None
    labels: tuple[ImagePlan, ...] = ()
    image_index: int | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    late: Mapping[str, Callable[[], bytes]] = field(default_factory=dict)
    tiles: tuple[TileLevel, ...] = ()
    kept: tuple[KeptArray, ...] = ()
    license: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of level 0 in axis order."""
        return tuple(axis.size for axis in self.axes)

    @property
    def space(self) -> tuple[int, ...]:
        """Sizes of the space axes of level 0."""
        return tuple(axis.size for axis in self.axes if axis.is_space)

    @property
    def slab_axes(self) -> str:
        """Names of the axes of what :meth:`VoxelSource.read` returns; the first is the one that slabs are cut along."""
        names = "".join(axis.name for axis in self.axes)
        if self.bands:
            return "ycx" if "c" in names else "yx"
        return "".join(name for name in names if name in "zyx")

    @property
    def lead_axes(self) -> tuple[Axis, ...]:
        """The axes that are read one index at a time."""
        return tuple(axis for axis in self.axes if axis.name not in self.slab_axes)

    @property
    def lead(self) -> tuple[int, ...]:
        """Sizes of :attr:`lead_axes`."""
        return tuple(axis.size for axis in self.lead_axes)

    def level_shape(self, space: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of a level in axis order from its space shape."""
        return (*(axis.size for axis in self.axes if not axis.is_space), *space)


@dataclass(frozen=True, slots=True)
class CollectionPlan:
    """Several images in one store, such as a plate: NGFF metadata by group path ("" is the root), images by path."""

    name: str
    source: str
    kind: str
    groups: Mapping[str, JsonObject]
    images: Mapping[str, ImagePlan]
    dropped: tuple[str, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    license: str = ""


@dataclass(frozen=True, slots=True)
class CopyPlan:
    """A valid store at ``root`` that is copied without encoding it again; the rest is what its report says."""

    name: str
    source: str
    kind: str
    root: Path
    axes: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    levels: int
    labels: tuple[str, ...]
    instances: int
    image_index: int | None
    dropped: tuple[str, ...]
    license: str = ""


type StorePlan = ImagePlan | CollectionPlan | CopyPlan
