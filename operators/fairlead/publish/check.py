"""SHACL as the gate: a view that does not conform is not published, and the report says so in words."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from threading import Lock
from typing import Final

from rdflib import RDF, Graph, Namespace, URIRef

from fairlead.errors import NotFound, ShapeViolation
from fairlead.records import DatasetRecord

logger = logging.getLogger(__name__)
SH: Final = Namespace("http://www.w3.org/ns/shacl#")
SHAPES_FOLDER: Final = Path(__file__).parent / "shapes"
SHAPE_FILES: Final[Mapping[str, tuple[str, ...]]] = {
    "fdp": ("fdp.ttl",),
    "dcat-ap": ("dcat-ap.ttl",),
    "health-ri": ("dcat-ap.ttl", "health-ri.ttl"),
    "healthdcat-ap": ("dcat-ap.ttl", "healthdcat.ttl"),
    "healthdcat-ap-public": ("dcat-ap.ttl", "healthdcat.ttl", "healthdcat-public.ttl"),
    "healthdcat-ap-restricted": ("dcat-ap.ttl", "healthdcat.ttl", "healthdcat-restricted.ttl"),
    "healthdcat-ap-non-public": ("dcat-ap.ttl", "healthdcat.ttl", "healthdcat-non-public.ttl"),
    "imaging": ("fdp.ttl", "imaging.ttl"),
    "gide": ("gide.ttl",),
    "fdp-draft": ("fdp-draft.ttl",),
}
"""Shapes of each profile, package data: nothing is fetched."""


def shapes_of(profile: str, record: DatasetRecord) -> str:
    """Return which shapes a dataset's view has to pass: HealthDCAT-AP Release 8 has a set for each access right."""
    return f"{profile}-{record.access_rights}" if profile == "healthdcat-ap" else profile


@dataclass(frozen=True, slots=True)
class ShapeResult:
    """One finding of a validation: how bad, about which node, on which path, in which words."""

    severity: str
    focus: str
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.focus} {self.path}: {self.message}".strip()


@dataclass(frozen=True, slots=True)
class ShapeReport:
    """Whether a graph conforms to a profile, and every finding, sorted."""

    profile: str
    valid: bool
    results: tuple[ShapeResult, ...]
    document: Graph = field(default_factory=Graph, compare=False, repr=False)
    """The ``sh:ValidationReport`` itself."""


@cache
def shapes_graph(profile: str) -> Graph:
    """Return the shapes of a profile; read once, never changed.

    Raises
    ------
    NotFound : there are no shapes of that name.
    """
    if profile not in SHAPE_FILES:
        raise NotFound(f"There are no shapes for profile {profile!r}.", remedy=f"Profiles: {', '.join(SHAPE_FILES)}.")
    graph = Graph()
    for name in SHAPE_FILES[profile]:
        graph.parse(SHAPES_FOLDER / name, format="turtle")
    return graph


ADVANCED: Final = (SH.rule, SH.target, SH.expression, SH.returnType)
"""Predicates of SHACL Advanced Features; shapes without them are read alike with and without, and faster without."""


class _Prepared:
    """Shapes that pySHACL has taken apart once: that costs as much as a small record's validation."""

    def __init__(self, shapes: Graph) -> None:
        from pyshacl.shapes_graph import ShapesGraph

        self.graph = shapes
        self.advanced = any((None, predicate, None) in shapes for predicate in ADVANCED)
        self.shapes = ShapesGraph(shapes, False, logger)
        self._lock = Lock()

    def validate(self, graph: Graph) -> tuple[bool, Graph]:
        """Return whether a graph conforms, and the report; one validation at a time, the shapes are shared."""
        from pyshacl import validator
        from pyshacl.graph_abstraction import DataGraph

        options = {"inference": "none", "advanced": self.advanced, "allow_warnings": True, "inplace": True, "logger": logger}
        with self._lock:
            run = validator.Validator(DataGraph.from_rdflib(graph), shacl_graph=self.graph, options=options)
            run.shacl_graph = self.shapes
            conforms, report, _ = run.run()  # type: ignore[no-untyped-call]  # pySHACL annotates it in part
        return bool(conforms), report


@lru_cache(maxsize=32)
def _prepared(shapes: Graph) -> _Prepared:
    from pyshacl import validate

    validate(Graph(), shacl_graph=shapes)  # what pySHACL patches in rdflib it patches here
    return _Prepared(shapes)


def check_shapes(graph: Graph, profile: str = "fdp", *, shapes: Graph | None = None) -> ShapeReport:
    """Validate a graph against the profile's shapes (or other ones, which nobody changes) without inference and without the network."""
    conforms, report = _prepared(shapes if shapes is not None else shapes_graph(profile)).validate(graph)
    return ShapeReport(profile, conforms, _results(report), report)


def _results(report: Graph) -> tuple[ShapeResult, ...]:
    found = []
    for node in report.subjects(RDF.type, SH.ValidationResult):
        severity = report.value(node, SH.resultSeverity)
        path = report.value(node, SH.resultPath)
        messages = sorted(str(text) for text in report.objects(node, SH.resultMessage))
        found.append(
            ShapeResult(
                severity=str(severity).rpartition("#")[2].lower(),
                focus=str(report.value(node, SH.focusNode) or ""),
                path=str(path) if isinstance(path, URIRef) else "",
                message=" ".join(messages) or str(report.value(node, SH.sourceConstraintComponent)).rpartition("#")[2],
            )
        )
    return tuple(sorted(found, key=str))


def require_valid(report: ShapeReport) -> None:
    """Raise when the report is not clean.

    Raises
    ------
    ShapeViolation : the view breaks its shapes; the message lists the first findings.
    """
    if not report.valid:
        words = "; ".join(str(item) for item in report.results[:5])
        raise ShapeViolation(
            f"The {report.profile} view breaks its shapes in {len(report.results)} places: {words}",
            remedy="Correct the catalogue settings or the export's parameters; nothing was published.",
        )
