"""The front door: DICOM node, watched places and imports in; durable objects and a ledger of complete series out.

What other rooms need is here: the :class:`Ledger` as work list, the doors (:class:`DicomNode`, :class:`StorageWatch`,
:func:`import_paths`), the one sink behind them, the routes, and the state of it all.
"""

from fairlead.receive.bucket_watch import StorageWatch
from fairlead.receive.completion import generation_of
from fairlead.receive.copying import complete_imports
from fairlead.receive.file_ledger import Recorded
from fairlead.receive.importing import ImportReport, import_paths
from fairlead.receive.ledger import Ledger
from fairlead.receive.node import DicomNode
from fairlead.receive.pulling import PullReport, Wish, pull
from fairlead.receive.quarantining import export_quarantine, list_quarantine, retry_quarantine
from fairlead.receive.routes import RouteTable, load_routes
from fairlead.receive.series_ledger import Arrival, RelationConflict, Stored
from fairlead.receive.sink import Announced, InstanceSink, StoreOutcome
from fairlead.receive.status import NodeStatus, node_status
from fairlead.receive.watch import FolderWatch

__all__ = [
    "Announced",
    "Arrival",
    "DicomNode",
    "FolderWatch",
    "ImportReport",
    "InstanceSink",
    "Ledger",
    "NodeStatus",
    "PullReport",
    "Recorded",
    "RelationConflict",
    "RouteTable",
    "StorageWatch",
    "StoreOutcome",
    "Stored",
    "Wish",
    "complete_imports",
    "export_quarantine",
    "generation_of",
    "import_paths",
    "list_quarantine",
    "load_routes",
    "node_status",
    "pull",
    "retry_quarantine",
]
