"""Publish: from a cohort version and its stores to one dataset record, its FAIR views, and one atomic publication."""

from __future__ import annotations

from fairlead.publish.addresses import Site
from fairlead.publish.check import ShapeReport, check_shapes
from fairlead.publish.views import CatalogNode, DatasetNode, DistributionNode, RootNode, render, serialise

__all__ = [
    "CatalogNode",
    "DatasetNode",
    "DistributionNode",
    "RootNode",
    "ShapeReport",
    "Site",
    "check_shapes",
    "render",
    "serialise",
]
