"""From an address to what it describes, and from that to the bytes of one representation with its headers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from rdflib import PROF, RDF, RDFS, Graph, Literal, URIRef
from rdflib.namespace import DCTERMS

from fairlead import __version__
from fairlead.catalog.draft_graph import add_draft
from fairlead.catalog.entries import Entries, Entry, entry_graph, iri_of
from fairlead.catalog.json_ld import JSON_LD, json_ld_of
from fairlead.catalog.linkset import linkset_address
from fairlead.catalog.negotiation import TURTLE
from fairlead.catalog.rdf_xml import RDF_XML, rdf_xml_of
from fairlead.catalog.series import SeriesBook
from fairlead.catalog.turtle import Members, ntriples_of, turtle_of
from fairlead.catalog.writing import written_shapes
from fairlead.errors import NotFound
from fairlead.publish import (
    VIEWS,
    CatalogNode,
    DatasetNode,
    DatasetStore,
    DistributionNode,
    Node,
    RootNode,
    Site,
    document_of,
    render,
    serialise,
    shapes_graph,
)
from fairlead.publish.crate import CRATE, detached
from fairlead.publish.graph import EPOCH, Child, add_container, moment, new_graph
from fairlead.publish.vocabulary import DCAT, FDP
from fairlead.records import DatasetRecord, JsonObject

LINES: Final = {TURTLE: turtle_of, "application/n-triples": ntriples_of}
"""Syntaxes in which statements may be written one after the other."""
WRITERS: Final = {RDF_XML: rdf_xml_of, JSON_LD: json_ld_of}
"""Syntaxes that rdflib does not write of every graph."""
PAGE_SIZE: Final = 10
MAX_PAGE_SIZE: Final = 1000
SHACL_ROLE: Final = URIRef("http://www.w3.org/ns/dx/prof/role/validation")
SHACL: Final = URIRef("http://www.w3.org/ns/shacl#")


@dataclass(frozen=True, slots=True)
class Documents:
    """Every document of the catalogue, made from the store when it is asked for."""

    site: Site
    store: DatasetStore
    entries: Entries
    series: SeriesBook
    gateway: str = ""
    """Address of this centre's gateway, named in the catalogue (DCAT 3, 6.3.9 ``dcat:service``) so that hubs find it."""
    draft: bool = False
    """Whether records link to metadata records of their own (FDP 2.0 draft)."""

    def generation(self) -> str:
        """Return a mark that changes whenever anything that is visible changes."""
        return f"{self.store.generation()}/{self.entries.generation()}/{self.series.generation()}"

    def root(self) -> RootNode:
        """Return the FAIR Data Point's own node; it looks at the store, so that an outage shows here too."""
        self.store.generation()
        return RootNode(software_version=f"fairlead {__version__}")

    def catalog(self, identifier: str) -> CatalogNode:
        """Return the catalogue; raise NotFound for any other id."""
        if identifier != self.site.catalog_id:
            raise NotFound("There is no catalogue of that id.", remedy=f"The catalogue is {self.site.catalog}.")
        records = self.store.published()
        return CatalogNode(records, tuple((node.iri, node.title) for node in self.series.all(records)))

    def dataset(self, identifier: str) -> DatasetNode:
        """Return a dataset; raise NotFound or Withdrawn."""
        return DatasetNode(self.store.get(identifier))

    def distribution(self, identifier: str) -> DistributionNode:
        """Return a distribution, ``<dataset>.<distribution>``; raise NotFound or Withdrawn."""
        dataset, _, name = identifier.partition(".")
        record = self.store.get(dataset)
        for item in record.distributions:
            if item.id == name:
                return DistributionNode(record, item)
        raise NotFound("The dataset has no distribution of that id.", remedy=f"See {self.site.dataset(dataset)}.")

    def graph(self, node: Node, profile: str) -> Graph:
        """Return the view of a node with the written records below it; raise NotFound for a profile that does not exist."""
        graph = render(node, profile, site=self.site)
        if profile == "fdp" and isinstance(node, RootNode | CatalogNode):
            self._add_written(graph, self.site.root if isinstance(node, RootNode) else self.site.catalog)
            self._with_gateway(graph)
        return self._with_metadata(graph) if profile == "fdp" else graph

    def represented(self, node: Node, profile: str, media_type: str) -> bytes:
        """Return the bytes of a view of a node; the members of the catalogue, which are many, are written straight from the records."""
        write = LINES.get(media_type)
        if write is None or profile != "fdp" or not isinstance(node, CatalogNode):
            return represent(self.graph(node, profile), media_type)
        here, iri = URIRef(self.site.catalog), self.site.catalog
        graph = render(CatalogNode(()), profile, site=self.site)
        for predicate in (FDP.metadataModified, DCTERMS.modified):
            graph.set((here, predicate, moment(max((record.modified for record in node.records), default=EPOCH))))
        datasets = [(self.site.dataset(record.id), record.title) for record in node.records]
        members = [Members(f"{iri}/dataset/", iri, str(DCAT.dataset), (*datasets, *self.written_children(iri)))]
        if node.series:
            add_container(graph, f"{iri}/series/", member_of=here, relation=DCAT.resource, children=())
            members.append(Members(f"{iri}/series/", iri, str(DCAT.resource), node.series))
        return write(self._with_metadata(self._with_gateway(graph)), members)

    def _with_gateway(self, graph: Graph) -> Graph:
        """Name this centre's gateway in the record of the catalogue."""
        if self.gateway:
            graph.add((URIRef(self.site.catalog), DCAT.service, URIRef(f"{self.gateway.rstrip('/')}/v1/service")))
        return graph

    def _with_metadata(self, graph: Graph) -> Graph:
        """Add what the FDP 2.0 draft wants in a record; only for readers who set the draft."""
        return add_draft(graph) if self.draft else graph

    def _add_written(self, graph: Graph, parent: str) -> None:
        children = self.written_children(parent)
        if children:
            name, relation = ("catalog", FDP.metadataCatalog) if parent == self.site.root else ("dataset", DCAT.dataset)
            container = f"{parent.rstrip('/')}/{name}/"
            add_container(graph, container, member_of=URIRef(parent), relation=relation, children=children)

    def written_children(self, parent: str) -> list[Child]:
        """Return IRI and title of the published written records that are part of ``parent``."""
        return [(iri_of(self.site, kind, name), title) for kind, name, title in self.entries.children(parent)]

    def entry(self, entry: Entry, *, children: Sequence[Child] | None = None, stored: Graph | None = None) -> Graph:
        """Return a written record as it is served; ``children`` and its own statements (``stored``) when they are at hand."""
        listed = self.children(entry) if children is None else children
        return self._with_metadata(entry_graph(self.site, entry, listed, stored=stored))

    def written(self, entry: Entry, media_type: str, *, children: Sequence[Child], stored: Graph | None = None) -> bytes:
        """Return the bytes of a written record as it is served.

        In the two syntaxes that harvesters ask for, the members of its container are written straight from the rows: as statements in
        a graph, a thousand of them would cost a hundred times as much.
        """
        write, kind = LINES.get(media_type), entry.kind
        graph = self._with_metadata(entry_graph(self.site, entry, () if write else children, stored=stored))
        if write is None:
            return represent(graph, media_type)
        node = iri_of(self.site, kind.name, entry.id)
        return write(graph, () if kind.relation is None else (Members(f"{node}/{kind.child}/", node, str(kind.relation), children),))

    def children(self, entry: Entry) -> list[Child]:
        """Return IRI and title of the published children of a written record."""
        return [] if entry.kind.relation is None else self.written_children(iri_of(self.site, entry.kind.name, entry.id))

    def page(self, parent: str, relation: URIRef, *, page: int, size: int) -> Page:
        """Return some children of a record; what it costs follows the page, not the total.

        The exported datasets of the own catalogue come first, written records after them.
        """
        exported = self.store.count() if parent == self.site.catalog else int(parent == self.site.root)
        total = exported + self.entries.count(parent)
        first = page * size
        children: list[Child] = []
        if first < exported:
            own = [(self.site.catalog, self.site.catalog_title)]
            children += own if parent == self.site.root else self._exported(offset=first, limit=size)
        if len(children) < size:
            found = self.entries.children(parent, offset=max(0, first - exported), limit=size - len(children))
            children += [(iri_of(self.site, kind, name), title) for kind, name, title in found]
        return page_of(children, total, relation=relation, parent=URIRef(parent), page=page, size=size)

    def _exported(self, *, offset: int, limit: int) -> list[Child]:
        return [(self.site.dataset(record.id), record.title) for record in self.store.published(offset=offset, limit=limit)]

    def document(self, node: DatasetNode | DistributionNode, profile: str) -> JsonObject:
        """Return a view that is one JSON document; raise NotAcceptable when the node has none of that profile."""
        record = node.record
        if profile == "ro-crate" and isinstance(node, DatasetNode):
            crate = json.loads((self.store.folder(record.id, record.version) / CRATE).read_text())
            return detached(crate, root=self.site.data(record))
        return document_of(node, profile, site=self.site)

    def profile(self, profile: str) -> Graph:
        """Return a profile as one document: its PROF description, and the SHACL shapes that it leads to."""
        graph = Graph()
        graph += written_shapes() if profile == "written" else shapes_graph(profile)
        node, resource = URIRef(self.site.profile(profile)), URIRef(f"{self.site.profile(profile)}#shapes")
        graph.add((node, RDF.type, PROF.Profile))
        graph.add((node, DCTERMS.title, Literal(f"Fairlead {profile} profile")))
        graph.add((node, PROF.hasResource, resource))
        graph.add((resource, RDF.type, PROF.ResourceDescriptor))
        graph.add((resource, PROF.hasRole, SHACL_ROLE))
        graph.add((resource, PROF.hasArtifact, node))
        graph.add((resource, DCTERMS.conformsTo, SHACL))
        return graph


