"""Open the configured index."""

from __future__ import annotations

from fairlead.errors import InvalidConfiguration
from fairlead.extract import FieldCatalogue
from fairlead.index.embedded import EmbeddedIndex
from fairlead.index.port import Index
from fairlead.settings import Settings, prepare_home


def open_index(settings: Settings, catalogue: FieldCatalogue) -> Index:
    """Return the index that the settings name, created when it does not exist yet.

    Raises
    ------
    InvalidConfiguration : the backend needs a package that is not installed; ServiceUnreachable : the server does not answer.
    """
    if settings.index.backend == "embedded":
        prepare_home(settings)
        return EmbeddedIndex(settings.index_file, catalogue)
    try:
        from fairlead.index.opensearch import OpenSearchIndex
    except ModuleNotFoundError as error:
        raise InvalidConfiguration(
            "index.backend is opensearch, and its client is not installed.", remedy="Install fairlead[opensearch]."
        ) from error
    home = settings.home_folder  # not needed for this engine: without one the columns are read again by each process
    return OpenSearchIndex(settings.index, catalogue, columns=home / "opensearch-columns" if home.is_dir() else None)
