"""A Kaapana index on a real server is read, never written."""

from __future__ import annotations

from pathlib import Path

import pytest

from extract.test_kaapana import DOCUMENT, ROUTE
from fairlead.extract import load_catalogue
from fairlead.index import All, Term
from fairlead.index.embedded import EmbeddedIndex
from fairlead.index.kaapana import load_kaapana
from fairlead.index.opensearch_client import connect
from fairlead.resources import configs_folder
from fairlead.settings import IndexSettings
from index.builders import a_series
from live.servers import OpenSearch

pytestmark = pytest.mark.live
SERIES = "0020000E SeriesInstanceUID_keyword"


def test_a_kaapana_index_is_read_once_and_ours_stays_ours(opensearch: OpenSearch, tmp_path: Path) -> None:
    source = IndexSettings(backend="opensearch", url=opensearch.url, name="project_lung")
    server = connect(source)
    server.indices.create(index="project_lung", body={"mappings": {"date_detection": False}})  # as Kaapana: dynamic, text with .keyword
    plain = {name: value for name, value in DOCUMENT.items() if not isinstance(value, dict)}
    documents = [plain | {SERIES: f"1.2.{number}"} for number in (1, 2, 3)] + [{SERIES: "1.2.4"}]
    for document in documents:
        server.index(index="project_lung", id=document[SERIES], body=document, params={"refresh": "true"})
    before = server.indices.stats(index="project_lung")["_all"]["primaries"]["indexing"]["index_total"]
    catalogue = load_catalogue(configs_folder() / "fields.yaml")
    index = EmbeddedIndex(tmp_path / "i.sqlite", catalogue)
    index.put([a_series("3", center="kaapana", project="lung", modality="MR")])
    report = load_kaapana(index, source, route=ROUTE, catalogue=catalogue, key=bytes(32))
    assert (report.added, [refusal.source for refusal in report.refused]) == (2, ["document 1.2.4"])
    assert (index.count(All()).series, index.count(Term("modality", "DCM:MR")).series) == (3, 1)
    server.index(
        index="project_lung", id="1.2.2", body=plain | {SERIES: "1.2.2", "00080060 Modality_keyword": "PT"}, params={"refresh": "true"}
    )
    again = load_kaapana(index, source, route=ROUTE, catalogue=catalogue, key=bytes(32))
    assert (again.added, again.changed, again.unchanged) == (0, 1, 1)
    assert server.indices.stats(index="project_lung")["_all"]["primaries"]["indexing"]["index_total"] == before + 1  # ours, above
