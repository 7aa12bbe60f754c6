"""Publish: from a cohort version and its stores to one dataset record, its FAIR views, and one atomic publication.

:class:`Exports` is the work list; :class:`DatasetStore` is what is published now; :func:`render` gives every view of a
record and :func:`check_shapes` judges it; :func:`withdraw` puts a tombstone in its place.
"""

from __future__ import annotations

from fairlead.publish.addresses import Site
from fairlead.publish.check import ShapeReport, ShapeResult, check_shapes, shapes_graph
from fairlead.publish.crate import write_crate
from fairlead.publish.datasheet import datasheet, datasheet_graph
from fairlead.publish.describing import RECORD_FILES
from fairlead.publish.documents import DOCUMENTS, document_of
from fairlead.publish.exports import Exports
from fairlead.publish.graph_series import SeriesNode
from fairlead.publish.mirror import MirrorReport, mirror_folder
from fairlead.publish.model import build_record
from fairlead.publish.parameters import ExportParameters, read_parameters
from fairlead.publish.states import ExportState
from fairlead.publish.store import DatasetStore, Tombstone, withdraw
from fairlead.publish.verify import record_files, verify_published
from fairlead.publish.views import (
    RDF_TYPES,
    VIEWS,
    CatalogNode,
    DatasetNode,
    DistributionNode,
    Node,
    RootNode,
    render,
    serialise,
)
from fairlead.publish.vocabulary import AccessRights
from fairlead.publish.worklist import Export, export_id

__all__ = [
    "DOCUMENTS",
    "RDF_TYPES",
    "RECORD_FILES",
    "VIEWS",
    "AccessRights",
    "CatalogNode",
    "DatasetNode",
    "DatasetStore",
    "DistributionNode",
    "Export",
    "ExportParameters",
    "ExportState",
    "Exports",
    "MirrorReport",
    "Node",
    "RootNode",
    "SeriesNode",
    "ShapeReport",
    "ShapeResult",
    "Site",
    "Tombstone",
    "build_record",
    "check_shapes",
    "datasheet",
    "datasheet_graph",
    "document_of",
    "export_id",
    "mirror_folder",
    "read_parameters",
    "record_files",
    "render",
    "serialise",
    "shapes_graph",
    "verify_published",
    "withdraw",
    "write_crate",
]
