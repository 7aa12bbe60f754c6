"""What a gateway answers: protected numbers of patients, signed, audited, in the centre's own words."""

from __future__ import annotations

import itertools
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead.cohort import CohortStore, withdraw_consent
from fairlead.errors import CheckFailed, Conflict
from fairlead.federation import CenterAnswer, open_gateway, verify_audit
from fairlead.federation.app import create_app
from fairlead.federation.audit import entries, verify_rows
from fairlead.federation.freezing import keep_cohort, list_cohorts
from fairlead.federation.noise import shown
from fairlead.federation.policy import Disclosure, Noise
from fairlead.federation.secrets import load_keyring, rotate
from fairlead.federation.signing import canonical, is_signed
from fairlead.index import All, Term
from federation.builders import EVERYBODY, MAKERS, Asker, a_center, definition, small_cells

RARE = {"field": "model", "op": "=", "value": "Rare"}
CT = {"field": "modality", "op": "=", "value": "CT"}
FEMALE = {"field": "patient.sex", "op": "=", "value": "F"}
TRUE_TOTAL = 40 * MAKERS


def test_an_answer_is_near_the_truth_signed_and_says_under_what_it_was_given(north):
    gateway, asker = north
    document = asker.send(EVERYBODY).json()
    answer = document["answer"]
    assert abs(answer["patients"] - TRUE_TOTAL) <= answer["plus_minus"]
    assert answer["patients"] % 5 == 0
    assert answer["policy"] == {"version": "test-1", "sha256": gateway.policy().sha256}
    assert is_signed(document["key"], document["signature"], "ANSWER", canonical(answer))
    assert set(answer) >= {"definition_sha256", "generation", "catalogue_sha256", "in_reply_to", "question_sha256"}


def test_below_the_threshold_nothing_is_said_and_nobody_looks_the_same(north):
    _, asker = north
    few, nobody = asker.answer(definition(RARE | {"value": "Rare"})), asker.answer(definition(RARE | {"value": "No such model"}))
    cell = asker.answer(definition({"all": [RARE, {"field": "manufacturer", "op": "=", "value": "Maker 3"}]}))
    assert few["patients"] is not None  # 43 patients in all
    assert {key: cell[key] for key in ("patients", "below", "plus_minus")} == {"patients": None, "below": 10, "plus_minus": 9}
    assert {key: nobody[key] for key in ("patients", "below", "plus_minus")} == {"patients": None, "below": 10, "plus_minus": 9}


def test_a_restart_a_new_secret_and_another_phrasing_change_no_released_number(open_center):
    gateway, asker = open_center()
    first = [asker.count(definition(one)) for one in (CT, FEMALE)]
    rotate(gateway.secrets_folder)
    again, asker = open_center()
    assert again.ring.active_id == "k2"
    assert [asker.count(definition({"all": [one, {"field": "kind", "op": "exists"}]})) for one in (CT, FEMALE)] == first


