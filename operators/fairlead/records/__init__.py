"""The shapes that cross rooms: frozen, closed, and the only thing one room may assume about another.

Coordinates are DICOM patient coordinates (LPS, mm, centre of the first pixel). Arrays are named by their index order
(``zyx``). Times are timezone-aware UTC; dates of care are plain dates as the header states them.
"""

from fairlead.records.base import NAME_PATTERN, UID_PATTERN, JsonObject, Name, Record, Scalar, Sha256, Uid, Value, is_uid
from fairlead.records.cohorts import CohortSummary, CohortVersion, Counts, Grain
from fairlead.records.datasets import Agent, Approval, DatasetRecord, Distribution, Tally
from fairlead.records.imaging import Community, Concept, Core, DicomMetadata, Finding, Geometry, ImagingRecord, OmeMetadata, Refusal, Source
from fairlead.records.received import Instance, ReceivedFile, ReceivedSeries, Route, SeriesState
from fairlead.records.stores import (
    ConvertReport,
    DeidentifyReport,
    GeometryVerdict,
    Quarantined,
    SourceRefusal,
    StoreNote,
    StoreReport,
    Validity,
)

__all__ = [
    "NAME_PATTERN",
    "UID_PATTERN",
    "Agent",
    "Approval",
    "CohortSummary",
    "CohortVersion",
    "Community",
    "Concept",
    "ConvertReport",
    "Core",
    "Counts",
    "DatasetRecord",
    "DeidentifyReport",
    "DicomMetadata",
    "Distribution",
    "Finding",
    "Geometry",
    "GeometryVerdict",
    "Grain",
    "ImagingRecord",
    "Instance",
    "JsonObject",
    "Name",
    "OmeMetadata",
    "Quarantined",
    "ReceivedFile",
    "ReceivedSeries",
    "Record",
    "Refusal",
    "Route",
    "Scalar",
    "SeriesState",
    "Sha256",
    "Source",
    "SourceRefusal",
    "StoreNote",
    "StoreReport",
    "Tally",
    "Uid",
    "Validity",
    "Value",
    "is_uid",
]
