"""Views that are one JSON document: which there are, of what, and as which media types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from fairlead.errors import NotFound
from fairlead.publish.addresses import Site
from fairlead.publish.cohorts_views import beacon_cohort, fhir_group
from fairlead.publish.gide import gide, micrate
from fairlead.publish.kernel import kernel_record
from fairlead.publish.schemaorg import croissant, datacite, schema_org
from fairlead.publish.views import DatasetNode, DistributionNode
from fairlead.records import DatasetRecord, Distribution, JsonObject

JSON: Final = "application/json"
JSON_LD: Final = "application/ld+json"
DOCUMENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "schemaorg": (JSON_LD, JSON),
    "croissant": (JSON_LD, JSON),
    "datacite": ("application/vnd.datacite.datacite+json", JSON),
    "ro-crate": (JSON_LD, JSON),
    "gide": (JSON_LD, JSON),
    "micrate": (JSON_LD, JSON),
    "fdo": (JSON,),
    "fhir": ("application/fhir+json", JSON),
    "beacon": (JSON,),
}
"""Profiles whose view is one JSON document, and its media types, the usual one first."""
OF_DATASET: Final[Mapping[str, Callable[..., JsonObject]]] = {
    "schemaorg": schema_org,
    "croissant": croissant,
    "datacite": datacite,
    "gide": gide,
    "fdo": kernel_record,
    "fhir": fhir_group,
    "beacon": beacon_cohort,
}


def document_of(node: DatasetNode | DistributionNode, profile: str, *, site: Site) -> JsonObject:
    """Return a dataset's or a distribution's view as a JSON document.

    Raises
    ------
    NotFound : it has no such view; the message names those it has.
    """
    if isinstance(node, DistributionNode):
        return _of_distribution(node.record, node.distribution, profile, site=site)
    if profile not in OF_DATASET:
        raise NotFound(f"A dataset has no view {profile!r}.", remedy=f"Use one of {', '.join(OF_DATASET)}, ro-crate.")
    return OF_DATASET[profile](node.record, site=site)


def _of_distribution(record: DatasetRecord, item: Distribution, profile: str, *, site: Site) -> JsonObject:
    if profile == "fdo":
        return kernel_record(record, site=site, item=item)
    if profile == "micrate" and item.store is not None:
        return micrate(record, item, site=site)
    raise NotFound(f"This distribution has no view {profile!r}.", remedy="Images have micrate and fdo, tables fdo.")
