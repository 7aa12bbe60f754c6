"""What the catalogue says of itself as linked data: VoID, the SPARQL service's description, and everything public as one file.

Source: VoID (W3C Interest Group Note, sections 2 and 6: ``/.well-known/void``); SPARQL 1.1 Service Description, section 2.
"""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import Response
from rdflib import DCTERMS, FOAF, RDF, VOID, BNode, Graph, Literal, Namespace, URIRef

from fairlead.catalog.corpus import Corpus
from fairlead.catalog.documents import Documents, etag_of, represent
from fairlead.catalog.negotiation import HTML, OFFERED, choose, is_fresh
from fairlead.catalog.problems import NotAcceptable
from fairlead.publish import Site
from fairlead.publish.graph import new_graph, whole
from fairlead.publish.vocabulary import DCAT, FDP, HEALTH, PREFIXES

SD: Final = Namespace("http://www.w3.org/ns/sparql-service-description#")
FORMATS: Final = Namespace("http://www.w3.org/ns/formats/")
RESULTS: Final = ("SPARQL_Results_JSON", "SPARQL_Results_XML", "SPARQL_Results_CSV", "Turtle", "N-Triples")
SYNTAXES: Final = ("Turtle", "JSON-LD", "RDF_XML", "N-Triples")
USED: Final = (DCAT, FDP, HEALTH)
RDF_ONLY: Final = tuple(name for name in OFFERED if name != HTML)


def add_void_routes(app: FastAPI, documents: Documents, corpus: Corpus) -> None:
    """Add the description and the dump."""

    @app.api_route("/.well-known/void", methods=["GET", "HEAD"])
    def void(request: Request) -> Response:
        """Return the VoID description of everything public here, with the SPARQL service's."""
        return answer(request, void_graph(documents.site, triples_of(corpus)) + service_graph(documents.site, triples_of(corpus)))

    @app.api_route("/dump.nt", methods=["GET", "HEAD"])
    def dump(request: Request) -> Response:
        """Return everything public, harvested records included, as N-Triples."""
        body = corpus.ntriples()
        headers = {"ETag": etag_of(body), "Cache-Control": "no-cache"}
        if is_fresh(request.headers.get("if-none-match"), headers["ETag"]):
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers, media_type="application/n-triples")


def triples_of(corpus: Corpus) -> int:
    """Return how many statements are public."""
    return corpus.ntriples().count(b"\n")


def answer(request: Request, graph: Graph) -> Response:
    """Answer with a graph, Turtle for browsers."""
    media_type = choose(request.headers.get("accept"), request.query_params.get("format"), offered=RDF_ONLY)
    if media_type is None and HTML in (request.headers.get("accept") or ""):
        media_type = RDF_ONLY[0]
    if media_type is None:
        raise NotAcceptable(f"This is there as {', '.join(RDF_ONLY)}.", remedy="Name one of them in Accept.")
    body = represent(graph, media_type)
    return Response(body, headers={"Vary": "Accept", "Cache-Control": "no-cache", "ETag": etag_of(body)}, media_type=media_type)


def void_graph(site: Site, triples: int) -> Graph:
    """Return the VoID description: where to begin, where to ask, where everything is in one file."""
    graph, document, node = new_graph(), URIRef(f"{site.base}/.well-known/void"), URIRef(f"{site.base}/.well-known/void#all")
    graph.bind("void", VOID)
    graph.add((document, RDF.type, VOID.DatasetDescription))
    graph.add((document, FOAF.primaryTopic, node))
    graph.add((document, DCTERMS.title, Literal(f"What is public at {site.words.title}")))
    graph.add((node, RDF.type, VOID.Dataset))
    graph.add((node, DCTERMS.title, Literal(site.words.title)))
    graph.add((node, DCTERMS.description, Literal(site.words.description)))
    graph.add((node, DCTERMS.license, URIRef(site.words.license)))
    graph.add((node, FOAF.homepage, URIRef(site.root)))
    graph.add((node, VOID.rootResource, URIRef(site.root)))
    graph.add((node, VOID.uriSpace, Literal(f"{site.base}/")))
    graph.add((node, VOID.sparqlEndpoint, URIRef(f"{site.base}/sparql")))
    for dump in (f"{site.base}/dump.nt", f"{site.catalog}?profile=dcat-ap&format=ttl"):
        graph.add((node, VOID.dataDump, URIRef(dump)))
    graph.add((node, VOID.triples, whole(triples)))
    for vocabulary in (*map(str, USED), PREFIXES["dct"]):
        graph.add((node, VOID.vocabulary, URIRef(vocabulary)))
    for syntax in SYNTAXES:
        graph.add((node, VOID.feature, FORMATS[syntax]))
    return graph


def service_graph(site: Site, triples: int) -> Graph:
    """Return the description of the SPARQL service: queries only, one default graph."""
    graph, node = new_graph(), URIRef(f"{site.base}/sparql")
    graph.bind("sd", SD)
    graph.add((node, RDF.type, SD.Service))
    graph.add((node, SD.endpoint, node))
    graph.add((node, SD.supportedLanguage, SD.SPARQL11Query))
    for form in RESULTS:
        graph.add((node, SD.resultFormat, FORMATS[form]))
    held, default = BNode("dataset"), BNode("graph")
    graph.add((node, SD.defaultDataset, held))
    graph.add((held, RDF.type, SD.Dataset))
    graph.add((held, SD.defaultGraph, default))
    graph.add((default, RDF.type, SD.Graph))
    graph.add((default, VOID.triples, whole(triples)))
    return graph
