"""The OpenSearch adapter keeps the index contract on a real server."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from opensearchpy.exceptions import RequestError

from conformance.index_contract import CATALOGUE, IndexContract, MakeIndex
from fairlead.errors import InvalidConfiguration, ServiceUnreachable, UnsupportedInput
from fairlead.extract import load_catalogue
from fairlead.index.criteria import All, Has, MembersOf, Term, Text
from fairlead.index.opensearch import OpenSearchIndex
from fairlead.index.opensearch_client import connect
from fairlead.index.opensearch_mapping import LAYOUT
from fairlead.index.opensearch_mirror import Mirror
from fairlead.index.port import FacetValue
from fairlead.records import Community, Counts, DicomMetadata
from fairlead.resources import configs_folder
from fairlead.settings import IndexSettings, Settings
from index.builders import a_series
from live.ingesting import Ingest, killed_half_way, write_series
from live.servers import OpenSearch

pytestmark = pytest.mark.live


@pytest.fixture(scope="session")
def emptied(opensearch: OpenSearch) -> Callable[[], OpenSearchIndex]:
    """Return a maker of empty indexes that hands out three in turn: creating one costs the server more than emptying it."""
    three = [OpenSearchIndex(IndexSettings(backend="opensearch", url=opensearch.url, name=f"contract-{n}"), CATALOGUE) for n in range(3)]
    turn = itertools.cycle(three)

    def make() -> OpenSearchIndex:
        index = next(turn)
        index.remove(index.members(All()).ids)
        return index

    return make


class TestOpenSearchIndex(IndexContract):
    """The contract on real indexes."""

    @pytest.fixture
    def make_index(self, emptied: MakeIndex) -> MakeIndex:
        return emptied


class TestOpenSearchWithoutColumns:
    """What the server counts alone: the first minutes at a large index."""

    @pytest.fixture
    def make_index(self, emptied: MakeIndex, monkeypatch: pytest.MonkeyPatch) -> MakeIndex:
        monkeypatch.setattr(Mirror, "at", lambda _self, _token: nullcontext(None))
        return emptied

    test_counts = IndexContract.test_counts_are_exact_at_four_grains_and_in_bytes
    test_own_conditions = IndexContract.test_a_facet_leaves_out_its_own_conditions_and_ends_with_unknown
    test_several_values = IndexContract.test_a_record_is_in_the_bucket_of_each_of_its_values
    test_numbers = IndexContract.test_numbers_and_truth_values_are_buckets_too
    test_years = IndexContract.test_a_date_facet_counts_by_year
    test_the_evaluator = IndexContract.test_the_engine_agrees_with_the_plain_evaluator
    test_latest = IndexContract.test_the_latest_is_the_last_day_of_each_patient
    test_sums = IndexContract.test_facet_counts_add_up


# --- what only a server shows ------------------------------------------------------------------------------------------


@pytest.fixture
def here(opensearch: OpenSearch, request: pytest.FixtureRequest) -> IndexSettings:
    """Return settings of an index that no other test uses."""
    return IndexSettings(backend="opensearch", url=opensearch.url, name=f"only-{abs(hash(request.node.name)):x}")


def behind(here: IndexSettings) -> list[str]:
    return sorted(connect(here).indices.get_alias(name=here.name))


def test_a_changed_catalogue_moves_the_alias_to_a_new_index_and_keeps_the_generation(here: IndexSettings) -> None:
    fields = {name: field for name, field in CATALOGUE.fields.items() if name != "patient.sex"}
    before = OpenSearchIndex(here, replace(CATALOGUE, fields=fields, sha256="0" * 64))
    before.put([a_series("1", patient__sex="F"), a_series("2")])
    old, generation = behind(here), before.generation()
    assert before.members(Term("patient.sex", "F")).ids == ()
    after = OpenSearchIndex(here, CATALOGUE)
    assert after.members(Term("patient.sex", "F")).ids == ("local:default:1.2.1",)
    assert after.generation() == generation
    assert after.put([a_series("1", patient__sex="F")]).unchanged == 1
    assert behind(here) != old
    assert not connect(here).indices.exists(index=old[0])
    with pytest.raises(ServiceUnreachable, match="made anew for another field catalogue"):
        before.put([a_series("3")])


def test_an_index_of_the_former_layout_is_made_anew_with_everything_in_it_and_of_a_newer_one_refused(here: IndexSettings) -> None:
    catalogue = load_catalogue(configs_folder() / "fields.yaml")
    framed = [a_series(name, series__frame_of_reference=frame) for name, frame in (("1", "1.9.1"), ("2", "1.9.1"), ("3", "1.9.2"))]
    index, client = OpenSearchIndex(here, catalogue), connect(here)
    index.put(framed)

    def relayout(layout: int) -> None:
        """Give the index the number of another layout."""
        (name,) = behind(here)
        meta = client.indices.get_mapping(index=name)[name]["mappings"]["_meta"]
        client.indices.put_mapping(index=name, body={"_meta": meta | {"layout": layout}})

    client.update_by_query(index=here.name, body={"script": {"source": "ctx._source.remove('frame')"}}, params={"refresh": "true"})
    relayout(LAYOUT - 1)  # whose documents had no codes of frames of reference
    old, generation = behind(here), index.generation()
    with pytest.raises(ServiceUnreachable, match="made anew"):  # who writes meanwhile waits
        index.put(framed)
    after = OpenSearchIndex(here, catalogue)
    shared = Has("series", Term("modality", "DCM:CT"), 2, same="frameOfReference")
    assert after.members(shared).ids == ("local:default:1.2.1", "local:default:1.2.2")
    assert (after.generation(), after.put(framed).unchanged) == (generation, 3)
    assert behind(here) != old
    assert not client.indices.exists(index=old[0])
    relayout(LAYOUT + 1)
    newer = behind(here)
    with pytest.raises(InvalidConfiguration, match=f"The index {here.name} was made by a newer Fairlead"):
        OpenSearchIndex(here, catalogue)
    assert (behind(here), client.count(index=here.name)["count"]) == (newer, 3)


def test_numbers_that_were_lost_are_given_anew_to_everybody_and_never_twice(here: IndexSettings) -> None:
    index = OpenSearchIndex(here, CATALOGUE)
    index.put([a_series("1", patient="a", patient__sex="F"), a_series("2", patient="b", patient__sex="F")])
    generation = index.generation()
    connect(here).indices.delete(index=f"{here.name}-codes")
    with pytest.raises(ServiceUnreachable, match="index is not there"):
        index.put([a_series("3", patient="c")])
    after = OpenSearchIndex(here, CATALOGUE)
    assert after.generation() == generation
    with pytest.raises(ServiceUnreachable, match="or its numbers were"):  # it remembers numbers that others have now
        index.put([a_series("3", patient="c")])
    after.put([a_series("3", patient="c", patient__sex="M"), a_series("4", patient="d", patient__sex="M")])
    assert (after.count(All()).patients, after.count(All()).series) == (4, 4)
    assert [(one.value, one.patients) for one in after.facets(All(), ["patient.sex"])["patient.sex"]] == [("F", 2), ("M", 2)]


def test_a_copy_of_a_shard_that_is_still_being_made_has_no_say_in_the_change_token(here: IndexSettings) -> None:
    index = OpenSearchIndex(here, CATALOGUE)
    token = index._generations.change_token()
    stats = index.client.indices.stats

    def with_a_new_copy(*, stated: bool, **asked: object) -> dict[str, Any]:
        found = stats(**asked)
        for one in found["indices"].values():
            for copies in one["shards"].values():
                copies.append({"routing": {"state": "INITIALIZING"}})
                copies[:] = copies if stated else copies[1:]
        return cast("dict[str, Any]", found)

    index.client.indices.stats = partial(with_a_new_copy, stated=True)
    assert index._generations.change_token() == token
    index.client.indices.stats = partial(with_a_new_copy, stated=False)
    with pytest.raises(ServiceUnreachable, match="still opening"):
        index.count(All())


def test_a_record_that_the_server_refuses_does_not_stop_the_others(here: IndexSettings) -> None:
    index = OpenSearchIndex(here, CATALOGUE)
    report = index.put([a_series("1"), a_series("2", body_part="X" * 40_000), a_series("3")])
    assert (report.added, [refusal.source for refusal in report.refused]) == (2, ["local:default:1.2.2"])
    assert "X" not in report.refused[0].reason
    assert index.members(All()).ids == ("local:default:1.2.1", "local:default:1.2.3")


def test_several_processes_write_the_same_records_and_agree_on_patients(here: IndexSettings) -> None:
    records = [a_series(str(number), patient=f"p{number % 7}") for number in range(60)]
    indexes = [OpenSearchIndex(here, CATALOGUE) for _ in range(4)]
    with ThreadPoolExecutor(4) as writers:
        reports = list(writers.map(lambda index: index.put(records), indexes))
    assert sum(report.added for report in reports) == 60
    assert all(report.added + report.unchanged == 60 for report in reports)
    counts = indexes[0].count(All())
    assert (counts.patients, counts.studies, counts.series) == (7, 7, 60)


def test_the_mapping_is_strict_and_the_long_tail_can_be_searched(here: IndexSettings) -> None:
    index = OpenSearchIndex(here, CATALOGUE)
    record = a_series("1")
    tail = DicomMetadata(attributes={}, other={"00081140": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": ["1.2.3"]}}]}})
    index.put([record.model_copy(update={"community": Community(dicom=tail)})])
    client = connect(here)
    assert client.count(index=here.name, body={"query": {"term": {"other.dicom/00081140/00081155": "1.2.3"}}})["count"] == 1
    with pytest.raises(RequestError, match="strict_dynamic_mapping_exception"):
        client.index(index=here.name, body={"nobody_declared": 1})


def test_more_members_than_a_terms_query_takes_are_found(here: IndexSettings) -> None:
    index = OpenSearchIndex(here, CATALOGUE)
    index.put([a_series("1"), a_series("2")])
    many = frozenset(f"local:default:1.2.{number}" for number in range(2, 70_000))
    assert index.members(MembersOf(many)).ids == ("local:default:1.2.2",)


def test_a_text_is_searched_by_words_and_has_no_buckets(here: IndexSettings) -> None:
    index = OpenSearchIndex(here, CATALOGUE)
    index.put([a_series("1", series__description=("thorax thin", "head b30f")), a_series("2", series__description="thorax b30f")])
    assert index.members(Text("series.description", ("thorax", "B30f"))).ids == ("local:default:1.2.2",)
    for refused in (
        lambda: index.facets(All(), ["series.description"]),
        lambda: index.members(Term("series.description", "x")),
        lambda: index.members(Text("modality", ("CT",))),
    ):
        with pytest.raises(UnsupportedInput, match=r"series\.description|modality"):
            refused()


# --- columns beside the process ---------------------------------------------------------------------------------------------


def test_a_large_index_is_counted_by_the_server_until_its_columns_are_read(
    here: IndexSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairlead.index.opensearch_mirror.READ_AT_ONCE", 2)
    index = OpenSearchIndex(here, CATALOGUE, columns=tmp_path / "columns")
    index.put([a_series(str(number), patient=f"p{number % 2}") for number in range(5)])
    by_server = index.facets(All(), ["modality"])
    index.mirror.wait()
    assert (tmp_path / "columns").is_file()
    again = OpenSearchIndex(here, CATALOGUE, columns=tmp_path / "columns")
    assert index.count(All()) == again.count(All()) == Counts(patients=2, studies=2, series=5, images=50, size_bytes=50_000)
    assert again.facets(All(), ["modality"]) == by_server == {"modality": (FacetValue("CT", "CT", 2, 5),)}
    assert again.mirror.is_current()  # from the file: five records are more than it may read while a question waits


def test_columns_follow_what_other_processes_write_and_remove(here: IndexSettings) -> None:
    reader, writer = OpenSearchIndex(here, CATALOGUE), OpenSearchIndex(here, CATALOGUE)
    writer.put([a_series("1"), a_series("2"), a_series("3")])
    assert reader.count(Term("modality", "CT")).series == 3
    writer.put([a_series("1", modality="MR")])
    writer.remove(["local:default:1.2.2"])
    assert (reader.count(Term("modality", "CT")).series, reader.count(Term("modality", "MR")).series) == (1, 1)
    assert reader.count(MembersOf(frozenset({"local:default:1.2.2", "local:default:1.2.3"}))).series == 1
    writer.clear()
    assert reader.count(All()).series == 0
    assert reader.mirror.is_current()


# --- outage --------------------------------------------------------------------------------------------------------------


def test_a_killed_server_loses_nothing(opensearch: OpenSearch, tmp_path: Path) -> None:
    (tmp_path / "series").mkdir()
    server = {"backend": "opensearch", "url": opensearch.url, "name": "outage"}
    ingest = Ingest(Settings(home=tmp_path / "home", index=server))
    ingest.receive(write_series(tmp_path / "series"))
    said = killed_half_way(ingest, lambda _: opensearch.kill())
    assert "ServiceUnreachable: OpenSearch does not answer." in said
    assert ingest.ledger().waiting() > 0
    with pytest.raises(ServiceUnreachable, match="OpenSearch does not answer"):
        ingest.drain(hours=1)
    opensearch.start()
    assert ingest.drain(hours=2).quarantined == ()
    ingest.check()
    ingest.close()
