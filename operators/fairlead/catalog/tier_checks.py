"""The criteria of the access-labour rubric, one function each: what is looked at, and what was found in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

from rdflib import DCTERMS, FOAF, PROV, RDF, Graph, URIRef
from rdflib import Literal as Text

from fairlead.catalog.fetching import Answer
from fairlead.catalog.reading import PARSERS
from fairlead.catalog.tier_bytes import Finding, checksum, per_image, standard, verdict
from fairlead.catalog.tier_case import Case, graph_of
from fairlead.publish import check_shapes
from fairlead.publish.check import SH
from fairlead.publish.vocabulary import DCAT, FDP, HEALTH, SCHEMA, SPDX, VCARD

MODALITY: Final = ("http://dicom.nema.org/", "http://purl.obolibrary.org/obo/FBbi_")
SITE: Final = (
    "http://snomed.info/id/",
    "http://purl.obolibrary.org/obo/UBERON_",
    "http://purl.obolibrary.org/obo/NCBITaxon_",
    "https://www.ncbi.nlm.nih.gov/",
)
RESOLVERS: Final = frozenset({"doi.org", "dx.doi.org", "hdl.handle.net", "w3id.org", "purl.org", "n2t.net", "ark.org", "identifiers.org"})


def is_login(answer: Answer) -> bool:
    """Return whether a page asks for a password instead of showing what was asked for."""
    return "www-authenticate" in answer.headers or b'type="password"' in answer.body or b"type='password'" in answer.body


def _landing(case: Case) -> Finding:
    page = case.page
    if page is None:
        return Finding("unknown", "not asked")
    ok = 200 <= page.status < 300 and bool(page.body) and not is_login(page)
    return verdict(ok, f"{page.status}", f"{page.status}, or a page that asks for a login")


def contacts(case: Case) -> list[str]:
    """Return addresses of contacts: mail, pages, ORCIDs."""
    found = []
    for node in case.values(DCAT.contactPoint, SCHEMA.contactPoint, SCHEMA.author, SCHEMA.creator, DCTERMS.creator):
        found.append(str(node))
        for predicate in (VCARD.hasEmail, VCARD.hasURL, FOAF.mbox, SCHEMA.email, SCHEMA.url):
            found += [str(value) for value in case.graph.objects(node, predicate)]
    usable = ("mailto:", "http://", "https://")
    return [text if text.startswith(usable) else f"mailto:{text}" for text in found if text.startswith(usable) or "@" in text]


def _contact(case: Case) -> Finding:
    found = contacts(case)
    return verdict(bool(found), f"{len(found)} contact addresses", "no contact with an address")


def _reachable(case: Case) -> Finding:
    for url in (item for item in contacts(case) if item.startswith("http")):
        answer = case.get(url)
        if answer is not None and 200 <= answer.status < 300:
            return Finding("pass", f"{url} answers {answer.status}")
    return Finding("unknown", "no contact page that answers; attest that mail is answered")


def _one_place(case: Case) -> Finding:
    wanted = {
        "title": (DCTERMS.title, SCHEMA.name),
        "description": (DCTERMS.description, SCHEMA.description),
        "creator": (DCTERMS.creator, DCTERMS.publisher, SCHEMA.creator, SCHEMA.author, SCHEMA.publisher),
        "licence": (DCTERMS.license, SCHEMA.license, DCTERMS.rights),
        "date": (DCTERMS.issued, DCTERMS.modified, SCHEMA.datePublished, SCHEMA.dateModified),
    }
    missing = [name for name, predicates in wanted.items() if not case.values(*predicates) and not _on_distributions(case, name)]
    return verdict(not missing, "all five stated", f"missing: {', '.join(missing)}")


def _on_distributions(case: Case, name: str) -> bool:
    return name == "licence" and any((item, DCTERMS.license, None) in case.graph for item in case.distributions())


def counts(case: Case) -> list[Text]:
    """Return every count that the record states."""
    found = case.values(HEALTH.numberOfRecords, HEALTH.numberOfUniqueIndividuals, DCAT.byteSize)
    for quantity in case.values(SCHEMA.size, SCHEMA.variableMeasured):
        found += [quantity, *case.graph.objects(quantity, SCHEMA.value)]
    found += [size for item in case.distributions() for size in case.graph.objects(item, DCAT.byteSize)]
    return [value for value in found if isinstance(value, Text)]


def _count(case: Case) -> Finding:
    return verdict(bool(counts(case)), f"{len(counts(case))} counts", "no count of subjects, studies, images or bytes")


def _typed_counts(case: Case) -> Finding:
    found = counts(case)
    typed = [value for value in found if isinstance(value.toPython(), int | float)]
    return verdict(bool(typed) and len(typed) == len(found), f"{len(typed)} typed numbers", "counts are absent or plain text")


def _rdf(case: Case) -> Finding:
    if case.rdf is None:
        return Finding("fail", "no RDF by content negotiation")
    links = " ".join(answer.headers.get("link", "") for answer in (case.page, case.rdf) if answer is not None)
    return verdict(
        "describedby" in links, f"{case.rdf.media_type} and describedby", f"{case.rdf.media_type}, but no Signposting describedby"
    )


def _shacl(case: Case) -> Finding:
    if not len(case.graph):
        return Finding("fail", "no statements")
    profile = "fdp" if (case.node, FDP.metadataIdentifier, None) in case.graph else "dcat-ap"
    if not any((None, RDF.type, kind) in case.graph for kind in (DCAT.Dataset, DCAT.Catalog, DCAT.Distribution)):
        return Finding("fail", "nothing that a DCAT profile describes")
    report = check_shapes(case.graph, profile)
    return verdict(report.valid, f"conforms to {profile}", f"{len(report.results)} findings against {profile}")


def _licence(case: Case) -> Finding:
    found = case.values(DCTERMS.license, SCHEMA.license)
    found += [value for item in case.distributions() for value in case.graph.objects(item, DCTERMS.license)]
    iris = [value for value in found if str(value).startswith(("http://", "https://"))]
    return verdict(bool(iris), str(iris[0]) if iris else "", "no licence IRI")


def _identifier(case: Case) -> Finding:
    return verdict(bool(case.values(DCTERMS.identifier, SCHEMA.identifier)), "stated", "no identifier")


def _terms(case: Case) -> Finding:
    found = [str(value) for value in case.values(DCTERMS.subject, SCHEMA.about, DCAT.theme, SCHEMA.measurementTechnique)]
    missing = [
        name for name, stems in (("modality", MODALITY), ("body site or organism", SITE)) if not any(i.startswith(stems) for i in found)
    ]
    return verdict(not missing, "modality and body site or organism as IRIs", f"no IRI for {' and '.join(missing)}")


def _profile(case: Case) -> Finding:
    for iri in case.values(DCTERMS.conformsTo):
        answer = case.get(str(iri), Accept="text/turtle")
        if answer is not None and answer.status == 200 and answer.media_type in PARSERS:
            shapes: Graph = graph_of(answer)
            if (None, RDF.type, SH.NodeShape) in shapes:
                return Finding("pass", f"{iri} has shapes")
    return Finding("fail", "no dct:conformsTo that leads to SHACL")


def _bytes(case: Case) -> Finding:
    services = [item for item in case.distributions() if (item, DCAT.accessService, None) in case.graph]
    found = case.downloads()
    return verdict(bool(found or services), f"{len(found)} download addresses", "no download address")


def _first_bytes(case: Case) -> Answer | None:
    found = case.downloads()
    return case.get(found[0], Range="bytes=0-15") if found else None


def _auth(case: Case) -> Finding:
    answer = _first_bytes(case)
    if answer is None:
        return Finding("fail", "no bytes to ask for")
    return verdict(answer.status in (200, 206) and not is_login(answer), f"{answer.status} without login", f"{answer.status}")


def _no_click(case: Case) -> Finding:
    answer = _first_bytes(case)
    ok = answer is not None and answer.status in (200, 206) and answer.media_type not in ("text/html", "application/xhtml+xml")
    return verdict(ok, "bytes, no page", "no bytes, or a page instead of them")


def _manifest(case: Case) -> Finding:
    found = case.distributions()
    complete = [item for item in found if (item, SPDX.checksum, None) in case.graph and (item, DCAT.byteSize, None) in case.graph]
    return verdict(
        bool(found) and len(complete) == len(found), f"{len(found)} of {len(found)}", f"{len(complete)} of {len(found)} distributions"
    )


def _pid(case: Case) -> Finding:
    names = [str(case.node), *[str(value) for value in case.values(DCTERMS.identifier, SCHEMA.identifier)]]
    for name in (item for item in names if urlsplit(item).hostname in RESOLVERS):
        answer = case.get(name)
        if answer is not None and answer.status == 200:
            return Finding("pass", f"{name} resolves")
    return Finding("fail", "no persistent identifier that resolves")


def _range(case: Case) -> Finding:
    answer = _first_bytes(case)
    return verdict(answer is not None and answer.status == 206, "206", "no 206 to a Range request")


def _provenance(case: Case) -> Finding:
    return verdict(bool(case.values(PROV.wasDerivedFrom, PROV.wasGeneratedBy, DCTERMS.provenance)), "stated", "no provenance")


def _fuji(case: Case) -> Finding:
    return Finding("unknown", "F-UJI is not installed here; attest its result with --attest")


def _tombstone(case: Case) -> Finding:
    policies = [str(value) for value in case.values(URIRef("http://www.w3.org/ns/adms#status"), DCTERMS.accrualPolicy)]
    return Finding("pass", policies[0]) if policies else Finding("unknown", "no statement; attest it with --attest")


def _fresh(case: Case) -> Finding:
    return Finding("pass", "probed now")


CHECKS: Final[Mapping[str, Callable[[Case], Finding]]] = {
    "G1.landing": _landing,
    "G1.contact": _contact,
    "G1.reachable": _reachable,
    "G2.onePlace": _one_place,
    "G2.count": _count,
    "G3.rdf": _rdf,
    "G3.shacl": _shacl,
    "G3.licence": _licence,
    "G3.identifier": _identifier,
    "G3.counts": _typed_counts,
    "G3.terms": _terms,
    "G3.profile": _profile,
    "G4.bytes": _bytes,
    "G4.auth": _auth,
    "G4.noClick": _no_click,
    "G4.manifest": _manifest,
    "G5.pid": _pid,
    "G5.perImage": per_image,
    "G5.standard": standard,
    "G5.range": _range,
    "G5.checksum": checksum,
    "G5.provenance": _provenance,
    "G5.fuji": _fuji,
    "G5.tombstone": _tombstone,
    "G5.fresh": _fresh,
}