def test_secrets_that_are_rotated_at_once_are_all_kept(tmp_path):
    load_keyring(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        rings = list(pool.map(lambda _: rotate(tmp_path), range(16)))
    kept = load_keyring(tmp_path)
    assert kept.names == tuple(f"k{number}" for number in range(1, 18))
    assert {ring.keys[-1] for ring in rings} == set(kept.keys[1:])


def test_two_centres_draw_different_noise_for_the_same_patients(open_center):
    counts = [[open_center(name)[1].count(EVERYBODY), name] for name in ("a", "b", "c")]
    assert len({number for number, _ in counts}) > 1


def test_a_table_names_only_values_above_the_threshold_and_hides_two_or_none(north):
    _, asker = north
    answer = asker.answer(EVERYBODY, "/v1/facets", ("model", "modality", "patient.age_years", "study_date"))
    tables = {table["field"]: table["cells"] for table in answer["facets"]}
    assert {cell["label"] for cell in tables["model"]} == {"Alpha", "Beta", "Rare"}
    assert "20 to below 40" in {cell["label"] for cell in tables["patient.age_years"]}
    assert {cell["label"] for cell in tables["study_date"]} <= {str(year) for year in range(2001, 2010)}
    within = definition({"field": "manufacturer", "op": "=", "value": "Maker 0"})
    rows = asker.answer(within, "/v1/facets", ("model",))["facets"][0]["cells"]
    assert len(rows) <= 1  # one hidden value would be the rest of the total, so a second one is hidden too


def test_a_hubs_own_words_are_translated_and_unknown_ones_are_named(north):
    _, asker = north
    assert asker.answer(definition({"field": "bodyPart", "op": "exists"}))["translated"] == {"bodyPart": "body_part"}
    answer = asker.answer(definition({"any": [CT, {"field": "lung.nodules", "op": ">", "value": 2}, {"field": "ki67", "op": "exists"}]}))
    assert answer["state"] == "cannot-map"
    assert "'ki67', 'lung.nodules'" in answer["message"]


@pytest.mark.parametrize(
    ("include", "code"),
    [
        ({"field": "series.description", "op": "match", "value": "Smith"}, "field-closed"),
        ({"cohort": "6f0c7cb6-6c4b-5d0e-9c0d-0d6f6e2b7a51@1"}, "field-closed"),
        ({"tail": "dicom/00181030", "value": "Smith"}, "field-closed"),
        ({"field": "modality", "op": "in", "value": [f"X{number}" for number in range(50)]}, "unsupported"),
        ({"nonsense": 1}, "invalid-definition"),
    ],
)
def test_what_a_policy_does_not_open_is_refused_and_audited(north, include, code):
    _, asker = north
    answer = asker.answer(definition(include))
    assert (answer["state"], answer["code"]) == ("refused", code)
    assert "Smith" not in str(answer)


def test_a_difference_of_a_few_patients_gets_the_earlier_number(north):
    _, asker = north
    for target in small_cells():
        whole, rest = definition(target.base), definition({"all": [target.base, {"not": target.cell}]})
        assert asker.count(rest) == asker.count(whole)


# --- properties ------------------------------------------------------------------------------------------------------

PADS = [
    {"field": "kind", "op": "exists"},
    {"field": "series.instances", "op": ">", "value": 0},
    {"not": {"field": "model", "op": "=", "value": "Q"}},
]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10_000),
    pads=st.lists(st.sampled_from(PADS), max_size=3),
    makers=st.sets(st.integers(0, MAKERS - 1), min_size=1, max_size=4),
)
def test_however_the_same_patients_are_asked_for_the_number_is_the_same(north, seed, pads, makers):
    _, asker = north
    chance = random.Random(seed)  # noqa: S311
    parts = [{"field": "manufacturer", "op": "=", "value": f"Maker {number}"} for number in sorted(makers)]
    mixed = chance.sample(parts, len(parts)) + chance.sample(parts, 1)
    plain, padded = {"any": parts}, {"all": chance.sample([{"any": mixed}, *pads], 1 + len(pads))}
    assert asker.count(definition(padded)) == asker.count(definition(plain))


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(0, 400), noise=st.floats(-20, 20), loose=st.integers(5, 40), more=st.integers(0, 40),
    reveal=st.booleans(),
)  # fmt: skip
def test_a_tighter_policy_never_releases_what_a_looser_one_hid(size, noise, loose, more, reveal):
    wide = Disclosure(threshold=loose, reveal_zero=reveal, noise=Noise())
    tight = Disclosure(threshold=loose + more, reveal_zero=False, noise=Noise())
    if shown(size, noise, wide) is None:
        assert shown(size, noise, tight) is None


def test_a_threshold_that_is_raised_later_holds_for_numbers_released_before(open_center):
    _, asker = open_center()
    maker = definition({"field": "manufacturer", "op": "=", "value": "Maker 1"})
    assert asker.count(maker) is not None
    _, strict = open_center(threshold=60)
    assert strict.count(maker) is None


