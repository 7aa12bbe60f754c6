from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import create_engine

from fairlead.database import metadata, open_engine
from fairlead.errors import IllegalTransition, NotFound, ServiceUnreachable
from fairlead.receive import Ledger, Stored
from fairlead.receive.commit_group import CommitGroup
from fairlead.receive.completion import Ending, generation_of
from fairlead.receive.series_ledger import Arrival, RelationConflict
from fairlead.receive.tables import series
from fairlead.records import Refusal, SeriesState
from receive.builders import ROUTE, STUDY, Clock, a_row, wait_for

SERIES = f"{STUDY}.1"
TIMES = {"settle_after_s": 5.0, "quiet_after_s": 60.0}


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def ledger(engine, clock):
    return Ledger(engine, clock)


def arrive(ledger, number=1, *, sha=None, holder=None, supersedes=True, series_number=1):
    row = a_row(number, series=series_number, sha=sha)
    (outcome,) = ledger.record([Arrival(row, STUDY, f"{STUDY}.{series_number}", ROUTE, holder, supersedes)])
    return outcome


def completed(ledger, clock):
    clock.pass_s(61)
    ledger.settle(**TIMES)
    (found,) = ledger.claim_series(9, claimant="test")
    return found


def test_the_migrated_schema_is_that_of_the_tables(engine):
    mine = {"series", "instances", "associations", "holds", "files", "quarantine", "counters", "audits", "commitments"}

    def only_mine(_object, name, kind, _reflected, _other):
        return kind != "table" or name in mine

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": only_mine, "compare_type": True})
        assert compare_metadata(context, metadata) == []


# --- completion


@pytest.mark.parametrize(("ending", "wait_s"), [(Ending.FINISHED, 0), (Ending.RELEASED, 5), (Ending.ABORTED, 60)])
def test_a_series_completes_as_long_after_its_sender_left_as_the_ending_says(ledger, clock, ending, wait_s):
    arrive(ledger, holder="a")
    ledger.sender_left("a", ending)
    clock.pass_s(max(wait_s - 0.1, 0))
    assert ledger.settle(**TIMES) == (1 if wait_s == 0 else 0)
    clock.pass_s(0.1)
    ledger.settle(**TIMES)
    assert ledger.counts()[SeriesState.COMPLETE] == ledger.waiting() == 1


def test_a_series_without_an_association_completes_after_the_quiet_time(ledger, clock):
    arrive(ledger)
    clock.pass_s(59.9)
    assert ledger.settle(**TIMES) == 0
    clock.pass_s(0.1)
    assert ledger.settle(**TIMES) == 1


def test_another_association_that_carries_the_series_blocks_it_however_long_it_takes(ledger, clock):
    arrive(ledger, 1, holder="a")
    arrive(ledger, 2, holder="b")
    ledger.sender_left("a", Ending.RELEASED)
    clock.pass_s(10_000)
    assert ledger.settle(**TIMES) == 0
    ledger.sender_left("b", Ending.RELEASED)
    clock.pass_s(5)
    assert ledger.settle(**TIMES) == 1


def test_a_sender_that_first_repeats_and_then_adds_holds_the_series(ledger, clock):
    arrive(ledger, 1)
    assert arrive(ledger, 1, holder="a") is Stored.UNCHANGED
    arrive(ledger, 2, holder="a")
    clock.pass_s(1000)
    assert ledger.settle(**TIMES) == 0


def test_an_object_that_arrives_while_the_series_settles_restarts_the_wait(ledger, clock):
    arrive(ledger, 1, holder="a")
    ledger.sender_left("a", Ending.RELEASED)
    clock.pass_s(4)
    arrive(ledger, 2, holder="b")
    assert ledger.counts()[SeriesState.RECEIVING] == 1
    ledger.sender_left("b", Ending.RELEASED)
    clock.pass_s(4)
    assert ledger.settle(**TIMES) == 0


def test_senders_of_a_dead_node_count_as_aborted(ledger, clock, engine):
    arrive(ledger, holder="a")
    ledger.association_opened("a", ROUTE)
    after_restart = Ledger(engine, clock)
    assert after_restart.associations_lost() == 1
    assert after_restart.open_associations() == 0
    clock.pass_s(59)
    assert after_restart.settle(**TIMES) == 0
    clock.pass_s(1)
    assert after_restart.settle(**TIMES) == 1


def test_an_import_that_fails_waits_and_one_that_ends_well_does_not(ledger, clock):
    def broken():
        with ledger.importing("i") as holder:
            arrive(ledger, holder=holder)
            raise InterruptedError

    with pytest.raises(InterruptedError):
        broken()
    assert ledger.settle(**TIMES) == 0
    with ledger.importing("j") as holder:
        arrive(ledger, 2, holder=holder)
    assert ledger.settle(**TIMES) == 1


