"""Validate records and crates by hand: the same shapes and checks that the publication uses."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from rdflib import RDF, Graph

from fairlead.catalog.fetching import Fetcher
from fairlead.catalog.harvest import ACCEPT, read_document
from fairlead.catalog.reading import read_json
from fairlead.catalog.tier_case import read_record
from fairlead.errors import CheckFailed, InvalidInput, ServiceUnreachable
from fairlead.publish import check_shapes
from fairlead.publish.crate import CRATE, check_crate
from fairlead.publish.vocabulary import DCAT, FDP
from fairlead.records import JsonObject

TYPES: Final = (DCAT.Dataset, DCAT.Catalog, DCAT.Distribution, DCAT.DataService, FDP.FAIRDataPoint)


def validate_record(target: str, profile: str | None = None, *, fetcher: Fetcher | None = None) -> JsonObject:
    """Return the contract's document for a record or a crate, by path or address.

    Raises
    ------
    NotFound : no such file, or no such profile.
    ServiceUnreachable : the address does not answer.
    """
    path = Path(target)
    if not target.startswith(("http://", "https://")) and is_crate(path):
        return _crate(path / CRATE if path.is_dir() else path)
    try:
        graph = _fetched(target, fetcher) if target.startswith(("http://", "https://")) else read_record(path)[0]
    except InvalidInput as error:
        return _document(profile or "rdf", [("error", "", str(error))])
    return validate_graph(graph, profile)


def is_crate(path: Path) -> bool:
    """Return whether a path is an RO-Crate: its metadata file, or the folder that holds it and no record."""
    return path.name == CRATE or (path.is_dir() and (path / CRATE).is_file() and not (path / "record.ttl").is_file())


def validate_graph(graph: Graph, profile: str | None = None) -> JsonObject:
    """Return the findings of a profile's shapes; a record that no shape looks at is not valid.

    Shapes target classes without inference, so everything DCAT knows is typed ``dcat:Resource`` before the ``fdp`` shapes look.
    """
    chosen = profile or ("fdp" if (None, FDP.metadataIdentifier, None) in graph else "dcat-ap")
    described = {node for kind in TYPES for node in graph.subjects(RDF.type, kind)}
    if not described:
        return _document(chosen, [("error", "", "The record describes no catalogue, dataset, distribution or service.")])
    if chosen == "fdp":
        for node in described:
            graph.add((node, RDF.type, DCAT.Resource))
    report = check_shapes(graph, chosen)
    return _document(chosen, [(item.severity, item.path or item.focus, item.message) for item in report.results], valid=report.valid)


def _crate(file: Path) -> JsonObject:
    try:
        check_crate(read_json(file.read_text("utf-8")), folder=file.parent)
    except (CheckFailed, InvalidInput) as error:
        return _document("ro-crate", [("error", CRATE, error.message)])
    except (OSError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        return _document("ro-crate", [("error", CRATE, f"This is no RO-Crate metadata document ({type(error).__name__}).")])
    return _document("ro-crate", [])


def _fetched(url: str, fetcher: Fetcher | None) -> Graph:
    asking = fetcher or Fetcher(private=True)  # the address was given by the person at the keyboard
    try:
        answer = asking.get(url, {"Accept": ACCEPT})
    finally:
        asking.close()
    if answer.status != 200:
        raise ServiceUnreachable(f"The server answers {answer.status}.", remedy="Correct the address, or repeat later.")
    return read_document(answer)


def _document(profile: str, findings: list[tuple[str, str, str]], *, valid: bool | None = None) -> JsonObject:
    results = [{"severity": severity, "path": path, "message": message} for severity, path, message in findings]
    return {"valid": not findings if valid is None else valid, "profile": profile, "results": results}
