from __future__ import annotations

import pytest

from fairlead.extract import FieldCatalogue, load_catalogue
from fairlead.resources import configs_folder


@pytest.fixture(scope="session")
def catalogue() -> FieldCatalogue:
    """Return the packaged catalogue."""
    return load_catalogue(configs_folder() / "fields.yaml")