# --- generations


def test_a_generation_is_the_hash_of_its_instances(ledger, clock):
    arrive(ledger, 2)
    arrive(ledger, 1)
    found = completed(ledger, clock)
    assert found.generation == generation_of([(f"{STUDY}.1.{n}", a_row(n).sha256) for n in (1, 2)])


def test_while_a_next_generation_arrives_the_last_one_stays_readable(ledger, clock):
    arrive(ledger, 1)
    with pytest.raises(NotFound, match="still arriving"):
        ledger.series_of("default", "local", SERIES)
    first = completed(ledger, clock)
    ledger.series_indexed(first)
    arrive(ledger, 2)
    arrive(ledger, 1, sha="f" * 64)
    assert ledger.series_of("default", "local", SERIES).instances == first.instances
    second = completed(ledger, clock)
    assert [i.sha256 for i in second.instances] == ["f" * 64, a_row(2).sha256]
    assert ledger.series_of("default", "local", SERIES) == second


def test_a_slice_that_comes_while_the_series_is_being_indexed_is_not_lost(ledger, clock):
    arrive(ledger, 1)
    first = completed(ledger, clock)
    arrive(ledger, 2)
    ledger.series_indexed(first)
    assert ledger.counts()[SeriesState.RECEIVING] == 1
    assert len(completed(ledger, clock).instances) == 2


def test_a_version_that_does_not_supersede_makes_no_new_work(ledger, clock):
    arrive(ledger, 1)
    ledger.series_indexed(completed(ledger, clock))
    assert arrive(ledger, 1, sha="f" * 64, supersedes=False) is Stored.NEW_VERSION
    clock.pass_s(61)
    ledger.settle(**TIMES)
    assert ledger.waiting() == 0
    assert ledger.counts()[SeriesState.INDEXED] == 1


def test_a_conflict_in_a_group_refuses_only_its_own_object(ledger):
    arrive(ledger, 1)
    stranger = Arrival(a_row(1), STUDY, "1.2.3", ROUTE)
    outcomes = ledger.record([Arrival(a_row(2), STUDY, SERIES, ROUTE), stranger, Arrival(a_row(3), STUDY, SERIES, ROUTE)])
    assert [outcomes[0], outcomes[2]] == [Stored.ADDED, Stored.ADDED]
    assert isinstance(outcomes[1], RelationConflict)
    with pytest.raises(RelationConflict):
        ledger.record_instance(a_row(1), study_uid=STUDY, series_uid="1.2.3", route=ROUTE)
    assert ledger.record_instance(a_row(1), study_uid=STUDY, series_uid=SERIES, route=ROUTE) is Stored.UNCHANGED


# --- the work list


def test_a_claim_is_exclusive_until_its_lease_is_over(ledger, clock):
    arrive(ledger, 1)
    clock.pass_s(61)
    ledger.settle(**TIMES)
    assert len(ledger.claim_series(9, claimant="a", lease_s=600)) == 1
    assert ledger.claim_series(9, claimant="b") == ()
    assert ledger.waiting() == 1
    clock.pass_s(601)
    assert len(ledger.claim_series(9, claimant="b")) == 1


def test_claims_are_limited_and_the_oldest_come_first(ledger, clock):
    for number in (3, 1, 2):
        arrive(ledger, series_number=number)
        clock.pass_s(61)
        ledger.settle(**TIMES)
    assert [found.series_uid for found in ledger.claim_series(2, claimant="a")] == [f"{STUDY}.3", f"{STUDY}.1"]
    assert [found.series_uid for found in ledger.claim_series(2, claimant="a")] == [f"{STUDY}.2"]


def test_a_quarantined_series_has_its_reason_and_may_be_retried(ledger, clock):
    arrive(ledger, 1)
    found = completed(ledger, clock)
    ledger.series_quarantined(found, code="unreadable-image", reason="No pixels.")
    assert (ledger.waiting(), ledger.quarantine()[0].reason) == (0, "No pixels.")
    ledger.retry_series("default", "local", SERIES)
    assert len(ledger.claim_series(9, claimant="a")) == 1
    with pytest.raises(IllegalTransition):
        ledger.retry_series("default", "local", SERIES)


def test_indexed_series_are_listed_for_a_rebuild_in_batches(ledger, clock, monkeypatch):
    monkeypatch.setattr("fairlead.receive.claims.BATCH", 2)
    for number in range(1, 6):
        arrive(ledger, series_number=number)
    clock.pass_s(61)
    ledger.settle(**TIMES)
    for found in ledger.claim_series(4, claimant="a"):
        ledger.series_indexed(found)
    assert [found.series_uid for found in ledger.indexed_series()] == [f"{STUDY}.{n}" for n in range(1, 5)]