@dataclass(frozen=True, slots=True)
class Page:
    """Some children of a record, and where the other pages are (FDP reference: ``/page/{child}``)."""

    graph: Graph
    links: Mapping[str, str]


def page_of(children: Sequence[Child], total: int, *, relation: URIRef, parent: URIRef, page: int, size: int) -> Page:
    """Return the children of one page as links with their labels, and the query of the other pages; there is always at least one."""
    last = max(0, (total - 1) // size)
    part = new_graph()
    for iri, title in children:
        part.add((parent, relation, URIRef(iri)))
        part.add((URIRef(iri), RDFS.label, Literal(title)))
    at = {"first": 0, "last": last}
    if page > 0:
        at["prev"] = min(page - 1, last)
    if page < last:
        at["next"] = page + 1
    return Page(part, {name: urlencode({"page": number, "size": size}) for name, number in at.items()})


def etag_of(body: bytes) -> str:
    """Return a strong ETag: the digest of the bytes."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def represent(graph: Graph, media_type: str) -> bytes:
    """Return the bytes of an RDF representation; a graph with lists, such as shapes, is written by rdflib, which knows their short form."""
    if media_type in WRITERS:
        return WRITERS[media_type](graph)
    if media_type == TURTLE and (None, RDF.first, None) in graph:
        return serialise(graph, media_type)
    return LINES[media_type](graph) if media_type in LINES else serialise(graph, media_type)


def signposts(site: Site, record: DatasetRecord, *, profile: str) -> list[str]:
    """Return the Signposting links of a dataset's landing page (FAIR Signposting profile, level 1)."""
    here = site.dataset(record.id)
    links = [
        f'<{site.pid(record) or here}>; rel="cite-as"',
        f'<{record.license}>; rel="license"',
        '<https://schema.org/Dataset>; rel="type"',
    ]
    links.append('<https://schema.org/AboutPage>; rel="type"')
    links += [f'<{here}?format={name}>; rel="describedby"; type="{kind}"' for name, kind in DESCRIBED_BY]
    links.append(f'<{linkset_address(site, record.id)}>; rel="linkset"; type="application/linkset+json"')
    links.append(f'<{site.profile(profile)}>; rel="profile"')
    links += [f'<{creator.iri}>; rel="author"' for creator in record.creators if creator.iri]
    if record.access_rights == "public":
        links += [f'<{site.data(record, item.path)}>; rel="item"; type="{item.media_type}"' for item in record.distributions[:MAX_ITEMS]]
    return links


DESCRIBED_BY: Final = (("ttl", "text/turtle"), ("jsonld", "application/ld+json"))
MAX_ITEMS: Final = 20
"""Header lines stay short; the record itself lists every distribution."""
PROFILES: Final = tuple(VIEWS)
