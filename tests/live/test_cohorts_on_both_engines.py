"""Every definition of the gallery, and random ones, give the same members, counts and facets on both engines."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead.cohort import Definition, compile_definition, count_definition, facet_definition, parse_definition, read_definition
from fairlead.extract import FieldCatalogue, load_catalogue, read_paths
from fairlead.index import Index
from fairlead.index.embedded import EmbeddedIndex
from fairlead.index.idc import record_of
from fairlead.index.opensearch import OpenSearchIndex
from fairlead.records import Geometry, ImagingRecord
from fairlead.resources import configs_folder
from fairlead.settings import IndexSettings
from index.builders import a_series, an_image
from live.idc_rows import idc_rows
from live.servers import OpenSearch

pytestmark = pytest.mark.live

GALLERY = sorted((configs_folder() / "cohorts").glob("*.yaml"))
CATALOGUE: FieldCatalogue = load_catalogue(configs_folder() / "fields.yaml")
FOLDERS = ("dicom/ct", "dicom/mr", "dicom/seg", "dicom/dicomdir_fileset", "ome/tiff")
FIELDS = ("modality", "body_part", "manufacturer", "kind", "patient.sex", "study_date")
NUMBERS = count()


def measured(record: ImagingRecord) -> ImagingRecord:
    """Return the record of a stack without gaps, finer than a millimetre."""
    stack = Geometry(size_x=512, size_z=40, spacing_x_mm=0.7, regular=True, missing_slices=0)
    return record.model_copy(update={"core": record.core.model_copy(update={"geometry": stack})})


def built() -> list[ImagingRecord]:
    """Return a small archive in which every definition of the gallery finds somebody."""
    ct: dict[str, Any] = {"patient__age_years": 60.0, "series__slice_thickness_mm": 1.25, "series__regular": True}
    return [
        a_series("1", patient="p1", study="1", study_date="2014-05-01", body_part="CHEST", **ct),
        a_series("2", patient="p1", study="1", modality="PT", study_date="2014-05-01"),
        measured(a_series("3", patient="p1", study="2", study_date="2016-05-01", body_part="CHEST", **ct)),
        a_series("4", patient="p2", study="3", study_date="2017-05-01", body_part="HEAD", patient__age_years=12.0),
        a_series("5", patient="p2", study="3", modality="SEG", study_date="2017-05-01"),
        a_series("6", patient="p3", study="4", modality="MR", study_date="2018-05-01", body_part="HEAD"),
        a_series("7", patient="p3", study="5", study_date="2019-05-01", body_part="CHEST"),
        a_series("8", patient="p3", study="5", study_date="2019-05-01"),
        an_image("slide", patient="p1", organism="Mus musculus", ome__channel_name=("DAPI", "GFP")),
        an_image("other", patient="m2", organism="Homo sapiens", ome__channel_name=("GFP",)),
    ]


EXPECTED = {
    "ct-and-pet-in-one-study": ["1", "2"],
    "two-time-points": ["1", "3"],
    "recent-unannotated": ["3", "7", "8"],
    "annotated": ["4"],
    "ct-with-mr": ["6", "7", "8"],
    "several-series-in-a-study": ["7", "8"],
    "latest-ct-per-patient": ["3", "4", "7", "8"],
    "adults-or-age-unknown": ["3"],
    "radiology-and-microscopy": ["3"],
    "two-of-three": ["3"],
}
"""Series of the built archive, worked out by hand."""


class Both:
    """The same records in both engines."""

    def __init__(self, folder: Path, url: str, records: list[ImagingRecord]) -> None:
        name = f"both-{next(NUMBERS)}"
        found: list[Index] = [
            EmbeddedIndex(folder / "index.sqlite", CATALOGUE),
            OpenSearchIndex(IndexSettings(backend="opensearch", url=url, name=name), CATALOGUE),
        ]
        self.embedded, self.opensearch = found
        for index in found:
            index.put(records)

    def members(self, definition: Definition) -> tuple[str, ...]:
        """Return the members after comparing everything that the engines say."""
        ours, theirs = (
            (
                index.members(compile_definition(definition)),
                count_definition(definition, index=index, catalogue=CATALOGUE),
                facet_definition(definition, index=index, catalogue=CATALOGUE, fields=FIELDS).facets,
            )
            for index in (self.embedded, self.opensearch)
        )
        assert ours == theirs
        return ours[0].ids


@pytest.fixture(scope="module")
def both(opensearch: OpenSearch, tmp_path_factory: pytest.TempPathFactory) -> Both:
    return Both(tmp_path_factory.mktemp("built"), opensearch.url, built())


@pytest.fixture(scope="module")
def real(opensearch: OpenSearch, tmp_path_factory: pytest.TempPathFactory, data: Path) -> Both:
    found = read_paths([data / name for name in FOLDERS], catalogue=CATALOGUE, key=bytes(32), project="default", center="local")
    records = [record for record in found if isinstance(record, ImagingRecord)]
    return Both(tmp_path_factory.mktemp("real"), opensearch.url, records)


@pytest.fixture(scope="module")
def table(opensearch: OpenSearch, tmp_path_factory: pytest.TempPathFactory) -> Both:
    return Both(tmp_path_factory.mktemp("table"), opensearch.url, [record_of(row) for row in idc_rows(400)])


def test_the_gallery_has_a_dozen_definitions_and_more() -> None:
    assert len(GALLERY) >= 12


@pytest.mark.parametrize("file", GALLERY, ids=lambda file: file.stem)
def test_a_definition_of_the_gallery_means_the_same_on_both_engines(both: Both, file: Path) -> None:
    found = both.members(parse_definition(read_definition(file), CATALOGUE))
    assert found
    if file.stem in EXPECTED:
        assert [name.rpartition(".")[2] for name in found] == EXPECTED[file.stem]


LEAVES = st.one_of(
    st.builds(
        lambda values: {"field": "modality", "op": "in", "value": values}, st.lists(st.sampled_from(["CT", "MR", "SEG"]), min_size=1)
    ),
    st.builds(
        lambda op, value: {"field": "series.instances", "op": op, "value": value}, st.sampled_from(["<=", ">", "="]), st.integers(0, 9)
    ),
    st.builds(
        lambda year, keep: {"field": "study_date", "op": ">=", "value": str(year), "orMissing": keep},
        st.integers(1995, 2020),
        st.booleans(),
    ),
    st.builds(lambda name, op: {"field": name, "op": op}, st.sampled_from(FIELDS), st.sampled_from(["exists", "missing"])),
    st.just({"field": "patient.sex", "op": "!=", "value": "M"}),
    st.builds(lambda word: {"field": "series.description", "op": "match", "value": word}, st.sampled_from(["ct", "head", "axial"])),
)


def _grown(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        st.builds(lambda of: {"all": of}, several),
        st.builds(lambda of: {"any": of}, several),
        st.builds(lambda one: {"not": one}, inner),
        st.builds(lambda one: {"latest": "study", "where": one}, inner),
        st.builds(
            lambda grain, same, least, where: {
                "has": grain,
                "same": same,
                "count": {"min": least} if least else {"max": 0},
                "where": where,
            },
            *(st.sampled_from(["series", "image"]), st.sampled_from(["patient", "study", "frameOfReference"]), st.integers(0, 3), inner),
        ),
    )


@given(st.recursive(LEAVES, _grown, max_leaves=5), st.sampled_from(["patient", "study", "series", "image"]))
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_random_definitions_mean_the_same_on_both_engines_over_real_files(real: Both, include: Any, unit: str) -> None:
    real.members(parse_definition({"schemaVersion": "1", "title": "Random", "unit": unit, "include": include}, CATALOGUE))


@given(st.recursive(LEAVES, _grown, max_leaves=5), st.sampled_from(["patient", "study", "series", "image"]))
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_random_definitions_mean_the_same_on_both_engines_over_rows_like_the_idc_table(table: Both, include: Any, unit: str) -> None:
    table.members(parse_definition({"schemaVersion": "1", "title": "Random", "unit": unit, "include": include}, CATALOGUE))
