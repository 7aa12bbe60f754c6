from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from rdflib import RDF, Graph, Literal, URIRef
from rdflib.compare import isomorphic

from fairlead.errors import NotFound, ShapeViolation
from fairlead.publish import CatalogNode, DatasetNode, DistributionNode, Node, RootNode, Site, check_shapes, render, serialise, shapes_graph
from fairlead.publish.check import require_valid
from fairlead.publish.vocabulary import DCAT, FDP, LDP
from fairlead.settings import CatalogSettings, Settings
from publish.samples import a_distribution, a_record

RECORD = a_record()
OTHER = a_record(id="ds-ffffffffffffffff", access_rights="restricted", title="Slides")
pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")  # rdflib's own JSON-LD parser
NODES: dict[str, Node] = {
    "root": RootNode(),
    "catalog": CatalogNode((RECORD, OTHER)),
    "empty-catalog": CatalogNode(()),
    "dataset": DatasetNode(RECORD),
    "restricted-dataset": DatasetNode(OTHER),
    "distribution": DistributionNode(RECORD, RECORD.distributions[0]),
    "restricted-distribution": DistributionNode(OTHER, OTHER.distributions[1]),
}
SITE = Site("https://fdp.example.org", "local", CatalogSettings(publisher_iri="https://example.org/centre"))
RI_SHAPES = tuple(f"fdp-shapes/shape-{name}.ttl" for name in ("resource", "dataset", "distribution", "catalog", "fdp", "data-service"))
AP_SHAPES = ("dcat-ap-3.0.1/shapes/shapes.ttl", "dcat-ap-3.0.1/shapes/range.ttl")


@cache
def official(folder: Path, names: tuple[str, ...]) -> Graph:
    """Return somebody else's shapes."""
    shapes = Graph()
    for name in names:
        shapes.parse(folder / "fair" / name, format="turtle")
    return shapes


@pytest.mark.parametrize("profile", ["fdp", "dcat-ap", "health-ri", "healthdcat-ap", "imaging"])
@pytest.mark.parametrize("node", NODES.values(), ids=NODES)
def test_every_document_conforms_to_our_shapes(node: Node, profile: str):
    assert check_shapes(render(node, profile, site=SITE), profile).results == ()


@pytest.mark.parametrize("node", NODES.values(), ids=NODES)
def test_the_fdp_view_conforms_to_the_reference_implementation(node: Node, data: Path):
    assert check_shapes(render(node, "fdp", site=SITE), shapes=official(data, RI_SHAPES)).results == ()


@pytest.mark.parametrize("node", NODES.values(), ids=NODES)
def test_the_ap_view_conforms_to_dcat_ap_3(node: Node, data: Path):
    assert check_shapes(render(node, "dcat-ap", site=SITE), shapes=official(data, AP_SHAPES)).results == ()


@pytest.mark.parametrize(("name", "shapes"), [("catalog", "Catalog"), ("dataset", "Dataset"), ("distribution", "Distribution")])
def test_the_health_ri_view_conforms_to_health_ri_core(name: str, shapes: str, data: Path):
    graph = render(NODES[name], "health-ri", site=SITE)
    assert check_shapes(graph, shapes=official(data, (f"health-ri/shapes/{shapes}.ttl",))).results == ()


@pytest.mark.parametrize("profile", ["fdp", "dcat-ap", "health-ri", "healthdcat-ap", "imaging"])
def test_a_whole_record_is_one_valid_graph(profile: str):
    assert check_shapes(render(RECORD, profile, site=SITE), profile).valid


def test_the_official_shapes_do_fire(data: Path):
    """A shape that never fires would prove nothing: the same record without a title must fail."""
    graph = Graph().parse(data / "fair" / "malformed" / "missing_title.ttl", format="turtle")
    for dataset in list(graph.subjects(RDF.type, DCAT.Dataset)):
        graph.add((dataset, RDF.type, DCAT.Resource))
    assert not check_shapes(graph, shapes=official(data, RI_SHAPES)).valid


MANDATORY = {
    "root": "dct:title dct:publisher dct:license dct:conformsTo dcat:version dcat:endpointURL fdp-o:metadataIdentifier "
    "fdp-o:metadataIssued fdp-o:metadataModified fdp-o:conformsToFdpSpec fdp-o:metadataCatalog",
    "catalog": "dct:title dct:publisher dct:license dct:isPartOf dcat:themeTaxonomy dcat:version",
    "dataset": "dct:title dct:publisher dct:license dcat:theme dct:accessRights dct:identifier dct:issued dct:modified "
    "dcat:contactPoint dcat:distribution dct:isPartOf dcat:version",
    "distribution": "dct:title dcat:mediaType dcat:accessURL dcat:byteSize spdx:checksum dct:isPartOf dct:license",
}
CASES = [(name, path) for name, paths in MANDATORY.items() for path in paths.split()]


@pytest.mark.parametrize(("name", "path"), CASES, ids=[f"{name}-{path}" for name, path in CASES])
def test_a_record_without_a_mandatory_property_fails(name: str, path: str):
    graph = render(NODES[name], site=SITE)
    subject = {"root": SITE.root, "catalog": SITE.catalog, "dataset": SITE.dataset(RECORD.id)}.get(
        name, SITE.distribution(RECORD, RECORD.distributions[0])
    )
    predicate = graph.namespace_manager.expand_curie(path)
    assert (URIRef(subject), predicate, None) in graph
    graph.remove((URIRef(subject), predicate, None))
    report = check_shapes(graph)
    assert [item for item in report.results if item.path == str(predicate)]