def test_an_unknown_series_is_not_found(ledger):
    with pytest.raises(NotFound, match="no such series"):
        ledger.series_of("default", "local", "1.2.3")


def test_a_repeated_refusal_is_one_row_that_counts(ledger):
    for _ in range(3):
        ledger.refuse(Refusal(source="a.dcm", code="not-dicom", reason="Empty."), sha256="x")
    ledger.refuse(Refusal(source="a.dcm", code="not-dicom", reason="Empty."), sha256="y")
    assert len(ledger.quarantine()) == 2
    assert ledger.counter("refused_not-dicom") == 4
    assert ledger.counter("never") == 0


def test_a_database_that_does_not_answer_is_named(tmp_path):
    ledger = Ledger(create_engine(f"sqlite:///{tmp_path}/no/such/folder.sqlite"))
    with pytest.raises(ServiceUnreachable, match="does not answer"):
        ledger.counts()


def test_a_group_gives_each_submitter_its_own_answer():
    conflict = RelationConflict("no")
    group = CommitGroup(lambda arrivals: [Stored.ADDED if a.supersedes else conflict for a in arrivals])
    assert group.submit(Arrival(a_row(), STUDY, SERIES, ROUTE)) is Stored.ADDED
    with pytest.raises(RelationConflict):
        group.submit(Arrival(a_row(), STUDY, SERIES, ROUTE, supersedes=False))


def test_a_row_that_the_database_refuses_fails_alone():
    first_is_in, go_on, sizes = Event(), Event(), []

    def record(arrivals):
        sizes.append(len(arrivals))
        first_is_in.set()
        go_on.wait(30)
        if any(not arrival.supersedes for arrival in arrivals):
            raise ValueError("UNIQUE constraint failed")
        return [Stored.ADDED] * len(arrivals)

    group = CommitGroup(record)
    with ThreadPoolExecutor(4) as pool:
        results = [pool.submit(group.submit, Arrival(a_row(), STUDY, SERIES, ROUTE))]
        first_is_in.wait(30)
        results += [pool.submit(group.submit, Arrival(a_row(n), STUDY, SERIES, ROUTE, supersedes=n != 3)) for n in (2, 3, 4)]
        wait_for(lambda: len(group._waiting) == 3)
        go_on.set()
    assert sizes == [1, 3, 1, 1, 1]
    assert [result.exception() is None for result in results] == [True, True, False, True]


# --- any order of events


class Completion(RuleBasedStateMachine):
    """Whatever arrives, leaves and passes: held series never complete, and a generation is always the set that arrived."""

    @initialize()
    def begin(self):
        self.clock = Clock()
        engine = open_engine("sqlite://")
        metadata.create_all(engine)
        self.ledger = Ledger(engine, self.clock)
        self.sent: set[int] = set()
        self.carrying: set[str] = set()
        self.indexed: str | None = None

    @rule(number=st.integers(1, 4), holder=st.sampled_from("ab"))
    def send(self, number, holder):
        outcome = arrive(self.ledger, number, holder=holder)
        assert outcome is (Stored.UNCHANGED if number in self.sent else Stored.ADDED)
        if outcome is Stored.ADDED:
            self.carrying.add(holder)
        self.sent.add(number)

    @rule(holder=st.sampled_from("ab"), ending=st.sampled_from(Ending))
    def leave(self, holder, ending):
        self.ledger.sender_left(holder, ending)
        self.carrying.discard(holder)

    @rule(seconds=st.sampled_from([1, 5, 60]))
    def wait(self, seconds):
        self.clock.now += timedelta(seconds=seconds)
        assert not (self.ledger.settle(**TIMES) and self.carrying)

    @precondition(lambda self: self.sent)
    @rule()
    def index(self):
        for found in self.ledger.claim_series(9, claimant="test"):
            assert found.generation == generation_of((f"{STUDY}.1.{n}", a_row(n).sha256) for n in self.sent)
            assert found.generation != self.indexed
            self.indexed = found.generation
            self.ledger.series_indexed(found)

    @invariant()
    def everything_becomes_indexed_in_the_end(self):
        if self.sent and not self.carrying:
            with self.ledger.engine.begin() as connection:
                states = set(connection.scalars(series.select().with_only_columns(series.c.state)))
            assert states <= {"receiving", "settling", "complete", "indexed"}

    def teardown(self):
        if not hasattr(self, "ledger"):
            return
        for holder in tuple(self.carrying):
            self.leave(holder, Ending.RELEASED)
        if self.sent:
            self.wait(60)
            self.index()
            expected = generation_of((f"{STUDY}.1.{n}", a_row(n).sha256) for n in self.sent)
            assert self.indexed == expected
        self.ledger.engine.dispose()


TestCompletion = Completion.TestCase
TestCompletion.settings = hypothesis_settings(max_examples=25, stateful_step_count=20, deadline=None)
