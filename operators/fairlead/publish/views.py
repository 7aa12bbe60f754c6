"""Every view of every document, by name: which renderer, which shapes, and how a graph becomes text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rdflib import Graph

from fairlead.errors import NotFound
from fairlead.publish.addresses import Site
from fairlead.publish.graph import EPOCH, Child, catalog_graph, dataset_graph, distribution_graph, new_graph, root_graph
from fairlead.publish.graph_ap import catalog_graph_ap, dataset_graph_ap, distribution_graph_ap, root_graph_ap
from fairlead.publish.graph_health import catalog_graph_health, dataset_graph_health, distribution_graph_health, root_graph_health
from fairlead.publish.graph_imaging import dataset_graph_imaging, distribution_graph_imaging
from fairlead.publish.graph_series import SeriesNode, series_graph, series_graph_ap
from fairlead.publish.vocabulary import PREFIXES
from fairlead.records import DatasetRecord, Distribution


@dataclass(frozen=True, slots=True)
class RootNode:
    """The FAIR Data Point itself."""

    modified: datetime = EPOCH
    software_version: str = ""


@dataclass(frozen=True, slots=True)
class CatalogNode:
    """A catalogue with the datasets that are published now."""

    records: tuple[DatasetRecord, ...]
    series: tuple[Child, ...] = ()


@dataclass(frozen=True, slots=True)
class DatasetNode:
    """One dataset, without its distributions' own statements."""

    record: DatasetRecord


@dataclass(frozen=True, slots=True)
class DistributionNode:
    """One distribution of a dataset."""

    record: DatasetRecord
    distribution: Distribution


type Node = RootNode | CatalogNode | SeriesNode | DatasetNode | DistributionNode

RDF_TYPES: Final[Mapping[str, str]] = {
    "text/turtle": "turtle",
    "application/ld+json": "json-ld",
    "application/rdf+xml": "xml",
    "application/n-triples": "nt",
}
"""Media types of the RDF serialisations, and rdflib's names for them."""


def _fdp(site: Site, node: Node) -> Graph:
    match node:
        case RootNode():
            return root_graph(site, modified=node.modified, software_version=node.software_version)
        case CatalogNode():
            return catalog_graph(site, node.records, node.series)
        case SeriesNode():
            return series_graph(site, node)
        case DatasetNode():
            return dataset_graph(site, node.record)
        case DistributionNode():
            return distribution_graph(site, node.record, node.distribution)


def _ap(site: Site, node: Node) -> Graph:
    match node:
        case RootNode():
            return root_graph_ap(site)
        case CatalogNode():
            return catalog_graph_ap(site, node.records)
        case SeriesNode():
            return series_graph_ap(node)
        case DatasetNode():
            return dataset_graph_ap(site, node.record)
        case DistributionNode():
            return distribution_graph_ap(site, node.record, node.distribution)


def _health(site: Site, node: Node) -> Graph:
    match node:
        case RootNode():
            return root_graph_health(site)
        case CatalogNode():
            return catalog_graph_health(site, node.records)
        case SeriesNode():
            return series_graph_ap(node)
        case DatasetNode():
            return dataset_graph_health(site, node.record)
        case DistributionNode():
            return distribution_graph_health(site, node.record, node.distribution)


def _imaging(site: Site, node: Node) -> Graph:
    match node:
        case DatasetNode():
            return dataset_graph_imaging(site, node.record)
        case DistributionNode():
            return distribution_graph_imaging(site, node.record, node.distribution)
        case _:
            return _fdp(site, node)


VIEWS: Final[Mapping[str, Callable[[Site, Node], Graph]]] = {
    "fdp": _fdp,
    "dcat-ap": _ap,
    "health-ri": _ap,
    "healthdcat-ap": _health,
    "imaging": _imaging,
}
"""Profiles that can be asked for by ``?profile=``."""


def render(what: DatasetRecord | Node, profile: str = "fdp", *, site: Site) -> Graph:
    """Return the view of one document; a whole :class:`DatasetRecord` gives the dataset and all its distributions.

    Raises
    ------
    NotFound : there is no such profile; the message names those there are.
    """
    view = VIEWS.get(profile)
    if view is None:
        raise NotFound(f"There is no profile {profile!r} here.", remedy=f"Profiles: {', '.join(VIEWS)}.")
    if isinstance(what, DatasetRecord):
        graph = new_graph()
        parts: tuple[Node, ...] = (DatasetNode(what), *(DistributionNode(what, item) for item in what.distributions))
        for part in parts:
            graph += view(site, part)
        return graph
    return view(site, what)


def serialise(graph: Graph, media_type: str) -> bytes:
    """Return the graph as text, the same bytes for the same graph; JSON-LD has its context inline, never a remote one."""
    if media_type == "application/ld+json":
        return graph.serialize(format="json-ld", context=dict(PREFIXES), auto_compact=False, sort_keys=True, indent=2).encode()
    if media_type == "application/n-triples":
        lines = sorted(graph.serialize(format="nt").split("\n"))  # not splitlines: it knows line ends that RDF does not
        return ("\n".join(lines).strip() + "\n").encode()
    return graph.serialize(format=RDF_TYPES[media_type]).encode()