def test_a_number_that_follows_from_others_is_computed_from_them_and_stays_so_after_a_restart(open_center):
    gateway, asker = open_center()

    def of(*makers):
        return definition({"field": "manufacturer", "op": "in", "value": [f"Maker {maker}" for maker in makers]})

    first, second, other = (asker.count(of(*makers)) for makers in ((0, 1), (2, 3), (3, 4, 5)))
    both = asker.count(of(0, 1, 2, 3))
    assert both == first + second
    assert [row["snapped"] for row in entries(gateway.engine)] == [0, 0, 0, 1]
    _, again = open_center()
    assert (again.count(of(0, 1, 2, 3)), again.count(of(0, 1)), again.count(of(3, 4, 5))) == (both, first, other)
    assert again.count(of(0, 1, 3, 4, 5)) == first + other


def test_gateways_that_start_at_once_draw_from_the_same_secrets(tmp_path):
    for attempt in range(40):
        together = threading.Barrier(4)

        def load(folder=tmp_path / str(attempt), together=together):
            together.wait(timeout=30)
            return load_keyring(folder)

        with ThreadPoolExecutor(4) as pool:
            started = [pool.submit(load) for _ in range(4)]
        assert len({one.result().keys for one in started}) == 1


def test_two_gateways_of_one_centre_that_are_asked_at_once_give_one_number(open_center):
    askers = [open_center()[1] for _ in range(2)]
    questions = [definition({"field": "manufacturer", "op": "in", "value": [f"Maker {maker}", "Maker 0"]}) for maker in range(1, 5)]
    asked = [(asker, one) for one in questions for asker in (*askers, *askers)]
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda one: one[0].count(one[1]), asked))
    assert [len(set(numbers[at : at + 4])) for at in range(0, 16, 4)] == [1, 1, 1, 1]
    assert [askers[0].count(one) for one in questions] == numbers[::4]


def test_what_was_released_is_known_when_the_gateway_opens_not_at_its_first_question(open_center):
    gateway, asker = open_center()
    number = asker.count(EVERYBODY)
    everybody = gateway.releases.bitmap(gateway.index.patients(All()))
    again, _ = open_center()
    assert again.releases.known(everybody, again.policy()).patients == number


def test_who_withdrew_is_in_no_number_and_no_table(open_center):
    gateway, asker = open_center()
    gone = of_maker(0)
    before = asker.answer(EVERYBODY, "/v1/facets", ("manufacturer",))
    assert "Maker 0" in {cell["label"] for cell in before["facets"][0]["cells"]}
    for patient in gateway.index.patients(Term("manufacturer", "Maker 0")):
        withdraw_consent(CohortStore(gateway.engine), "patient", patient, reason="left", by="steward")
    after = asker.answer(EVERYBODY, "/v1/facets", ("manufacturer",))
    assert "Maker 0" not in {cell["label"] for cell in after["facets"][0]["cells"]}
    assert asker.count(gone) is None
    assert before["patients"] - after["patients"] == pytest.approx(40, abs=35)
    assert asker.count(of_maker(1)) is not None


def of_maker(number):
    """Return the question for one maker's patients."""
    return definition({"field": "manufacturer", "op": "=", "value": f"Maker {number}"})


# --- audit -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def audited(open_center):
    gateway, asker = open_center()
    for one in (EVERYBODY, definition(CT), definition(RARE)):
        asker.count(one)
    asker.send(EVERYBODY, project="other")
    return gateway


def test_the_audit_holds_who_asked_for_what_and_released_numbers_but_no_true_one(audited):
    head = verify_audit(audited.engine, audited.secrets_folder)
    rows = list(entries(audited.engine))
    assert head.seq == len(rows) == 4
    assert [row["kind"] for row in rows] == ["answer", "answer", "answer", "refusal"]
    assert rows[0]["hub"] == "hub-a"
    assert rows[0]["released"]["patients"] % 5 == 0
    assert rows[3]["code"] == "not-approved"


