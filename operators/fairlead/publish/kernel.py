"""FAIR Digital Object kernel records: what a handle of a dataset or of an image would say of itself.

Attributes are named and typed as in the Helmholtz Kernel Information Profile; ``pid`` is the identifier that the centre has configured
(``catalog.pid``), and empty where there is none. Registering the record is the centre's. Source: RDA PID Kernel Information
recommendation; the profile 21.T11148/076759916209e5d62bd5.
"""

from __future__ import annotations

from typing import Final

from fairlead.publish.addresses import Site
from fairlead.publish.vocabulary import ZARR_MEDIA_TYPE
from fairlead.records import DatasetRecord, Distribution, JsonObject

PROFILE: Final = "21.T11148/076759916209e5d62bd5"
TYPES: Final = {
    "kernelInformationProfile": PROFILE,
    "digitalObjectType": "21.T11148/1c699a5d1b4ad3ba4956",
    "digitalObjectLocation": "21.T11148/b8457812905b83046284",
    "digitalObjectPolicy": "21.T11148/8074aed799118ac263ad",
    "etag": "21.T11148/92e200311a56800b3e47",
    "dateModified": "21.T11148/397d831aa3a9d18eb52c",
    "version": "21.T11148/c692273deb2772da307f",
    "wasDerivedFrom": "21.T11148/c6e4c19f294ee6f41b1e",
}
"""Type identifiers of the attributes that the profile registers."""


def kernel_record(record: DatasetRecord, *, site: Site, item: Distribution | None = None) -> JsonObject:
    """Return the kernel record of a dataset's version, or of one of its distributions."""
    here = site.distribution(record, item) if item is not None else site.dataset(record.id)
    location = site.data(record, item.path) if item is not None and record.access_rights == "public" else here
    values = {
        "kernelInformationProfile": PROFILE,
        "digitalObjectType": item.media_type if item is not None else "http://www.w3.org/ns/dcat#Dataset",
        "digitalObjectLocation": location,
        "digitalObjectPolicy": record.license,
        "etag": item.sha256 if item is not None else record.members_sha256,
        "dateCreated": record.issued.isoformat(timespec="seconds"),
        "dateModified": record.modified.isoformat(timespec="seconds"),
        "version": str(record.version),
        "wasDerivedFrom": site.pid(record) or site.dataset(record.id) if item is not None else site.series(record),
    }
    attributes = [_attribute(name, value) for name, value in values.items()]
    if item is None:
        attributes += [_attribute("hasMetadata", f"{here}?format=ttl")]
        attributes += [_attribute("hasPart", site.pid(record, part) or site.distribution(record, part)) for part in record.distributions]
    elif item.media_type == ZARR_MEDIA_TYPE:
        attributes += [_attribute("isMetadataFor", here), _attribute("topic", item.conforms_to or "")]
        if item.store is not None and item.store.preview and record.access_rights == "public":
            attributes.append(_attribute("locationPreview", site.data(record, item.store.preview)))
    return {"pid": site.pid(record, item) or "", "record": attributes}


def _attribute(name: str, value: str) -> JsonObject:
    return {"key": TYPES.get(name, name), "name": name, "value": value}
