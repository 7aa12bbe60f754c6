"""What leaves the front door: instances, series and files with their route."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from fairlead.records.base import Name, Record, Sha256, Uid


class Route(Record):
    """Who sent it and where it belongs; kept in the ledger and a sidecar, never written into a DICOM file."""

    project: Name
    center: Name
    calling_ae: str = ""
    called_ae: str = ""
    peer: str = ""
    tls_subject: str | None = None
    deidentify_profile: str | None = None
    """The only profile that objects of this route may be published under, where the route names one."""
    door: Literal["dimse", "stow", "ingest", "watch"] = "ingest"


class Instance(Record):
    """One stored SOP instance. ``path`` is relative to the archive root, made from hashes only, never from peers' text."""

    sop_instance_uid: Uid
    sop_class_uid: Uid
    transfer_syntax_uid: Uid
    sha256: Sha256
    size_bytes: int
    path: str


class SeriesState(StrEnum):
    """Life of a series in the ledger."""

    RECEIVING = "receiving"
    SETTLING = "settling"
    COMPLETE = "complete"
    INDEXED = "indexed"
    QUARANTINED = "quarantined"


class ReceivedSeries(Record):
    """A completed series, as it leaves the front door.

    ``generation`` is the sha256 over the sorted ``(SOPInstanceUID, sha256)`` pairs: the same instances give the same
    generation, whatever the order or the number of times they were sent.
    """

    study_uid: Uid
    series_uid: Uid
    generation: Sha256
    instances: tuple[Instance, ...]
    route: Route
    first_received_at: datetime
    last_received_at: datetime


class ReceivedFile(Record):
    """One OME file (or OME-Zarr folder) seen by the storage watcher; read in place unless configured otherwise.

    ``path`` is absolute; ``name`` is the path inside the watched root; ``sha256`` covers the file, or for a folder
    the sorted list of (relative name, sha256).
    """

    path: str
    name: str
    sha256: Sha256
    size_bytes: int
    route: Route
    seen_at: datetime
