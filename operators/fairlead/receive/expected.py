"""How many instances a series will have, where its headers say so (PS3.3 C.7.6.1, C.8.9.1, C.7.6.6)."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

logger = logging.getLogger(__name__)
ENHANCED: Final = frozenset(
    f"1.2.840.10008.5.1.4.1.1.{arc}"
    for arc in ("2.1", "2.2", "4.1", "4.3", "4.4", "6.2", "6.3", "12.1.1", "12.2.1", "13.1.1", "13.1.2", "13.1.3", "128.1", "130")
)
"""Enhanced CT, MR, US volume, XA, XRF, X-ray 3D, tomosynthesis and PET: one object holds the whole series."""
NUMBERS: Final = ("ImagesInAcquisition", "NumberOfTemporalPositions", "NumberOfSlices", "NumberOfTimeSlices", "NumberOfFrames")


def expected_instances(path: Path) -> int:
    """Return the number of instances that one object announces for its series, 0 when it announces none that can be used."""
    from pydicom import dcmread

    try:
        image = dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID", *NUMBERS], force=True)
        numbers = {name: int(image.get(name) or 0) for name in NUMBERS}
        enhanced = str(image.get("SOPClassUID", "")) in ENHANCED
    except Exception as error:  # a header that arrived may hold anything: then it announces nothing
        logger.info("a header announces no usable number of images (%s)", type(error).__name__)
        return 0
    if enhanced and numbers["NumberOfFrames"] > 1:
        return 1
    if numbers["NumberOfSlices"] > 0 and numbers["NumberOfTimeSlices"] > 0:
        return numbers["NumberOfSlices"] * numbers["NumberOfTimeSlices"]
    return max(numbers["ImagesInAcquisition"], 0) * max(numbers["NumberOfTemporalPositions"], 1)