TAMPERED = {
    "edited": "UPDATE federation_audit SET entry = replace(entry, 'hub-a', 'hub-b') WHERE seq = 2",
    "deleted": "DELETE FROM federation_audit WHERE seq = 2",
    "cut off": "DELETE FROM federation_audit WHERE seq >= 3",
    "emptied": "DELETE FROM federation_audit",
    "moved": "UPDATE federation_audit SET seq = CASE seq WHEN 2 THEN 30 WHEN 3 THEN 2 END WHERE seq IN (2, 3)",
    "hash edited": "UPDATE federation_audit SET sha256 = 'x' || substr(sha256, 2) WHERE seq = 4",
    "hash and entry edited": "UPDATE federation_audit SET entry = replace(entry, 'u-1', 'u-2'), sha256 = '0' WHERE seq = 4",
}


def test_the_chain_shows_every_edit_deletion_and_move(audited):
    for how, statement in TAMPERED.items():
        with audited.engine.connect() as connection, connection.begin() as transaction:
            for event in ("update", "delete"):
                connection.exec_driver_sql(f"DROP TRIGGER federation_audit_no_{event}")
            assert connection.exec_driver_sql(statement).rowcount > 0, how
            with pytest.raises(CheckFailed, match="The audit chain is broken"):
                verify_rows(connection, audited.secrets_folder)
            transaction.rollback()
    assert verify_audit(audited.engine, audited.secrets_folder).seq == 4


def test_the_database_itself_refuses_to_change_the_audit(audited):
    for statement in ("UPDATE federation_audit SET entry = ''", "DELETE FROM federation_audit"):
        with pytest.raises(sa.exc.IntegrityError, match="append-only"), audited.engine.begin() as connection:
            connection.exec_driver_sql(statement)


def test_an_answer_whose_audit_entry_cannot_be_written_is_not_given(open_center):
    gateway, asker = open_center()
    with gateway.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TRIGGER full BEFORE INSERT ON federation_audit BEGIN SELECT RAISE(ABORT, 'no room'); END")
    assert asker.send(EVERYBODY).status_code >= 500
    with gateway.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM federation_releases").scalar() == 0


# --- freezing --------------------------------------------------------------------------------------------------------


def _may_freeze(gateway):
    policy = gateway.policy()
    studies = tuple(one.model_copy(update={"freeze": True}) for one in policy.projects)
    gateway.policy = lambda: policy.model_copy(update={"projects": studies})


def test_a_centre_freezes_its_part_where_the_policy_allows_it_and_tells_nothing_but_a_name(open_center):
    gateway, asker = open_center()
    assert asker.answer(EVERYBODY, "/v1/freeze")["code"] == "not-permitted"
    _may_freeze(gateway)
    some = definition(CT) | {"title": "<script>", "id": "00000000-0000-5000-8000-000000000001"}
    first, again = (asker.answer(some, "/v1/freeze") for _ in range(2))
    nobody = asker.answer(definition(RARE | {"value": "No such model"}), "/v1/freeze")
    assert (first["patients"], first["patients"] % 5) == (asker.count(some), 0)
    assert first["frozen"] != again["frozen"]  # else the name would tell that nobody came or went
    assert set(nobody) - {"below"} == set(first) == set(asker.answer(some)) | {"frozen"}
    (row, _, empty) = (one for one in entries(gateway.engine) if one.get("frozen"))
    kept = CohortStore(gateway.engine).get(row["cohort"])
    assert kept.counts.patients == len({one for one in gateway.index.members(Term("modality", "DCM:CT")).patients})
    assert (kept.title, kept.author, empty["cohort"]) == (f"For hub-a: {kept.title[-12:]}", "hub hub-a", None)
    assert kept.members_sha256 not in str(first)


