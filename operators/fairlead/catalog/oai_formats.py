"""The formats that OAI-PMH hands out: Dublin Core, DataCite 4 and DCAT as RDF/XML.

Sources: oai_dc; DataCite Metadata Schema 4.5 (https://schema.datacite.org/meta/kernel-4/); DCAT 3 in RDF/XML.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lxml import etree
from rdflib import DCTERMS, FOAF, Graph, URIRef

from fairlead.catalog.corpus import Item
from fairlead.catalog.documents import Documents
from fairlead.catalog.literals import clean
from fairlead.catalog.rdf_xml import rdf_xml_of
from fairlead.publish import DatasetNode
from fairlead.publish.graph import concepts
from fairlead.publish.schemaorg import datacite
from fairlead.publish.vocabulary import DCAT

OAI_DC: Final = "http://www.openarchives.org/OAI/2.0/oai_dc/"
DC: Final = "http://purl.org/dc/elements/1.1/"
XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
DATACITE: Final = "http://datacite.org/schema/kernel-4"
type Write = Callable[[etree._Element, Item, Documents], None]


@dataclass(frozen=True, slots=True)
class Format:
    """One metadata format: where its schema is, and how an item is written in it."""

    schema: str
    namespace: str
    write: Write


def _write_dublin_core(parent: etree._Element, item: Item, documents: Documents) -> None:
    dc = etree.SubElement(parent, f"{{{OAI_DC}}}dc", nsmap={"oai_dc": OAI_DC, "dc": DC})
    dc.set(f"{{{XSI}}}schemaLocation", f"{OAI_DC} http://www.openarchives.org/OAI/2.0/oai_dc.xsd")
    for name, value in _dublin_core(item):
        etree.SubElement(dc, f"{{{DC}}}{name}").text = clean(value)


def _dublin_core(item: Item) -> list[tuple[str, str]]:
    if item.record is None:
        return _dublin_core_of(_written(item), item.iri)
    record = item.record
    pairs = [("title", record.title), ("identifier", item.iri), ("description", record.description), ("type", "Dataset")]
    pairs += [("creator", creator.name) for creator in record.creators]
    pairs += [("publisher", record.publisher.name), ("date", record.issued.date().isoformat()), ("language", record.language)]
    pairs += [("subject", concept.label or concept.raw) for concept in concepts(record)] + [("subject", word) for word in record.keywords]
    pairs += [("format", kind) for kind in sorted({part.media_type for part in record.distributions})]
    return [*pairs, ("rights", record.license), ("rights", record.access_rights)]


def _dublin_core_of(graph: Graph, iri: str) -> list[tuple[str, str]]:
    node = URIRef(iri)
    pairs = [("identifier", iri), ("type", "Dataset")]
    plain = (("title", DCTERMS.title), ("description", DCTERMS.description), ("subject", DCAT.keyword), ("rights", DCTERMS.license))
    for name, predicate in plain:
        pairs += sorted((name, str(value)) for value in graph.objects(node, predicate))
    for name, predicate in (("publisher", DCTERMS.publisher), ("creator", DCTERMS.creator)):
        pairs += sorted((name, str(graph.value(agent, FOAF.name) or agent)) for agent in graph.objects(node, predicate))
    return pairs


def _written(item: Item) -> Graph:
    return item.entry.graph() if item.entry else Graph()


def _write_datacite(parent: etree._Element, item: Item, documents: Documents) -> None:
    known = datacite(item.record, site=documents.site) if item.record is not None else _datacite_of(item)
    root = etree.SubElement(parent, f"{{{DATACITE}}}resource", nsmap={None: DATACITE})
    root.set(f"{{{XSI}}}schemaLocation", f"{DATACITE} https://schema.datacite.org/meta/kernel-4/metadata.xsd")
    for name, text, attributes, inside in _datacite_rows(known):
        place = root if inside is None else _group(root, inside)
        element = etree.SubElement(place, f"{{{DATACITE}}}{name}", {key: clean(value) for key, value in attributes.items()})
        element.text = clean(text)
    for creator in known["creators"]:
        entry = etree.SubElement(_group(root, "creators"), f"{{{DATACITE}}}creator")
        etree.SubElement(entry, f"{{{DATACITE}}}creatorName", {"nameType": "Organizational"}).text = clean(creator["name"])


def _datacite_rows(known: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, str], str | None]]:
    """Yield name, text, attributes and group of each element, in the schema's order."""
    (identifier,) = known.get("identifiers", [{"identifierType": "DOI", "identifier": known.get("doi", "")}])
    yield "identifier", identifier["identifier"], {"identifierType": identifier["identifierType"]}, None
    for title in known["titles"]:
        yield "title", title["title"], {}, "titles"
    yield "publisher", known["publisher"]["name"], {}, None
    yield "publicationYear", known["publicationYear"], {}, None
    yield "resourceType", known["types"]["resourceType"], {"resourceTypeGeneral": "Dataset"}, None
    for subject in known["subjects"]:
        yield "subject", subject["subject"], {"valueURI": subject["valueUri"]}, "subjects"
    for date in known["dates"]:
        yield "date", date["date"], {"dateType": date["dateType"]}, "dates"
    yield "version", known["version"], {}, None
    for rights in known["rightsList"]:
        yield "rights", "", {"rightsURI": rights["rightsUri"]}, "rightsList"
    for words in known["descriptions"]:
        yield "description", words["description"], {"descriptionType": "Abstract"}, "descriptions"


def _group(root: etree._Element, name: str) -> etree._Element:
    found = root.find(f"{{{DATACITE}}}{name}")
    return found if found is not None else etree.SubElement(root, f"{{{DATACITE}}}{name}")


def _datacite_of(item: Item) -> dict[str, Any]:
    pairs = dict(reversed(_dublin_core_of(_written(item), item.iri)))
    who = pairs.get("publisher", "(not stated)")
    return {
        "identifiers": [{"identifier": item.iri, "identifierType": "URL"}],
        "titles": [{"title": pairs.get("title", item.id)}],
        "creators": [{"name": pairs.get("creator", who)}],
        "publisher": {"name": who},
        "publicationYear": str(item.changed_at.year),
        "types": {"resourceType": "Dataset"},
        "subjects": [],
        "dates": [{"date": item.changed_at.date().isoformat(), "dateType": "Updated"}],
        "version": str(item.entry.revision if item.entry else 1),
        "rightsList": [{"rightsUri": pairs["rights"]}] if "rights" in pairs else [],
        "descriptions": [{"description": pairs["description"]}] if "description" in pairs else [],
    }


def _write_dcat(parent: etree._Element, item: Item, documents: Documents) -> None:
    graph = documents.graph(DatasetNode(item.record), "dcat-ap") if item.record is not None else _written(item)
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    parent.append(etree.fromstring(rdf_xml_of(graph), parser))


FORMATS: Final[Mapping[str, Format]] = {
    "oai_dc": Format("http://www.openarchives.org/OAI/2.0/oai_dc.xsd", OAI_DC, _write_dublin_core),
    "oai_datacite": Format("https://schema.datacite.org/meta/kernel-4/metadata.xsd", DATACITE, _write_datacite),
    "dcat": Format("https://www.w3.org/ns/dcat3.rdf", str(DCAT), _write_dcat),
}
"""Every format by its ``metadataPrefix``."""
