"""Dataset series across centres: the parts of one cohort, each published by its own centre and harvested here (DCAT 3, section 6.7).

The parts name the series (``dcat:inSeries``), the series does not own them: a part that its centre withdraws is gone here after
the next harvest, and nothing has to be told to anybody.
"""

from __future__ import annotations

import re
from typing import Final

from fastapi import FastAPI, Response
from rdflib import DCTERMS, RDF, Graph, Literal, URIRef
from sqlalchemy import Engine, select

from fairlead.catalog.documents import Documents
from fairlead.catalog.tables import harvested
from fairlead.database import database_errors
from fairlead.errors import NotFound
from fairlead.publish.vocabulary import DCAT

NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


def add_series_routes(app: FastAPI, documents: Documents, engine: Engine) -> None:
    """Add the address of series."""

    @app.get("/series/{identifier}", response_class=Response)
    def series(identifier: str) -> Response:
        """Return a dataset series and its parts as Turtle."""
        if NAME.fullmatch(identifier) is None:
            raise NotFound("There is no such series.")
        return Response(
            series_graph(f"{documents.site.base}/series/{identifier}", engine).serialize(format="turtle"), media_type="text/turtle"
        )


def series_graph(iri: str, engine: Engine) -> Graph:
    """Return the series with every harvested dataset that names it; raise NotFound when there is none."""
    graph, node = Graph(), URIRef(iri)
    graph.bind("dcat", DCAT)
    graph.bind("dct", DCTERMS)
    named = f"<{DCAT.inSeries}> <{iri}>"
    wanted = select(harvested.c.iri, harvested.c.title).where(harvested.c.body.contains(named, autoescape=True)).order_by(harvested.c.iri)
    with database_errors(), engine.connect() as connection:
        parts = connection.execute(wanted).all()
    if not parts:
        raise NotFound("No dataset that was harvested names this series.", remedy="Harvest the centres' catalogues: fairlead harvest URL.")
    graph.add((node, RDF.type, DCAT.DatasetSeries))
    graph.add((node, DCTERMS.title, Literal(f"{parts[0].title}: the parts of {len(parts)} centres", lang="en")))
    for part in parts:
        member = URIRef(part.iri)
        graph.add((node, DCAT.seriesMember, member))
        graph.add((member, DCAT.inSeries, node))
        graph.add((member, DCTERMS.title, Literal(part.title)))
    return graph
