"""What stored numbers mean: which dtype holds the rescaled values without loss, and how a plane gets there.

Integral slope and intercept whose results fit give int16 (Hounsfield units need no more); everything else becomes
float32, from which the stored integer is recovered by ``round((value - intercept) / slope)``. Values that nobody
rescales keep their stored type.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fairlead.convert.frames import Frame
from fairlead.errors import UnreadableImage

INT16: Final = np.dtype(np.int16)
FLOAT32: Final = np.dtype(np.float32)
SMALLEST: Final = float(np.finfo(np.float32).tiny)


class DoesNotFit(Exception):
    """A rescaled value lies outside int16; the conversion starts again with float32."""


@dataclass(frozen=True, slots=True)
class ValueScale:
    """How stored values become the values of the store."""

    dtype: np.dtype[Any]
    identity: bool

    def apply(self, stored: NDArray[Any], frame: Frame) -> NDArray[Any]:
        """Return ``stored * slope + intercept`` of this frame in the store's dtype.

        Raises
        ------
        DoesNotFit : an integer result outside the dtype.
        UnreadableImage : a result beyond what floating point can hold.
        """
        if self.identity:
            return stored.astype(self.dtype, copy=False)
        if self.dtype.kind == "f":
            return self._floating(stored, frame)
        slope, intercept = int(frame.slope), int(frame.intercept)
        ends = sorted((int(stored.min()) * slope + intercept, int(stored.max()) * slope + intercept))
        limits = np.iinfo(self.dtype)
        if ends[0] < limits.min or ends[1] > limits.max:
            raise DoesNotFit
        # Integer arithmetic wraps around modulo 2**16: exact, because both ends fit. A wider type would cost three copies.
        scaled = stored.astype(self.dtype)
        if slope != 1:
            scaled *= _wrapped(slope, self.dtype)
        scaled += _wrapped(intercept, self.dtype)
        return scaled

    def _floating(self, stored: NDArray[Any], frame: Frame) -> NDArray[Any]:
        try:
            with np.errstate(over="raise"):
                return (stored.astype(np.float64) * frame.slope + frame.intercept).astype(self.dtype)
        except FloatingPointError as error:
            raise UnreadableImage(f"RescaleSlope or RescaleIntercept makes values that {self.dtype} cannot hold.") from error


def _wrapped(number: int, dtype: np.dtype[Any]) -> Any:
    return np.array(number, np.int64).astype(dtype)


def value_scale(frames: Iterable[Frame], stored: np.dtype[Any], *, exact: bool = True) -> ValueScale:
    """Return the scale for frames of one image; ``exact`` false skips int16 after :class:`DoesNotFit`.

    Raises
    ------
    UnreadableImage : a slope that no value in floating point survives.
    """
    scales = {(frame.slope, frame.intercept) for frame in frames}
    if scales == {(1.0, 0.0)}:
        return ValueScale(stored.newbyteorder("="), identity=True)
    if any(abs(slope) < SMALLEST for slope, _ in scales):
        raise UnreadableImage("RescaleSlope is so small that all values would become one.")
    if stored.kind == "f":
        return ValueScale(stored.newbyteorder("="), identity=False)
    integral = all(slope.is_integer() and intercept.is_integer() and slope != 0 for slope, intercept in scales)
    small = stored.itemsize <= 2 and all(abs(slope) < 2**15 and abs(intercept) < 2**30 for slope, intercept in scales)
    return ValueScale(INT16 if exact and integral and small else FLOAT32, identity=False)
