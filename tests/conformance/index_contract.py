"""What every index engine must do. An adapter's test subclasses :class:`IndexContract` and gives a ``make_index`` fixture."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance import evaluator
from conformance.criteria import CRITERIA, TAILS, records
from fairlead.errors import InvalidInput, NotFound, UnsupportedInput
from fairlead.index import Index
from fairlead.index.criteria import (
    All,
    And,
    AtLeast,
    Criterion,
    Exists,
    Has,
    Latest,
    MembersOf,
    Missing,
    Not,
    OneOf,
    Or,
    Range,
    Tail,
    Term,
    Text,
)
from fairlead.index.port import FacetValue
from fairlead.index.rows import row_of
from fairlead.records import Counts, ImagingRecord
from index.builders import SmallCatalogue, a_series, an_image, small_catalogue

type MakeIndex = Callable[[], Index]
CATALOGUE: SmallCatalogue = small_catalogue()
SAMPLED = ["31", "23", "27", "21", "13"]
SHARED = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]
)


def filled(make_index: MakeIndex, *found: ImagingRecord) -> Index:
    """Return a fresh index that holds the records."""
    index = make_index()
    index.put(found)
    return index


def uids(index: Index, criterion: Criterion) -> list[str]:
    """Return the last part of the members' ids."""
    return [record_id.rsplit(".", 1)[-1] for record_id in index.members(criterion).ids]