def test_a_record_without_a_container_fails():
    graph = render(NODES["dataset"], site=SITE)
    for container in list(graph.subjects(RDF.type, LDP.DirectContainer)):
        graph.remove((container, None, None))
    assert [item.message for item in check_shapes(graph).results] == ["A dataset has a container."]


@pytest.mark.parametrize("profile", ["fdp", "dcat-ap"])
@pytest.mark.parametrize(
    ("media_type", "parser"),
    [("text/turtle", "turtle"), ("application/ld+json", "json-ld"), ("application/rdf+xml", "xml"), ("application/n-triples", "nt")],
)
def test_every_serialisation_says_the_same(media_type: str, parser: str, profile: str):
    graph = render(RECORD, profile, site=SITE)
    assert isomorphic(Graph().parse(data=serialise(graph, media_type), format=parser), graph)


@pytest.mark.parametrize("media_type", ["text/turtle", "application/ld+json", "application/n-triples"])
def test_the_same_record_gives_the_same_bytes(media_type: str):
    assert serialise(render(RECORD, site=SITE), media_type) == serialise(render(a_record(), site=SITE), media_type)


def test_json_ld_has_no_remote_context():
    import json

    document = json.loads(serialise(render(RECORD, site=SITE), "application/ld+json"))
    assert isinstance(document["@context"], dict)
    assert not any(key.startswith("@import") for key in document["@context"])


@pytest.mark.parametrize("text", ['"> <script>alert(1)</script>', 'a " . <http://evil> a <http://evil> .', 'Ünïcode 影像 \\ \' """'])
def test_hostile_text_stays_a_literal(text: str):
    graph = render(DatasetNode(a_record(title=text, keywords=(text,))), site=SITE)
    for media_type, parser in (("text/turtle", "turtle"), ("application/ld+json", "json-ld")):
        read = Graph().parse(data=serialise(graph, media_type), format=parser)
        assert (URIRef(SITE.dataset(RECORD.id)), DCAT.keyword, Literal(text)) in read
        assert URIRef("http://evil") not in set(read.subjects())


def test_the_root_is_what_an_index_accepts():
    graph = render(RootNode(), site=SITE)
    kinds = set(graph.objects(URIRef(SITE.root), RDF.type))
    assert kinds == {FDP.FAIRDataPoint, FDP.MetadataService, DCAT.DataService, DCAT.Resource}


def test_a_container_lists_every_child():
    many = tuple(a_record(id=f"ds-{number:016x}") for number in range(25))
    graph = render(CatalogNode(many), site=SITE)
    assert len(list(graph.objects(URIRef(f"{SITE.catalog}/dataset/"), LDP.contains))) == 25


def test_restricted_bytes_have_no_download_address():
    graph = render(NODES["restricted-distribution"], site=SITE)
    node = URIRef(SITE.distribution(OTHER, OTHER.distributions[1]))
    assert graph.value(node, DCAT.downloadURL) is None
    assert graph.value(node, DCAT.accessURL) == URIRef(SITE.dataset(OTHER.id))


def test_the_steward_and_the_reason_are_nobodys_business():
    for profile in ("fdp", "dcat-ap", "health-ri", "healthdcat-ap", "imaging"):
        text = serialise(render(RECORD, profile, site=SITE), "text/turtle").decode()
        assert "stewart" not in text
        assert "clara" not in text
        assert "ethics vote" not in text


def test_an_unknown_profile_names_the_known_ones():
    with pytest.raises(NotFound, match="no profile 'croissant'") as caught:
        render(RECORD, "croissant", site=SITE)
    assert caught.value.remedy == "Profiles: fdp, dcat-ap, health-ri, healthdcat-ap, imaging."
    with pytest.raises(NotFound, match="no shapes for profile 'x'"):
        check_shapes(Graph(), "x")


def test_a_view_that_breaks_its_shapes_is_reported_in_words():
    graph = render(NODES["dataset"], site=SITE)
    graph.remove((None, DCAT.theme, None))
    with pytest.raises(ShapeViolation, match=r"The fdp view breaks its shapes in 1 places: .* A dataset has a theme"):
        require_valid(check_shapes(graph))


def test_the_base_may_have_a_path_and_a_slash_at_its_end():
    settings = Settings(catalog=CatalogSettings(base_url="https://example.org/fdp/"))
    assert Site.of(settings).dataset("ds-1") == "https://example.org/fdp/dataset/ds-1"


def test_a_distribution_of_another_kind_has_no_standard():
    item = a_distribution(9, conforms_to=None, media_type="text/csv")
    graph = render(DistributionNode(RECORD, item), "dcat-ap", site=SITE)
    assert check_shapes(graph, "health-ri").valid


@pytest.mark.parametrize("profile", ["fdp", "dcat-ap", "healthdcat-ap-public", "imaging"])
def test_shapes_that_are_kept_find_what_pyshacl_finds(profile: str):
    import pyshacl

    for removed in sorted({str(predicate) for predicate in render(RECORD, profile.removesuffix("-public"), site=SITE).predicates()})[::4]:
        graph = render(RECORD, profile.removesuffix("-public"), site=SITE)
        graph.remove((None, URIRef(removed), None))
        conforms, report, _ = pyshacl.validate(graph, shacl_graph=shapes_graph(profile), advanced=True, allow_warnings=True)
        ours = check_shapes(graph, profile)
        found = len(list(report.subjects(RDF.type, URIRef("http://www.w3.org/ns/shacl#ValidationResult"))))
        assert (ours.valid, len(ours.results)) == (conforms, found)
