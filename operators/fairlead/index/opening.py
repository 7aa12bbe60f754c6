"""Open the configured index."""

from __future__ import annotations

from fairlead.errors import UnsupportedInput
from fairlead.extract import FieldCatalogue
from fairlead.index.embedded import EmbeddedIndex
from fairlead.index.port import Index
from fairlead.settings import Settings


def open_index(settings: Settings, catalogue: FieldCatalogue) -> Index:
    """Return the index that the settings name, created when it does not exist yet.

    Raises
    ------
    UnsupportedInput : the backend has no adapter here.
    """
    if settings.index.backend == "embedded":
        return EmbeddedIndex(settings.index_file, catalogue)
    raise UnsupportedInput(
        f"There is no adapter for the index backend {settings.index.backend!r} yet; supported: embedded.",
        remedy="Set index.backend to embedded (FAIRLEAD_INDEX__BACKEND=embedded).",
    )
