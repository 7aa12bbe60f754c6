"""What users of Health-RI's clients do, run in their own environment: sempyro builds records, fairclient writes them.

Usage: reference_client.py BASE CATALOG EMAIL PASSWORD FOLDER; prints one JSON document. Nothing of Fairlead is imported.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

import requests
from fairclient.fdpclient import FDPClient  # type: ignore[import-not-found]
from fairclient.utils import add_or_update_dataset  # type: ignore[import-not-found]
from rdflib import DCAT, DCTERMS, RDF, BNode, Graph, Literal, URIRef
from sempyro.hri_dcat import HRIAgent, HRIDataset, HRIDistribution, HRIVCard  # type: ignore[import-not-found]

logging.disable(logging.CRITICAL)
EHDS = "http://data.europa.eu/eli/reg/2025/327/oj"
CATEGORY = "http://healthdata.ec.europa.eu/authority/health-category/EHRS"
KINDS = {"catalog": DCAT.Catalog, "dataset": DCAT.Dataset, "distribution": DCAT.Distribution}
FOLDERS = ("fdp-records/*.ttl", "health-ri/examples/*.ttl", "healthdcat-ap/[Rz]*.ttl", "dcat-ap-3.0.1/examples/*.ttl")


def a_dataset(parent: str) -> Graph:
    """Return a dataset as Health-RI's model builds it."""
    who = HRIAgent(name=["UMC"], identifier=["https://ror.org/0"], mbox="mailto:a@example.org", homepage="https://example.org/")
    fields: dict[str, Any] = {
        "access_rights": URIRef("http://publications.europa.eu/resource/authority/access-right/PUBLIC"),
        "contact_point": HRIVCard(hasEmail="mailto:a@example.org", formatted_name="Data desk"),
        "creator": [who],
        "publisher": who,
        "title": ["Liver MR"],
        "description": ["Two hundred livers"],
        "identifier": "liver-1",
        "keyword": ["liver"],
        "theme": [URIRef("http://publications.europa.eu/resource/authority/data-theme/HEAL")],
        "applicable_legislation": [EHDS],
        "health_category": [CATEGORY],
    }
    subject = URIRef("https://example.org/liver")
    graph: Graph = HRIDataset(**fields).to_graph(subject)
    graph.add((subject, DCTERMS.isPartOf, URIRef(parent)))
    return graph


def a_distribution(parent: str) -> Graph:
    """Return a distribution as Health-RI's model builds it."""
    subject = URIRef("https://example.org/liver/zarr")
    graph: Graph = HRIDistribution(
        title=["Zarr"],
        license="https://creativecommons.org/licenses/by/4.0/",
        rights="https://example.org/rights",
        access_url="https://example.org/liver.zarr",
        byte_size=10,
        media_type="https://www.iana.org/assignments/media-types/application/zip",
        format="http://publications.europa.eu/resource/authority/file-type/BIN",
    ).to_graph(subject)
    graph.add((subject, DCTERMS.isPartOf, URIRef(parent)))
    return graph


def create(client: Any, catalog: str) -> dict[str, Any]:
    """Create, publish, update and delete, as the clients do."""
    dataset = add_or_update_dataset(a_dataset(catalog), client, catalog_uri=catalog)
    distribution = client.create_and_publish("distribution", a_distribution(str(dataset)))
    seen = [requests.get(str(iri), timeout=20).status_code for iri in (dataset, distribution)]
    current = Graph().parse(data=client.get_data(str(dataset)).text, format="turtle")
    current.set((dataset, DCTERMS.title, Literal("Livers")))
    client.update_serialized(str(dataset), current)
    updated = Graph().parse(data=requests.get(str(dataset), timeout=20).text, format="turtle")
    deleted = client.delete_record(str(distribution)).status_code
    return {
        "seen": seen,
        "title": str(updated.value(dataset, DCTERMS.title)),
        "deleted": deleted,
        "gone": requests.get(str(distribution), timeout=20).status_code,
    }


def load(client: Any, base: str, folder: Path) -> dict[str, dict[str, Any]]:
    """Load every entity of every file; return how many were stored and why others were not, by file."""
    parents, answers = {"catalog": f"{base}/"}, dict[str, dict[str, Any]]()
    files = [file for pattern in FOLDERS for file in sorted(folder.glob(pattern))]
    for kind, below in (("catalog", "dataset"), ("dataset", "distribution"), ("distribution", None)):
        for file in files:
            entry = answers.setdefault(file.name, {"stored": 0, "refused": []})
            for body in bodies(file, kind, parents[kind]):
                answer = client.session.post(
                    f"{base}/{kind}",
                    data=body,
                    headers={"Content-Type": "text/turtle", "Accept": "application/problem+json, text/turtle;q=0.5"},
                )
                if answer.status_code != 201:
                    entry["refused"].append([answer.status_code, answer.json()["title"][:200]])
                    continue
                entry["stored"] += 1
                client.publish_record(answer.headers["Location"])
                if below:
                    parents.setdefault(below, answer.headers["Location"])
    return answers


def bodies(file: Path, kind: str, parent: str) -> list[bytes]:
    """Return the documents of one type in a file: one for each named entity; a file that is no Turtle as it is, as a dataset."""
    try:
        whole = Graph().parse(file, format="turtle", publicID="https://example.org/")
    except Exception:  # every parser has errors of its own, and the server has to say what is wrong
        return [file.read_bytes()] if kind == "dataset" else []
    found = []
    for node in sorted(set(whole.subjects(RDF.type, KINDS[kind])) - {None}, key=str):
        part, waiting = Graph(), [node]
        while waiting and not isinstance(node, BNode):
            for triple in whole.triples((waiting.pop(), None, None)):
                part.add(triple)
                waiting += [triple[2]] if isinstance(triple[2], BNode) and (triple[2], None, None) not in part else []
        part.set((node, DCTERMS.isPartOf, URIRef(parent)))
        found += [part.serialize(format="turtle").encode()] if not isinstance(node, BNode) else []
    return found


if __name__ == "__main__":
    base, catalog, email, password, folder = sys.argv[1:]
    client = FDPClient(base, email, password)
    print(json.dumps({"flow": create(client, catalog), "load": load(client, base, Path(folder))}))  # noqa: T201  (its one result)
