"""Which modality a SOP class is for, where the standard leaves no choice, to notice a header that contradicts itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydicom import uid

EXPECTED: Final[Mapping[str, frozenset[str]]] = {
    str(sop_class): frozenset(modalities.split())
    for sop_class, modalities in (
        (uid.CTImageStorage, "CT"),
        (uid.EnhancedCTImageStorage, "CT"),
        (uid.MRImageStorage, "MR"),
        (uid.EnhancedMRImageStorage, "MR"),
        (uid.PositronEmissionTomographyImageStorage, "PT"),
        (uid.EnhancedPETImageStorage, "PT"),
        (uid.NuclearMedicineImageStorage, "NM"),
        (uid.UltrasoundImageStorage, "US IVUS"),
        (uid.UltrasoundMultiFrameImageStorage, "US IVUS"),
        (uid.VLWholeSlideMicroscopyImageStorage, "SM"),
        (uid.SegmentationStorage, "SEG"),
        (uid.RTStructureSetStorage, "RTSTRUCT"),
        (uid.RTDoseStorage, "RTDOSE"),
        (uid.RTPlanStorage, "RTPLAN"),
        (uid.DigitalMammographyXRayImageStorageForPresentation, "MG"),
        (uid.DigitalXRayImageStorageForPresentation, "DX PX IO"),
    )
}
"""PS3.3 section A: the defined modality of an IOD."""


def contradicts(modality: str, sop_class: str) -> bool:
    """Return whether a stated modality is another than the SOP class allows.

    >>> contradicts("MR", "1.2.840.10008.5.1.4.1.1.2"), contradicts("CT", "1.2.840.10008.5.1.4.1.1.2"), contradicts("", "1.2.3")
    (True, False, False)
    """
    expected = EXPECTED.get(sop_class)
    return bool(modality) and expected is not None and modality.upper() not in expected
