"""The ways of bundles, and of single records that are sent to a container: only behind the setting of the FDP 2.0 draft.

Source: FDP 2.0 draft, records management (REC-02) and bulk ingestion (BLK-02, BLK-05 to BLK-11); RFC 7240 (``Prefer``).
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy import Engine

from fairlead.catalog.bodies import TRIG, bundle_of
from fairlead.catalog.bundle_jobs import BundleJobs
from fairlead.catalog.bundle_serving import BUNDLES, Bundles, moment_of, written_as
from fairlead.catalog.bundle_writing import Wanted, store_bundle
from fairlead.catalog.documents import etag_of
from fairlead.catalog.negotiation import choose, is_fresh
from fairlead.catalog.problems import PROBLEM, NotAcceptable
from fairlead.catalog.writer import Writer
from fairlead.records import JsonObject

Body = Annotated[bytes, Depends(bundle_of)]
PRIVATE: Final = {"Cache-Control": "no-store", "Vary": "Authorization, Prefer"}


def add_bundle_routes(app: FastAPI, writer: Writer, engine: Engine) -> None:
    """Add what containers take, where a bundle's fate is told, and bundles to read."""
    jobs = BundleJobs(engine, lambda wanted, also: store_bundle(writer, wanted, also=also))
    _add_containers(app, writer, jobs)
    _add_status(app, writer, jobs)
    _add_reading(app, writer, Bundles(writer.documents))


def _add_containers(app: FastAPI, writer: Writer, jobs: BundleJobs) -> None:
    site = writer.documents.site

    def take(request: Request, body: bytes, *, kind: str, top: str, publish: bool) -> Response:
        """Take a bundle when it is TriG, else one record."""
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != TRIG:
            return writer.create(request, kind, body, parent=top)
        container = f"{top.rstrip('/')}/{kind}/"
        preferred = _preferences(request)
        wanted = Wanted(body, writer.user(request), container, top, publish, "handling=lenient" in preferred)
        if "respond-async" in preferred:
            address = f"{site.base}/bundles/{jobs.later(wanted)}"
            return JSONResponse({"state": "in progress", "status": address}, 202, {**PRIVATE, "Location": address})
        return _answer(store_bundle(writer, wanted).report(), lenient=wanted.lenient)

    @app.post("/catalog/", status_code=201)
    def catalogs(request: Request, body: Body, publish: bool = False) -> Response:
        """Store a bundle of catalogues and what is in them, or one catalogue."""
        return take(request, body, kind="catalog", top=site.root, publish=publish)

    @app.post("/catalog/{identifier}/dataset/", status_code=201)
    def datasets(request: Request, identifier: str, body: Body, publish: bool = False) -> Response:
        """Store a bundle of datasets and their distributions, or one dataset."""
        return take(request, body, kind="dataset", top=f"{site.base}/catalog/{identifier}", publish=publish)

    @app.post("/dataset/{identifier}/distribution/", status_code=201)
    def distributions(request: Request, identifier: str, body: Body, publish: bool = False) -> Response:
        """Store a bundle of distributions, or one."""
        return take(request, body, kind="distribution", top=site.dataset(identifier), publish=publish)


def _preferences(request: Request) -> set[str]:
    """Return the preferences of a request without blanks and quotes (RFC 7240 section 2)."""
    found = ",".join(request.headers.getlist("prefer"))[:1000].lower()
    return {part.partition(";")[0].replace(" ", "").replace('"', "") for part in found.split(",")}


def _answer(report: JsonObject, *, lenient: bool) -> Response:
    """Answer 201 with the report of a bundle that is stored, 422 when nothing is."""
    applied = {"Preference-Applied": "handling=lenient"} if lenient else {}
    if report["stored"]:
        return JSONResponse(report, 201, {**PRIVATE, **applied})
    document: dict[str, Any] = {
        "type": "urn:fairlead:error:bundle-refused",
        "title": f"Nothing was stored: {report['refused']} of {report['total']} records cannot be.",
        "status": 422,
        "detail": "Correct the records that are listed by the names of their graphs, and send the bundle again.",
    }
    return Response(json.dumps(document | report, ensure_ascii=False), 422, {**PRIVATE, **applied}, PROBLEM)


def _add_status(app: FastAPI, writer: Writer, jobs: BundleJobs) -> None:
    @app.get("/bundles/{identifier}")
    def status(request: Request, identifier: str) -> JSONResponse:
        """Return how far a bundle is that is stored later, and the report when it is done."""
        return JSONResponse(jobs.status(identifier, writer.user(request)), headers=PRIVATE)


def _add_reading(app: FastAPI, writer: Writer, bundles: Bundles) -> None:
    site, documents = writer.documents.site, writer.documents

    def answer(request: Request, top: str, since: str) -> Response:
        """Answer with a bundle."""
        media_type = choose(request.headers.get("accept"), offered=BUNDLES)
        if media_type is None:
            raise NotAcceptable(f"Bundles are there as {', '.join(BUNDLES)}.", remedy="Name one of them in Accept.")
        body = written_as(bundles.of(top, moment_of(since) if since else None), media_type)
        headers = {"ETag": etag_of(body), "Vary": "Accept", "Cache-Control": "no-cache"}
        if is_fresh(request.headers.get("if-none-match"), headers["ETag"]):
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers, media_type=media_type)

    @app.get("/bundle")
    def all_of_it(request: Request, since: str = "") -> Response:
        """Return everything public as one bundle; with ``since``, what changed or was deleted after that instant."""
        return answer(request, site.root, since)

    @app.get("/catalog/{identifier}/bundle")
    def catalog(request: Request, identifier: str, since: str = "") -> Response:
        """Return a catalogue with everything in it."""
        if identifier != site.catalog_id:
            documents.entries.get("catalog", identifier)
        return answer(request, f"{site.base}/catalog/{identifier}", since)
