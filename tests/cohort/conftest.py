"""The real field catalogue, and an index of a few records over it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from fairlead.cohort import CohortStore, Definition, parse_definition
from fairlead.extract import FieldCatalogue, load_catalogue
from fairlead.index import Index
from fairlead.index.embedded import EmbeddedIndex
from fairlead.resources import configs_folder
from index.builders import a_series, an_image


@pytest.fixture(scope="session")
def catalogue() -> FieldCatalogue:
    return load_catalogue(configs_folder() / "fields.yaml")


@pytest.fixture
def index(tmp_path: Path, catalogue: FieldCatalogue) -> Index:
    """Return four series of three patients and one microscopy image."""
    opened = EmbeddedIndex(tmp_path / "index.sqlite", catalogue)
    opened.put(
        [
            a_series("1", patient="p1", study="1", body_part="CHEST", instances=40, patient__sex="F", series__slice_thickness_mm=1.25),
            a_series("2", patient="p1", study="1", body_part="CHEST", instances=2, patient__sex="F", series__slice_thickness_mm=5.0),
            a_series("3", patient="p2", study="2", modality="MR", body_part="HEAD", patient__sex="M"),
            a_series("4", patient="p3", study="3"),
            an_image("a", patient="m1", ome__channel_name=("DAPI", "GFP")),
        ]
    )
    return opened


@pytest.fixture
def store(engine: Engine) -> CohortStore:
    return CohortStore(engine)


EVERYTHING = {"field": "kind", "op": "exists"}

type Define = Callable[..., Definition]


@pytest.fixture
def define(catalogue: FieldCatalogue) -> Define:
    """Return a function that parses ``include`` and further keys of a definition."""

    def parse(include: Any = EVERYTHING, **more: Any) -> Definition:
        document = {"schemaVersion": "1", "title": "A cohort", "unit": "series", "include": include}
        return parse_definition(document | more, catalogue)

    return parse