def test_a_hub_keeps_the_definition_and_a_reference_to_each_centres_part(open_center):
    gateway, asker = open_center()
    _may_freeze(gateway)
    told = asker.answer(EVERYBODY, "/v1/freeze")
    answers = [CenterAnswer("north", "answered", patients=told["patients"], answer=told), CenterAnswer("down", "offline")]
    kept = [keep_cohort(gateway.engine, EVERYBODY, answers) for _ in range(2)]
    assert [one["version"] for one in list_cohorts(gateway.engine)] == [1, 2]
    (part,) = kept[0]["parts"]
    assert (part["center"], part["frozen"], part["generation"]) == ("north", told["frozen"], told["generation"])
    assert part["policy"] == told["policy"]
    with pytest.raises(Conflict, match="No centre froze"):
        keep_cohort(gateway.engine, EVERYBODY, answers[1:])


# --- tightening over whole answers -----------------------------------------------------------------------------------

QUESTIONS = [EVERYBODY, definition(CT), definition(FEMALE), definition(RARE)] + [
    definition({"all": [one, {"field": "manufacturer", "op": "in", "value": [f"Maker {maker}" for maker in range(makers)]}]})
    for one in (CT, FEMALE, RARE)
    for makers in (1, 2, 5)
]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    threshold=st.integers(5, 30), more=st.integers(0, 30), rounding=st.sampled_from((1, 5, 10)), coarser=st.integers(1, 4),
    questions=st.lists(st.sampled_from(QUESTIONS), min_size=1, max_size=4), left=st.integers(0, 3),
    largest=st.integers(0, 10), louder=st.integers(0, 10), carried=st.sampled_from((0, 0.5, 1)),
)  # fmt: skip
def test_a_policy_that_is_tightened_never_tells_more_in_any_answer(
    rulable, threshold, more, rounding, coarser, questions, left, largest, louder, carried
):
    ask, loose = rulable, Disclosure(threshold=threshold, rounding=rounding, reveal_zero=True, noise=Noise(largest=largest, per_patient=0))
    noise = Noise(largest=largest + louder, per_patient=carried)
    tight = loose.model_copy(update={"threshold": threshold + more, "rounding": rounding * coarser, "reveal_zero": False, "noise": noise})
    before = [ask(one, loose) for one in questions]
    after = [ask(one, tight, most=left) for one in questions]
    for wide, narrow in zip(before, after, strict=True):
        if narrow["state"] != "answered":
            continue
        assert wide["patients"] is not None or narrow["patients"] is None  # what was hidden stays hidden
        assert narrow["patients"] is None or narrow["patients"] >= tight.threshold
        assert narrow["patients"] is None or narrow["patients"] % tight.rounding == 0
        labels = [{cell["label"] for cell in one["facets"][0]["cells"]} for one in (wide, narrow)]
        assert labels[1] <= labels[0] or tight.rounding != loose.rounding  # a coarser step can turn the order of two numbers
    assert sum(one["state"] == "answered" for one in after) <= left


@pytest.fixture(scope="module")
def rulable(tmp_path_factory, hub):
    """Return a function that asks one centre for numbers and a table under given rules, ``most`` questions of a new person."""
    gateway = open_gateway(a_center(tmp_path_factory.mktemp("ruled"), "north", {"hub-a": hub}))
    asker, policy, people = Asker(TestClient(create_app(gateway)), hub), gateway.policy(), itertools.count()
    people_of: dict[str, str] = {}

    def ask(document, rules, most=10_000):
        person = people_of.setdefault(rules.model_dump_json() + str(most), f"u-{next(people)}")
        budget = rules.budget.model_copy(update={"questions": max(most, 1), "per_minute": 10_000, "project_questions": 10**6})
        if most == 0:
            return {"state": "refused"}
        gateway.policy = lambda: policy.model_copy(update={"disclosure": rules.model_copy(update={"budget": budget})})
        return asker.answer(document, "/v1/facets", ("model",), person=person)

    yield ask
    gateway.engine.dispose()
