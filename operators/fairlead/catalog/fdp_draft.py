"""What the FDP 2.0 draft asks for beyond 1.2, behind a setting: metadata records as resources of their own, and bundles.

422 with a report, ETag and If-Match, and 410 are there anyway. No conformance is claimed: the draft may change. Source: FDP 2.0 draft,
metadata model (``fdp-o:MetadataRecord``); bundles are in :mod:`fairlead.catalog.bundle_api`.
"""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import Response
from rdflib import Graph

from fairlead.catalog.answers import Answers
from fairlead.catalog.documents import Documents
from fairlead.catalog.draft_graph import metadata_record
from fairlead.catalog.entries import iri_of
from fairlead.errors import NotFound, Withdrawn
from fairlead.publish import Node

KINDS: Final = ("catalog", "series", "dataset", "distribution")


def add_draft_routes(app: FastAPI, documents: Documents, answers: Answers) -> None:
    """Add the metadata record of the FAIR Data Point itself and of every type of record."""

    @app.api_route("/metadata", methods=["GET", "HEAD"])
    def of_root(request: Request) -> Response:
        """Return the metadata record of the FAIR Data Point."""
        return answers.graph(request, metadata_record(documents.graph(documents.root(), "fdp"), documents.site.root))

    for kind in KINDS:
        _add_kind(app, documents, answers, kind)


def _add_kind(app: FastAPI, documents: Documents, answers: Answers, kind: str) -> None:
    @app.api_route(f"/{kind}/{{identifier}}/metadata", methods=["GET", "HEAD"], name=f"metadata {kind}")
    def of_record(request: Request, identifier: str) -> Response:
        """Return the metadata record of a published record."""
        return answers.graph(request, metadata_record(_graph(documents, kind, identifier), iri_of(documents.site, kind, identifier)))


def _graph(documents: Documents, kind: str, identifier: str) -> Graph:
    """Return a published record, exported or written; raise NotFound or Withdrawn."""
    node: Node
    try:
        match kind:
            case "catalog":
                node = documents.catalog(identifier)
            case "series":
                node = documents.series.get(identifier)
            case "dataset":
                node = documents.dataset(identifier)
            case _:
                node = documents.distribution(identifier)
    except Withdrawn:
        raise
    except NotFound:
        return documents.entry(documents.entries.get(kind, identifier))
    return documents.graph(node, "fdp")
