"""Where the members of a frozen version are: DICOMweb addresses, or the copies to make from a public bucket with ``s5cmd``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from fairlead.errors import InvalidInput
from fairlead.index import Index, Members, MembersOf
from fairlead.records import CohortVersion, ImagingRecord, is_uid

BUCKET: Final = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[A-Za-z0-9/_.-]+(/\*)?")

UNFIT: Final = re.compile(r"[\s\x00-\x20\x7f\ud800-\udfff]")
"""What would end a line, or is no part of an address."""


def present_members(version: CohortVersion, index: Index) -> Members:
    """Return the members that the index still holds, with their patients and studies."""
    return index.members(MembersOf(frozenset(version.members)))


def dicomweb_manifest(version: CohortVersion, index: Index, base: str) -> Iterator[str]:
    """Yield the WADO-RS address of each DICOM series (PS3.18, 10.4.1.1.2).

    Raises
    ------
    InvalidInput : the base is no http(s) address.
    """
    if UNFIT.search(base) or not _is_service(base):
        raise InvalidInput("The address of a DICOMweb service is expected.", remedy="Give --base https://HOST/dicom-web.")
    found = present_members(version, index)
    for record_id, study in zip(found.ids, found.studies, strict=True):
        names = study.rpartition(":")[2], record_id.split(":", 2)[2]
        if all(map(is_uid, names)):  # an OME image has no such address
            yield f"{base.rstrip('/')}/studies/{names[0]}/series/{names[1]}"


def _is_service(base: str) -> bool:
    try:
        parts = urlsplit(base)
    except ValueError:  # half an IPv6 address
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc) and not parts.query and not parts.fragment


def s5cmd_manifest(version: CohortVersion, index: Index) -> Iterator[str]:
    """Yield one ``cp`` a member whose record tells a bucket, into a folder a series; the others are counted in a last comment."""
    read = listed = 0
    for record in index.read(version.members):
        read += 1
        address, name = bucket_of(record), record.id.split(":", 2)[2]
        if address is not None and is_uid(name):  # a line is a command: nothing else may stand in it
            listed += 1
            yield f"cp {address} ./{name}/"
    if read > listed:
        yield f"# {read - listed} members are in no public bucket"
    if len(version.members) > read:
        yield f"# {len(version.members) - read} members have left the index"


def bucket_of(record: ImagingRecord) -> str | None:
    """Return the address of a record's bytes in a public bucket, None where none is told or it is none that a shell may see."""
    dicom = record.community.dicom
    told = dicom.other.get("idc") if dicom is not None else None
    address = told.get("series_aws_url") if isinstance(told, dict) else None
    return address if isinstance(address, str) and BUCKET.fullmatch(address) else None
