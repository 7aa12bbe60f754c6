"""FAIR Signposting level 2: every typed link of a dataset in one document. Source: RFC 9264, signposting.org FAIR profile."""

from __future__ import annotations

from typing import Any

from fairlead.publish import AccessRights, Site
from fairlead.records import DatasetRecord, JsonObject


def linkset_json(site: Site, record: DatasetRecord) -> JsonObject:
    """Return the links from the landing page, and from each public item back to it."""
    here = site.dataset(record.id)
    page: JsonObject = {
        "anchor": here,
        "cite-as": [{"href": site.pid(record) or here}],
        "type": [{"href": "https://schema.org/Dataset"}, {"href": "https://schema.org/AboutPage"}],
        "license": [{"href": record.license}],
        "author": [{"href": creator.iri} for creator in record.creators if creator.iri],
        "describedby": [{"href": f"{here}?{query}", "type": kind, "profile": profile} for query, kind, profile in _descriptions(site)],
        "linkset": [{"href": linkset_address(site, record.id), "type": "application/linkset+json"}],
    }
    if record.access_rights != AccessRights.PUBLIC:
        return {"linkset": [page]}
    items = [(site.data(record, item.path), item.media_type) for item in record.distributions]
    page["item"] = [{"href": address, "type": kind} for address, kind in items]
    back = [{"anchor": address, "collection": [{"href": here, "type": "text/html"}]} for address, _ in items]
    return {"linkset": [page, *back]}


def linkset_address(site: Site, dataset: str) -> str:
    """Return where the linkset of a dataset is."""
    return f"{site.base}/.well-known/linkset/dataset/{dataset}"


def _descriptions(site: Site) -> list[tuple[str, str, str]]:
    return [
        ("format=ttl", "text/turtle", site.profile("fdp")),
        ("format=jsonld", "application/ld+json", site.profile("fdp")),
        ("format=ttl&profile=dcat-ap", "text/turtle", "http://data.europa.eu/r5r/"),
        ("profile=schemaorg", "application/ld+json", "https://schema.org/"),
        ("profile=datacite", "application/vnd.datacite.datacite+json", "http://datacite.org/schema/kernel-4"),
        ("profile=croissant", "application/ld+json", "http://mlcommons.org/croissant/1.0"),
        ("profile=ro-crate", "application/ld+json", "https://w3id.org/ro/crate/1.2"),
        ("format=ttl&profile=healthdcat-ap", "text/turtle", "http://healthdataportal.eu/ns/health#"),
        ("format=ttl&profile=imaging", "text/turtle", site.profile("imaging")),
        ("profile=gide", "application/ld+json", "https://w3id.org/gide/shacl/"),
    ]


def linkset_text(document: dict[str, Any]) -> str:
    """Return the same links in the syntax of the Link header."""
    lines = []
    for context in document["linkset"]:
        for relation, targets in context.items():
            for target in targets if relation != "anchor" else ():
                kind = f'; type="{target["type"]}"' if "type" in target else ""
                lines.append(f'<{target["href"]}>; rel="{relation}"{kind}; anchor="{context["anchor"]}"')
    return ",\n".join(lines) + "\n"
