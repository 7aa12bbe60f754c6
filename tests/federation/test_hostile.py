"""Messages of those who should not be answered: forged, replayed, oversized, deep, unsigned, expired, downgraded, misdirected."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead.cli import run
from fairlead.database import utc_now
from fairlead.federation import open_gateway, verify_audit
from fairlead.federation.admission import Door
from fairlead.federation.app import create_app
from fairlead.federation.audit import entries
from fairlead.federation.messages import SIGNATURE, sign_question, signed_lines
from federation.builders import EVERYBODY, Asker, a_center, a_hub, definition


def _post(asker, body, signature=""):
    return asker.client.post("/v1/count", content=body, headers={SIGNATURE: signature})


def _forged(asker):
    return Asker(asker.client, a_hub()).send(EVERYBODY)


def _unsigned(asker):
    return _post(asker, sign_question(asker.question(EVERYBODY), "/v1/count", asker.identity)[0])


def _altered(asker):
    body, signature = sign_question(asker.question(EVERYBODY), "/v1/count", asker.identity)
    return _post(asker, body.replace(b'"u-1"', b'"u-2"'), signature)


def _other_endpoint(asker):
    return _post(asker, *sign_question(asker.question(EVERYBODY), "/v1/facets", asker.identity))


def _other_center(asker):
    return asker.send(EVERYBODY, center="south")


def _unknown_hub(asker):
    return asker.send(EVERYBODY, hub="hub-x")


def _replayed(asker):
    body, signature = sign_question(asker.question(EVERYBODY), "/v1/count", asker.identity)
    assert _post(asker, body, signature).status_code == 200
    return _post(asker, body, signature)


def _expired(asker):
    return asker.send(EVERYBODY, sent_at=utc_now() - timedelta(minutes=10))


def _from_the_future(asker):
    return asker.send(EVERYBODY, sent_at=utc_now() + timedelta(minutes=10))


def _downgraded(asker):
    return asker.send(EVERYBODY, versions=("0",))


def _oversized(asker):
    return _post(asker, b"[" + b"0," * 70_000 + b"0]")


def _deep(asker):
    return _post(asker, b'{"a":' * 9_000 + b"1" + b"}" * 9_000)


def _no_json(asker):
    return _post(asker, b"\xff\xfe{")


def _signed(asker, body):
    return _post(asker, body, asker.identity.sign(*signed_lines("/v1/count", body)))


def _named_twice(asker):
    body, _ = sign_question(asker.question(EVERYBODY), "/v1/count", asker.identity)
    return _signed(asker, body.replace(b'"kind"', b'"kind","field":"modality"'))


def _half_a_character(asker):
    body, _ = sign_question(asker.question(EVERYBODY), "/v1/count", asker.identity)
    return _signed(asker, body.replace(b'"kind"', b'"\\ud800"'))


def _not_a_number(asker):
    body, _ = sign_question(asker.question(EVERYBODY), "/v1/count", asker.identity)
    return _signed(asker, body.replace(b'"kind"', b"NaN"))


def _other_encoding(asker):
    body, _ = sign_question(asker.question(EVERYBODY), "/v1/count", asker.identity)
    return _signed(asker, body.decode().encode("utf-16"))


def _stranger_project(asker):
    return asker.send(EVERYBODY, project="secret-trial")


def _stranger_purpose(asker):
    return asker.send(EVERYBODY, purpose="marketing")


HOSTILE = [
    (_forged, 401, "unauthenticated"), (_unsigned, 401, "unauthenticated"), (_altered, 401, "unauthenticated"),
    (_other_endpoint, 401, "unauthenticated"), (_other_center, 401, "unauthenticated"), (_unknown_hub, 401, "unauthenticated"),
    (_replayed, 403, "replayed"), (_expired, 403, "replayed"), (_from_the_future, 403, "replayed"), (_downgraded, 403, "not-permitted"),
    (_oversized, 413, "message-too-large"), (_deep, 400, "invalid-input"), (_no_json, 400, "invalid-input"),
    (_named_twice, 400, "invalid-input"), (_half_a_character, 400, "invalid-input"), (_not_a_number, 400, "invalid-input"),
    (_other_encoding, 400, "invalid-input"),
    (_stranger_project, 403, "not-approved"), (_stranger_purpose, 403, "not-approved"),
]  # fmt: skip


@pytest.mark.parametrize(("send", "status", "code"), HOSTILE, ids=[send.__name__.strip("_") for send, _, _ in HOSTILE])
def test_a_hostile_message_is_refused_and_audited(north, send, status, code):
    gateway, asker = north
    response = send(asker)
    assert (response.status_code, response.json()["answer"]["code"]) == (status, code)
    assert "patients" not in response.json()["answer"]
    assert list(entries(gateway.engine))[-1]["code"] == code
    verify_audit(gateway.engine, gateway.secrets_folder)


def test_clocks_that_differ_by_less_than_the_allowed_are_no_reason_to_refuse(north):
    _, asker = north
    for seconds in (-50, 50):
        assert asker.send(EVERYBODY, sent_at=utc_now() + timedelta(seconds=seconds)).status_code == 200


def test_a_hub_cannot_tell_a_project_of_others_from_none_at_all(open_center):
    gateway, asker = open_center()
    policy = gateway.policy()
    others = policy.projects[0].model_copy(update={"name": "secret-trial", "hubs": ("hub-z",)})
    gateway.policy = lambda: policy.model_copy(update={"projects": (*policy.projects, others)})
    told = [asker.send(EVERYBODY, project=name) for name in ("secret-trial", "no-such-project")]
    differing = {"in_reply_to", "question_sha256", "answered_at"}
    answers = [{key: value for key, value in one.json()["answer"].items() if key not in differing} for one in told]
    assert answers[0] == answers[1]
    assert told[0].status_code == told[1].status_code
    assert "secret-trial" not in asker.client.get("/v1/policy").text


def test_a_hubs_reading_of_its_projects_works_for_one_centre_and_a_few_minutes(north, hub):
    _, asker = north

    def read(center="north", sent=None):
        sent = sent or utc_now().isoformat()
        headers = {"Fairlead-Hub": "hub-a", "Fairlead-Sent-At": sent, SIGNATURE: hub.sign("GET", "/v1/policy", center, sent)}
        return asker.client.get("/v1/policy", headers=headers)

    assert [one["name"] for one in read().json()["projects"]] == ["lung"]
    assert read("south").status_code == 401  # what another centre was sent opens nothing here
    assert read(sent=(utc_now() - timedelta(hours=1)).isoformat()).status_code == 401


def test_two_hubs_have_budgets_of_their_own(tmp_path, hub):
    other = a_hub()
    budget = {"questions": 3, "per_minute": 100, "project_questions": 100}
    gateway = open_gateway(a_center(tmp_path / "north", "north", {"hub-a": hub, "hub-b": other}, budget=budget))
    client = TestClient(create_app(gateway))
    one, two = Asker(client, hub), Asker(client, other, hub="hub-b")
    assert [one.send(EVERYBODY).status_code for _ in range(4)] == [200, 200, 200, 429]
    assert two.send(EVERYBODY).status_code == 200
    assert one.answer(EVERYBODY)["code"] == "budget-spent"
    gateway.engine.dispose()


def test_a_table_costs_a_project_one_question_more_than_it_has_rows(open_center):
    _, asker = open_center(budget={"questions": 100, "per_minute": 100, "project_questions": 6})
    answer = asker.answer(EVERYBODY, "/v1/facets", ("model",))
    assert len(answer["facets"][0]["cells"]) == 3
    assert [asker.send(EVERYBODY, person=person).status_code for person in ("u-2", "u-3")] == [200, 429]


def test_a_project_is_answered_from_the_day_it_opens_to_the_day_it_closes(open_center):
    gateway, asker = open_center()
    policy, day = gateway.policy(), utc_now().date()

    def asked(opens, closes):
        study = policy.projects[0].model_copy(update={"opens_on": day + timedelta(days=opens), "closes_on": day + timedelta(days=closes)})
        gateway.policy = lambda: policy.model_copy(update={"projects": (study,)})
        return asker.answer(EVERYBODY)

    assert [asked(*days)["state"] for days in ((0, 0), (1, 9), (-9, -1))] == ["answered", "refused", "refused"]
    assert asked(1, 9)["message"] == "The project is not open today."


def test_who_asks_faster_than_people_do_waits_for_the_next_minute(open_center):
    gateway, asker = open_center(budget={"questions": 100, "per_minute": 2, "project_questions": 100})
    moment = utc_now()
    gateway.door = Door("north", gateway.engine, lambda: moment)
    assert [asker.send(EVERYBODY, sent_at=moment).status_code for _ in range(3)] == [200, 200, 429]
    moment += timedelta(seconds=61)
    assert asker.send(EVERYBODY, sent_at=moment).status_code == 200


def test_a_steward_reads_exports_and_verifies_the_audit_on_the_command_line(open_center, monkeypatch, capfd):
    gateway, asker = open_center()
    asker.count(EVERYBODY)
    _forged(asker)
    home = gateway.secrets_folder.parent
    monkeypatch.setenv("FAIRLEAD_HOME", str(home))
    monkeypatch.setenv("FAIRLEAD_GATEWAY__GOVERNANCE", str(home / "governance.yaml"))
    assert run(["gateway", "audit", "verify", "--json"]) == 0
    capfd.readouterr()
    assert run(["gateway", "audit", "export"]) == 0
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [(line["kind"], line.get("code")) for line in lines] == [("answer", None), ("refusal", "unauthenticated")]
    assert run(["gateway", "audit", "summary"]) == 0
    assert "lung" in capfd.readouterr().out
    with gateway.engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER federation_audit_no_delete")
        connection.exec_driver_sql("DELETE FROM federation_audit WHERE seq = 2")
    assert run(["gateway", "audit", "verify"]) == 1


def test_a_flood_of_strangers_does_not_fill_the_audit(open_center):
    gateway, asker = open_center()
    moment = utc_now()
    gateway.clock = lambda: moment
    for _ in range(80):
        _post(asker, b"{}")
    assert len(list(entries(gateway.engine))) == 60
    assert gateway.tally["refused"] == 80


def test_any_request_the_description_allows_or_forbids_is_answered_without_a_failure_of_ours(north):
    _, asker = north
    schema = schemathesis.openapi.from_asgi("/openapi.json", asker.client.app)

    for operation in schema.get_all_operations():

        @settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(case=operation.ok().as_strategy())
        def send(case):
            assert case.call().status_code < 500

        send()


def test_no_definition_that_a_known_hub_signs_makes_a_question_fail_on_our_side(open_center):
    gateway, asker = open_center()
    policy = gateway.policy()
    studies = tuple(one.model_copy(update={"freeze": True}) for one in policy.projects)
    gateway.policy = lambda: policy.model_copy(update={"projects": studies})
    leaf = st.fixed_dictionaries({"field": FIELD, "op": st.sampled_from(OPERATORS)}, optional={"value": VALUE, "orMissing": st.booleans()})
    node = st.recursive(leaf | st.dictionaries(WORD, VALUE, max_size=3), _grown, max_leaves=5)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(include=node, path=st.sampled_from(("/v1/count", "/v1/facets", "/v1/freeze")), fields=st.lists(FIELD, max_size=3))
    def send(include, path, fields):
        response = asker.send(definition(include), path, tuple(fields))
        assert response.status_code < 500, response.text
        assert response.json()["answer"]["state"] in ("answered", "refused", "cannot-map")

    send()


WORD = st.text(max_size=12).filter(lambda word: not any("\ud800" <= letter <= "\udfff" for letter in word))
FIELD = st.sampled_from(("modality", "patient.age_years", "study_date", "model", "series.instances", "no.such", "kind"))
OPERATORS = ("=", "!=", "in", "<", "<=", ">", ">=", "between", "exists", "missing", "match", "nonsense")
VALUE = st.one_of(WORD, st.integers(-(2**53) + 1, 2**53 - 1), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.none())
VALUE = VALUE | st.lists(VALUE, max_size=3) | st.sampled_from(("CT", "2004-02-30", "2004", ["2004-01-01", "2003-01-01"]))


def _grown(parts):
    return st.one_of(
        st.builds(lambda name, of: {name: of}, st.sampled_from(("all", "any")), st.lists(parts, max_size=3)),
        st.builds(lambda of: {"not": of}, parts),
        st.builds(lambda of, count: {"atLeast": count, "of": of}, st.lists(parts, max_size=3), st.integers(-1, 4)),
        st.builds(lambda where, grain, same: {"has": grain, "same": same, "where": where}, parts, GRAIN, GRAIN),
    )


GRAIN = st.sampled_from(("series", "study", "patient", "image", "moon"))