class IndexContract:
    """The promise of the index port."""

    def test_a_record_comes_back_as_it_went_in(self, make_index: MakeIndex) -> None:
        record = a_series("1", body_part="CHEST", patient__age_years=61.5, study_date="2019-06-01")
        assert filled(make_index, record).get(record.id) == record

    def test_the_same_series_twice_in_a_batch_is_one_member(self, make_index: MakeIndex) -> None:
        index = make_index()
        report = index.put([a_series("1"), a_series("1")])
        assert (report.added, report.changed, report.unchanged) == (1, 0, 1)
        assert uids(index, All()) == ["1"]

    def test_put_tells_added_changed_and_unchanged_apart(self, make_index: MakeIndex) -> None:
        index = filled(make_index, a_series("1"), a_series("2"))
        report = index.put([a_series("1"), a_series("2", modality="MR"), a_series("3")])
        assert (report.added, report.changed, report.unchanged) == (1, 1, 1)

    def test_a_revised_record_is_found_by_its_new_values_only(self, make_index: MakeIndex) -> None:
        index = filled(make_index, a_series("1"), a_series("2"))
        index.count(All())
        index.put([a_series("1", modality="MR")])
        assert (uids(index, Term("modality", "MR")), uids(index, Term("modality", "CT"))) == (["1"], ["2"])

    def test_removing_returns_how_many_were_there(self, make_index: MakeIndex) -> None:
        index = filled(make_index, a_series("1"), a_series("2"))
        index.count(All())
        assert index.remove(["local:default:1.2.1", "local:default:1.2.9"]) == 1
        assert uids(index, All()) == ["2"]
        assert uids(index, MembersOf(frozenset({"local:default:1.2.1", "local:default:1.2.2"}))) == ["2"]

    def test_an_id_that_is_not_there_is_not_found(self, make_index: MakeIndex) -> None:
        with pytest.raises(NotFound, match="no such record"):
            make_index().get("local:default:1.2.3")

    def test_records_are_read_in_the_order_asked_and_who_is_absent_is_left_out(self, make_index: MakeIndex) -> None:
        made = {f"local:default:1.2.{number}": a_series(str(number)) for number in range(1, 1_203)}
        index = filled(make_index, *made.values())
        asked = ["local:default:1.2.9999", *reversed(made), "no:such:record"]
        assert list(index.read(iter(asked))) == list(reversed(made.values()))
        assert list(index.read([])) == []

    def test_a_batch_that_fails_leaves_nothing_behind(self, make_index: MakeIndex) -> None:
        index = make_index()

        def broken_off():  # type: ignore[no-untyped-def]
            yield a_series("1")
            raise ConnectionResetError

        with pytest.raises(ConnectionResetError):
            index.put(broken_off())
        assert index.status().records == 0

    def test_clearing_removes_everything_and_the_index_goes_on_working(self, make_index: MakeIndex) -> None:
        index = filled(make_index, a_series("1"), a_series("2"))
        index.clear()
        assert index.count(All()) == Counts(patients=0, studies=0, series=0, images=0, size_bytes=0)
        index.put([a_series("2")])
        assert uids(index, All()) == ["2"]

    def test_equal_content_gives_the_same_generation_whatever_the_order(self, make_index: MakeIndex) -> None:
        one = filled(make_index, a_series("1"), an_image("a"), a_series("2"))
        other = filled(make_index, a_series("2"), a_series("1", modality="MR"), a_series("7"))
        other.put([an_image("a"), a_series("1")])
        assert one.generation() != other.generation()
        other.remove(["local:default:1.2.7"])
        assert one.generation() == other.generation() == one.status().generation

    def test_a_changed_record_changes_the_generation(self, make_index: MakeIndex) -> None:
        index = filled(make_index, a_series("1"))
        before = index.generation()
        index.put([a_series("1", modality="MR")])
        assert index.generation() != before

    def test_counts_are_exact_at_four_grains_and_in_bytes(self, make_index: MakeIndex) -> None:
        index = filled(
            make_index,
            a_series("1", patient="p1", study="1", instances=40),
            a_series("2", patient="p1", study="1", instances=2),
            a_series("3", patient="p1", study="2", instances=10),
            a_series("4", patient="p2", study="3", instances=1),
            an_image("a", patient="p2"),
        )
        assert index.count(All()) == Counts(patients=2, studies=4, series=5, images=54, size_bytes=53_500)

    def test_a_study_that_stands_under_two_patients_counts_once(self, make_index: MakeIndex) -> None:
        index = filled(make_index, a_series("1", patient="p1", study="1"), a_series("2", patient="p2", study="1"))
        assert index.count(All()) == Counts(patients=2, studies=1, series=2, images=20, size_bytes=20_000)
        assert uids(index, Has("study", All(), minimum=1)) == ["1", "2"]

    def test_the_same_patient_key_at_two_centres_is_two_patients(self, make_index: MakeIndex) -> None:
        index = filled(make_index, a_series("1", center="local"), a_series("1", center="other"))
        assert index.count(All()).patients == 2

    def test_members_come_sorted_with_their_keys(self, make_index: MakeIndex) -> None:
        found = filled(make_index, a_series("2", patient="p2"), a_series("1", patient="p1")).members(All())
        assert found.ids == ("local:default:1.2.1", "local:default:1.2.2")
        assert found.patients == ("local:default:p1", "local:default:p2")
        assert len(set(found.revisions)) == len(set(found.studies)) == 2

    @pytest.mark.parametrize(
        ("criterion", "expected"),
        [
            pytest.param(Term("modality", "CT"), ["1", "2"], id="equal"),
            pytest.param(OneOf("modality", ("MR", "PT")), ["3"], id="one of"),
            pytest.param(Range("series.slice_thickness_mm", lte=2.5), ["1"], id="at most"),
            pytest.param(Range("series.slice_thickness_mm", gt=2.5), ["2"], id="above"),
            pytest.param(Range("series.slice_thickness_mm", lte=2.5, or_missing=True), ["1", "3"], id="at most or missing"),
            pytest.param(Range("study_date", gte="2019-01-01", lt="2020-01-01"), ["1"], id="dates"),
            pytest.param(Not(Range("series.slice_thickness_mm", lte=2.5)), ["2"], id="not never takes in missing"),
            pytest.param(Not(Term("patient.sex", "F", or_missing=True)), ["2"], id="not drops what or_missing kept"),
            pytest.param(Missing("series.slice_thickness_mm"), ["3"], id="missing"),
            pytest.param(Not(Exists("series.slice_thickness_mm")), ["3"], id="does not exist"),
            pytest.param(Text("series.description", ("ct", "THIN")), ["1"], id="whole words, any case"),
            pytest.param(Text("series.description", ("thi",)), [], id="no parts of words"),
            pytest.param(
                AtLeast(2, (Term("modality", "CT"), Term("patient.sex", "M"), Term("body_part", "CHEST"))), ["1", "2"], id="2 of 3"
            ),
            pytest.param(MembersOf(frozenset(), patients=frozenset({"local:default:p1"})), ["1", "2", "3"], id="everything of a patient"),
            pytest.param(
                MembersOf(frozenset({"local:default:1.2.3"}), frozenset({"other:default:p1", "p1"})), ["3"], id="by id or patient"
            ),
            pytest.param(And(()), ["1", "2", "3"], id="all of nothing"),
            pytest.param(Or(()), [], id="any of nothing"),
            pytest.param(Term("no.such.field", 1), [], id="field nobody states"),
        ],
    )
    def test_a_criterion_finds(self, make_index: MakeIndex, criterion: Criterion, expected: list[str]) -> None:
        index = filled(
            make_index,
            a_series(
                "1",
                patient__sex="F",
                body_part="CHEST",
                series__slice_thickness_mm=2.5,
                study_date="2019-06-01",
                series__description="Thin CT",
            ),
            a_series("2", patient__sex="M", series__slice_thickness_mm=5.0, study_date="2021-01-01", series__description="think CT"),
            a_series("3", modality="MR"),
        )
        assert uids(index, criterion) == expected

    @pytest.mark.parametrize(
        ("criterion", "expected"),
        [
            pytest.param(Tail("dicom/00181030", "Thorax=1 (Adult)"), ["1"], id="value"),
            pytest.param(Tail("dicom/00181030", "thorax=1 (adult)"), [], id="letter case counts"),
            pytest.param(Tail("dicom/00081140/00081155", "1.2.4"), ["2"], id="any item of a sequence"),
            pytest.param(Tail("dicom/00081140", "1.2.4"), [], id="the whole path"),
            pytest.param(Tail("dicom/00280301", "true"), ["3"], id="yes"),
            pytest.param(Not(Tail("dicom/00181030", "x")), ["3"], id="not never takes in missing"),
            pytest.param(Or((Term("modality", "PT"), Tail("dicom/00181030", "other"))), ["3"], id="with fields"),
        ],
    )
    def test_the_long_tail_is_searched_by_path_and_value(self, make_index: MakeIndex, criterion: Criterion, expected: list[str]) -> None:
        index = filled(make_index, *(a_series(str(number), tail=tail) for number, tail in enumerate(TAILS)))
        assert uids(index, criterion) == expected
        assert sum(bucket.series for bucket in index.facets(criterion, ["modality"])["modality"]) == len(expected)

    def test_units_and_creators_with_dots_and_slashes_are_part_of_the_path(self, make_index: MakeIndex) -> None:
        exposure = {"measurements": {"DCM:113736": {"mA.s": [12.5], "cm2/s": [3]}}}
        index = filled(make_index, a_series("1", tail=exposure), a_series("2", tail={"measurements": {"DCM:113736": {"mA": [12.5]}}}))
        assert uids(index, Tail("dicom/measurements/DCM:113736/mA.s", "12.5")) == ["1"]
        assert uids(index, Tail("dicom/measurements/DCM:113736/cm2/s", "3")) == ["1"]
        assert uids(index, Tail("dicom/measurements/DCM:113736/mA", "12.5")) == ["2"]
        assert uids(index, Not(Tail("dicom/measurements/DCM:113736/mA.s", "x"))) == ["1"]

    def test_a_path_of_the_long_tail_is_exact(self, make_index: MakeIndex) -> None:
        with pytest.raises(UnsupportedInput, match="exact"):
            make_index().members(Tail("dicom/*", "x"))

    @pytest.mark.parametrize(
        ("criterion", "expected"),
        [
            pytest.param(
                And((Has("series", Term("modality", "CT")), Has("series", Term("modality", "PT")))), ["1", "2", "3"], id="patient has both"
            ),
            pytest.param(
                And((Has("series", Term("modality", "CT"), same="study"), Has("series", Term("modality", "PT"), same="study"))),
                ["1", "2"],
                id="same study has both",
            ),
            pytest.param(Has("study", Term("modality", "CT"), minimum=2), ["1", "2", "3"], id="two time points"),
            pytest.param(Has("series", Term("modality", "CT"), minimum=0, maximum=0), ["5"], id="none"),
            pytest.param(Has("image", All(), minimum=15, same="study"), ["1", "2"], id="images of a study"),
            pytest.param(Not(Has("series", Term("body_part", "HEAD"))), ["4"], id="unknown decides nothing"),
        ],
    )
    def test_a_quantifier_looks_at_the_patient_or_the_study(self, make_index: MakeIndex, criterion: Criterion, expected: list[str]) -> None:
        index = filled(
            make_index,
            a_series("1", patient="p1", study="1", modality="CT"),
            a_series("2", patient="p1", study="1", modality="PT"),
            a_series("3", patient="p1", study="2", modality="CT"),
            a_series("4", patient="p2", study="3", modality="CT", body_part="CHEST"),
            a_series("5", patient="p3", study="4", modality="MR"),
        )
        assert uids(index, criterion) == expected

    @pytest.mark.parametrize(
        ("criterion", "expected"),
        [
            pytest.param(Latest(All()), ["3", "5"], id="the last day of each patient"),
            pytest.param(Latest(Term("modality", "CT")), ["1", "2", "5"], id="the last day with a CT, with all of that day"),
            pytest.param(Not(Latest(All())), ["1", "2"], id="who states no day is in neither"),
            pytest.param(And((Latest(Term("modality", "PT")), Term("modality", "CT"))), ["1"], id="of that day the CT"),
        ],
    )
    def test_the_latest_is_the_last_day_of_each_patient(self, make_index: MakeIndex, criterion: Criterion, expected: list[str]) -> None:
        index = filled(
            make_index,
            a_series("1", patient="p1", study="a", study_date="2020-01-01"),
            a_series("2", patient="p1", study="a", modality="PT", study_date="2020-01-01"),
            a_series("3", patient="p1", study="b", modality="MR", study_date="2021-01-01"),
            a_series("4", patient="p1", study="c"),
            a_series("5", patient="p2", study="d", study_date="2019-01-01"),
        )
        assert uids(index, criterion) == expected

    def test_a_facet_leaves_out_its_own_conditions_and_ends_with_unknown(self, make_index: MakeIndex) -> None:
        index = filled(
            make_index,
            a_series("1", patient="p1", patient__sex="F"),
            a_series("2", patient="p1", patient__sex="F"),
            a_series("3", patient="p2", modality="MR", patient__sex="F"),
            a_series("4", patient="p3", modality="MR"),
            a_series("5", patient="p4", modality=None, patient__sex="F"),
        )
        found = index.facets(And((Term("modality", "CT"), Term("patient.sex", "F"))), ["modality", "patient.sex"])
        assert found["modality"] == (FacetValue("CT", "CT", 1, 2), FacetValue("MR", "MR", 1, 1), FacetValue(None, "Unknown", 1, 1))
        assert found["patient.sex"] == (FacetValue("F", "F", 1, 2),)

    def test_a_record_is_in_the_bucket_of_each_of_its_values(self, make_index: MakeIndex) -> None:
        index = filled(
            make_index,
            an_image("a", patient="m1", ome__channel_name=("DAPI", "GFP")),
            an_image("b", patient="m1", ome__channel_name=("GFP",)),
            an_image("c", patient="m2", ome__channel_name=("GFP", "DAPI")),
            an_image("d", patient="m3"),
        )
        (found,) = index.facets(All(), ["ome.channel_name"]).values()
        assert found == (FacetValue("GFP", "GFP", 2, 3), FacetValue("DAPI", "DAPI", 2, 2), FacetValue(None, "Unknown", 1, 1))

    def test_numbers_and_truth_values_are_buckets_too(self, make_index: MakeIndex) -> None:
        index = filled(
            make_index,
            a_series("1", patient="p1", instances=40, series__slice_thickness_mm=2.5, series__regular=True),
            a_series("2", patient="p1", instances=40, series__slice_thickness_mm=2.5, series__regular=False),
            a_series("3", patient="p2", instances=2, series__slice_thickness_mm=1.25, series__regular=True),
        )
        index.remove(["local:default:1.2.9"])
        found = index.facets(All(), ["series.slice_thickness_mm", "series.instances", "series.regular"])
        assert found["series.slice_thickness_mm"] == (FacetValue(2.5, "2.5", 1, 2), FacetValue(1.25, "1.25", 1, 1))
        assert found["series.instances"] == (FacetValue(40, "40", 1, 2), FacetValue(2, "2", 1, 1))
        assert found["series.regular"] == (FacetValue(True, "yes", 2, 2), FacetValue(False, "no", 1, 1))

    def test_text_that_is_no_unicode_is_refused_and_stops_nobody(self, make_index: MakeIndex) -> None:
        report = (index := make_index()).put([a_series("1"), a_series("2", modality="C\ud800T"), a_series("3")])
        assert (report.added, [refusal.source for refusal in report.refused]) == (2, ["local:default:1.2.2"])
        assert uids(index, All()) == ["1", "3"]

    def test_a_date_facet_counts_by_year(self, make_index: MakeIndex) -> None:
        index = filled(make_index, a_series("1", study_date="2019-06-01"), a_series("2", study_date="2019-07-01"), a_series("3"))
        assert index.facets(All(), ["study_date"])["study_date"] == (FacetValue("2019", "2019", 1, 2), FacetValue(None, "Unknown", 1, 1))

    def test_missing_counts_the_members_that_do_not_state_a_field(self, make_index: MakeIndex) -> None:
        index = filled(make_index, a_series("1", patient__sex="F"), a_series("2"), a_series("3", modality="MR"))
        assert index.missing(Term("modality", "CT"), ["patient.sex", "modality"]) == {"patient.sex": 1, "modality": 0}

    def test_a_sample_is_drawn_from_the_members_and_stays_the_same(self, make_index: MakeIndex) -> None:
        found = [a_series(str(number), modality="CT" if number % 2 else "MR") for number in range(40)]
        index = filled(make_index, *found)
        drawn = index.sample(Term("modality", "CT"), 5, seed=7)
        assert drawn == index.sample(Term("modality", "CT"), 5, seed=7)
        assert all(one in found[1::2] for one in drawn)
        assert [one.id.rpartition(".")[2] for one in drawn] == SAMPLED  # every engine draws the same
        assert index.sample(Term("modality", "CT"), 5, seed=8) != drawn

    def test_pages_go_through_the_members_by_patient_study_and_id(self, make_index: MakeIndex) -> None:
        made = [
            a_series("41", patient="b"),
            *(a_series(one, patient="a", study="9") for one in ("30", "12")),
            a_series("50", patient="a", study="1"),
        ]
        index = filled(make_index, *made)
        order = [record.core.id for page in range(3) for record in index.page(All(), offset=2 * page, limit=2)]
        rows = [row_of(one, CATALOGUE) for one in made]
        assert order == [row.id for row in sorted(rows, key=lambda row: (row.patient, row.study, row.id))]
        assert [one.core.id for one in index.page(MembersOf(frozenset(order[1:3])), offset=1, limit=5)] == order[2:3]

    @pytest.mark.parametrize(("offset", "limit"), [(-1, 2), (0, 0), (9_999, 2)])
    def test_a_page_that_no_engine_can_give_is_refused(self, make_index: MakeIndex, offset: int, limit: int) -> None:
        with pytest.raises(InvalidInput, match="first 10000 records"):
            make_index().page(All(), offset=offset, limit=limit)

    def test_a_sample_of_fewer_members_is_all_of_them(self, make_index: MakeIndex) -> None:
        index = filled(make_index, a_series("1"), a_series("2"))
        assert sorted(record.id for record in index.sample(All(), 24)) == ["local:default:1.2.1", "local:default:1.2.2"]
        assert index.sample(Term("modality", "PT"), 24) == index.sample(All(), 0) == ()
        with pytest.raises(InvalidInput, match="between 0 and 10000"):
            index.sample(All(), -1)

    def test_the_ends_of_a_distribution_are_named_with_their_records(self, make_index: MakeIndex) -> None:
        thick = (5.0, 0.5, None, 2.5, 40.0, 1.25)
        found = [a_series(str(number), series__slice_thickness_mm=one) for number, one in enumerate(thick)]
        index = filled(make_index, *found, a_series("9", modality="MR", series__slice_thickness_mm=0.1))
        least, greatest = index.extremes(Term("modality", "CT"), "series.slice_thickness_mm", 2)
        assert (least, greatest) == ((found[1], found[5]), (found[4], found[0]))
        assert [len(side) for side in index.extremes(Term("modality", "CT"), "series.slice_thickness_mm", 24)] == [5, 5]
        assert index.extremes(All(), "study_date", 3) == index.extremes(All(), "series.instances", 0) == ((), ())
        for field in ("modality", "series.description", "series.regular"):
            with pytest.raises(UnsupportedInput, match="no least and greatest"):
                index.extremes(All(), field, 1)
        with pytest.raises(InvalidInput, match="between 0 and 10000"):
            index.extremes(All(), "study_date", -1)

    @SHARED
    @given(found=records(), criterion=CRITERIA, field=st.sampled_from(["series.instances", "study_date"]), size=st.integers(0, 5))
    def test_every_engine_names_the_same_extremes(
        self, make_index: MakeIndex, found: list[ImagingRecord], criterion: Criterion, field: str, size: int
    ) -> None:
        index = filled(make_index, *found)
        rows = [row_of(record, CATALOGUE) for record in found]
        chosen = evaluator.members(criterion, rows)
        by_draw = sorted((row for row in rows if row.id in chosen and field in row.values), key=lambda row: row.draw)
        least = sorted(by_draw, key=lambda row: min(row.values[field]))[:size]
        greatest = sorted(by_draw, key=lambda row: max(row.values[field]), reverse=True)[:size]
        told = index.extremes(criterion, field, size)
        assert [[one.id for one in side] for side in told] == [[row.id for row in least], [row.id for row in greatest]]

    @SHARED
    @given(found=records(), criterion=CRITERIA)
    def test_the_engine_agrees_with_the_plain_evaluator(
        self, make_index: MakeIndex, found: list[ImagingRecord], criterion: Criterion
    ) -> None:
        index = filled(make_index, *found)
        rows = [row_of(record, CATALOGUE) for record in found]
        expected = evaluator.members(criterion, rows)
        chosen = [row for row in rows if row.id in expected]
        assert set(index.members(criterion).ids) == expected
        assert index.count(criterion) == Counts(
            patients=len({row.patient for row in chosen}),
            studies=len({row.study for row in chosen}),
            series=len(chosen),
            images=sum(row.images for row in chosen),
            size_bytes=sum(row.size_bytes for row in chosen),
        )

    @SHARED
    @given(found=records(), parts=st.lists(CRITERIA, min_size=1, max_size=3))
    def test_de_morgan_holds_with_missing_values(self, make_index: MakeIndex, found: list[ImagingRecord], parts: list[Criterion]) -> None:
        index, several = filled(make_index, *found), tuple(parts)
        assert index.members(Not(And(several))) == index.members(Or(tuple(Not(part) for part in several)))
        assert index.members(Not(Or(several))) == index.members(And(tuple(Not(part) for part in several)))
        for part in several:
            assert not set(index.members(part).ids) & set(index.members(Not(part)).ids)

    @SHARED
    @given(found=records(), criterion=CRITERIA)
    def test_facet_counts_add_up(self, make_index: MakeIndex, found: list[ImagingRecord], criterion: Criterion) -> None:
        index = filled(make_index, *found)
        (buckets,) = index.facets(Has("series", criterion, minimum=0), ["modality"]).values()
        assert sum(bucket.series for bucket in buckets) == len(found)  # a record has one modality or none
        for bucket in buckets:
            own = Missing("modality") if bucket.value is None else Term("modality", bucket.value)
            assert index.count(own).patients == bucket.patients

    # --- one value a member -------------------------------------------------------------------------------------------

    def test_members_come_with_one_value_of_each_field(self, make_index: MakeIndex) -> None:
        index = make_index()
        index.put(
            [
                a_series("2", patient="p2", modality="MR", study_date="2019-06-01", series__slice_thickness_mm=2.5),
                a_series("1", series__regular=True),
                an_image("a", ome__channel_name=("GFP", "DAPI")),
            ]
        )
        fields = ("modality", "study_date", "series.slice_thickness_mm", "series.regular", "ome.channel_name", "series.instances")
        members, values = index.described(All(), fields)
        assert members == index.members(All())
        found = dict(zip(members.ids, zip(*(values[name] for name in fields), strict=True), strict=True))
        assert found["local:default:1.2.2"] == ("MR", "2019-06-01", 2.5, None, None, 10)
        assert found["local:default:1.2.1"][3] is True
        assert "DAPI" in found[next(one for one in members.ids if not one.startswith("local:default:1.2."))]
        assert [type(one) for one in values["series.instances"]] == [int] * 3
        assert index.described(Term("modality", "PT"), fields)[1] == dict.fromkeys(fields, ())

    def test_a_text_has_no_one_value(self, make_index: MakeIndex) -> None:
        with pytest.raises(UnsupportedInput, match=r"series\.description"):
            make_index().described(All(), ["series.description"])

    def test_patients_are_named_without_their_records(self, make_index: MakeIndex) -> None:
        index = make_index()
        index.put([a_series("1", patient="p1"), a_series("2", patient="p1", modality="MR"), a_series("3", patient="p2", modality="MR")])
        assert index.patients(Term("modality", "MR")) == frozenset(index.members(Term("modality", "MR")).patients)
        assert len(index.patients(All())) == 2
        assert index.patients(Term("modality", "PT")) == frozenset()
