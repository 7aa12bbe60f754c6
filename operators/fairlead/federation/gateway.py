"""The gateway of one centre: a signed question in, a signed answer out, an audit entry for both, and nobody's data anywhere."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any, Final

from pyroaring import BitMap
from sqlalchemy import Connection, Engine

from fairlead.cohort import CohortStore, Definition, compile_definition, definition_sha256, narrowed
from fairlead.database import database_errors, utc_now
from fairlead.errors import (
    BudgetSpent,
    CannotMap,
    FairleadError,
    InvalidInput,
    NotPermitted,
    ServiceUnreachable,
    TooLarge,
    Unauthenticated,
    UnsupportedInput,
)
from fairlead.extract import FieldCatalogue
from fairlead.federation import audit
from fairlead.federation.admission import Admitted, Door, needs
from fairlead.federation.dates import widened
from fairlead.federation.facets import cells_of, table
from fairlead.federation.freezing import FREEZE, FrozenPart, freeze_part
from fairlead.federation.mapping import mapped, open_facets
from fairlead.federation.messages import Question, plain_time, read_question, sign_answer
from fairlead.federation.patients import PatientSets
from fairlead.federation.policy import Policy
from fairlead.federation.releasing import Released, Releases
from fairlead.federation.secrets import Keyring
from fairlead.federation.signing import Identity
from fairlead.federation.structure import effective
from fairlead.index import Criterion, Index
from fairlead.records import JsonObject

COUNT: Final = "/v1/count"
FACETS: Final = "/v1/facets"
STRANGERS_PER_MINUTE: Final = 60
STATUS: Final[Mapping[type[FairleadError], int]] = {
    Unauthenticated: 401, TooLarge: 413, BudgetSpent: 429, NotPermitted: 403, CannotMap: 422, UnsupportedInput: 422, InvalidInput: 400,
    ServiceUnreachable: 503,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP status and the signed document."""

    status: int
    document: JsonObject


@dataclass(frozen=True, slots=True)
class Counted:
    """A question after counting: the definition that was answered, among whom, who was meant, and who was counted."""

    definition: Definition
    within: Criterion
    asked: BitMap
    members: BitMap
    sha256: str
    translated: dict[str, str]


@dataclass
class Gateway:
    """Everything one centre needs to answer."""

    center: str
    index: Index
    catalogue: FieldCatalogue
    policy: Callable[[], Policy]
    engine: Engine
    identity: Identity
    ring: Keyring
    secrets_folder: Path
    clock: Callable[[], datetime] = utc_now
    tally: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.releases = Releases(self.engine, self.ring)
        self.door = Door(self.center, self.engine, self.clock)
        self._heads = Lock()
        self._strangers: tuple[str, int] = ("", 0)
        self._kept = 0
        self._sets = PatientSets(self.index, self.releases)

    def warm(self) -> None:
        """Take in what was released before, which the first question would wait for."""
        with self.releases.releasing():
            self.generation()

    # --- answering ---------------------------------------------------------------------------------------------------

    def ask(self, path: str, body: bytes, signature: str, *, mailbox: bool = False) -> Reply:
        """Return the answer to the bytes of a message, whatever they are."""
        question: Question | None = None
        try:
            policy = self.policy()
            if len(body) > policy.largest_message_bytes:
                raise TooLarge(f"The message has more than {policy.largest_message_bytes} bytes.")
            question = read_question(body)
            admitted = self.door.admit(question, body, path=path, signature=signature, policy=policy, mailbox=mailbox)
            answer = self._answer(path, admitted, policy, body)
        except FairleadError as error:
            return self._refused(error, path=path, question=question, body=body)
        self.tally["answered"] += 1
        return Reply(200, sign_answer(answer, self.identity))

    def ask_inside(self, question: Question, path: str) -> JsonObject:
        """Return the answer to a question that another protocol asked, under the hub that the policy names for it.

        Raises
        ------
        FairleadError : the refusal, which is audited.
        """
        try:
            policy = self.policy()
            admitted = self.door.admit_unsigned(question, policy=policy)
            answer = self._answer(COUNT, admitted, policy, b"", noted=path)
        except FairleadError as error:
            self._refused(error, path=path, question=question, body=b"")
            raise
        self.tally["answered"] += 1
        return answer

    def _answer(self, path: str, admitted: Admitted, policy: Policy, body: bytes, *, noted: str = "") -> JsonObject:
        question = admitted.question
        if path == FACETS:
            needs(admitted.study.facets, "tables")
        if path == FREEZE:
            needs(admitted.study.freeze, "freezing")
        fields = open_facets(question.fields, catalogue=self.catalogue, policy=policy) if path == FACETS else ()
        counted = self._count(admitted, policy)
        within = narrowed(compile_definition(counted.definition), counted.within)
        tables = {
            name: cells_of(self.catalogue.get(name), within, index=self.index, policy=policy, count=self._patients) for name in fields
        }
        part = self._freeze(counted, question) if path == FREEZE else None
        now = self.clock()
        with self.releases.releasing() as connection:
            total = self._release(connection, counted, policy, now)
            snaps = [total.snapped]

            def release(members: BitMap) -> Released:
                """Release one number, and keep whether it was an earlier one."""
                released = self.releases.release(connection, members, policy, at=now)
                snaps.append(released.snapped)
                return released

            rows = [table(cells, release=release, catalogue=self.catalogue, field=name) for name, cells in tables.items()]
            answer = self._document(admitted, counted, policy, body) | _number(total, policy) | ({"facets": rows} if rows else {})
            answer |= {"frozen": part.name} if part else {}
            entry = _entry(noted or path, question) | {
                "kind": "answer",
                "definition_sha256": counted.sha256,
                "policy": {"version": policy.version, "sha256": policy.sha256},
                "generation": answer["generation"],
                "released": {"patients": total.patients, "facets": _released(rows)},
                "snapped": sum(snaps),
                **({"frozen": part.name, "cohort": part.local} if part else {}),
            }
            head = audit.append(connection, entry, at=now)
            self.door.charge(connection, admitted, numbers=1 + sum(1 + len(row["cells"]) for row in rows))
        self._keep(head)
        return answer

    def _freeze(self, counted: Counted, question: Question) -> FrozenPart:
        """Freeze who is counted, before the number is released: a frozen part without an answer hurts nobody."""
        return freeze_part(counted.definition, question, index=self.index, catalogue=self.catalogue, engine=self.engine, ring=self.ring)

    def _count(self, admitted: Admitted, policy: Policy) -> Counted:
        self._sets.refresh()
        found = mapped(admitted.question.definition, catalogue=self.catalogue, policy=policy, study=admitted.study)
        definition = widened(found.definition, self.catalogue, policy.disclosure.dates)
        within = CohortStore(self.engine).consenting()

        def count(one: Definition) -> BitMap:
            """Return the patients of one definition, without those who withdrew."""
            return self._patients(narrowed(compile_definition(one), within))

        simpler, members = effective(definition, count, policy.disclosure)
        return Counted(simpler, within, count(definition), members, definition_sha256(found.definition), found.translated)

    def _release(self, connection: Connection, counted: Counted, policy: Policy, now: datetime) -> Released:
        """Release under who was *meant*: however the same patients are asked for next, the number is this one."""
        known = self.releases.known(counted.asked, policy)
        if known is not None:
            return known
        released = self.releases.release(connection, counted.members, policy, at=now)
        self.releases.remember(connection, counted.asked, released.patients, policy=policy, at=now)
        return released

    def _patients(self, criterion: Criterion) -> BitMap:
        return self._sets.of(criterion)

    def _document(self, admitted: Admitted, counted: Counted, policy: Policy, body: bytes) -> JsonObject:
        return {
            **self._addressed(admitted.question, body),
            "version": admitted.version,
            "state": "answered",
            "definition_sha256": counted.sha256,
            "translated": counted.translated,
            "policy": {"version": policy.version, "sha256": policy.sha256},
            "generation": self.generation(),
            "catalogue_sha256": self.catalogue.sha256,
        }

    def generation(self) -> str:
        """Return a name for the state of the data that is the same only here: content hashes could be compared by guessing."""
        return self.ring.forever("generation", self.index.generation()).hex()[:16]

    def refuse(self, error: FairleadError, path: str) -> Reply:
        """Return the refusal of a message that never came as far as being read."""
        return self._refused(error, path=path, question=None, body=b"")

    # --- refusing ----------------------------------------------------------------------------------------------------

    def _refused(self, error: FairleadError, *, path: str, question: Question | None, body: bytes) -> Reply:
        state = "cannot-map" if isinstance(error, CannotMap) else "refused"
        told = {"state": state, "code": error.code, "message": error.message, "remedy": error.remedy}
        self.tally[state] += 1
        stranger = question is None or isinstance(error, Unauthenticated)
        if not isinstance(error, ServiceUnreachable):
            self._note_refusal(error, path=path, question=question, stranger=stranger)
        status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 400)
        return Reply(status, sign_answer(self._addressed(question, body) | told, self.identity))

    def _note_refusal(self, error: FairleadError, *, path: str, question: Question | None, stranger: bool) -> None:
        now = self.clock()
        if stranger and not self._room_for_strangers(plain_time(now)[:16]):
            return
        entry = (_entry(path, question) if question else {"path": path}) | {"kind": "refusal", "code": error.code, "proven": not stranger}
        with database_errors(), self.engine.begin() as connection:
            head = audit.append(connection, entry, at=now)
        self._keep(head)

    def _room_for_strangers(self, minute: str) -> bool:
        """Return whether one more message of nobody is noted: a flood of them must not fill the disk."""
        with self._heads:
            seen = self._strangers[1] + 1 if self._strangers[0] == minute else 1
            self._strangers = (minute, seen)
        return seen <= STRANGERS_PER_MINUTE

    def _addressed(self, question: Question | None, body: bytes) -> JsonObject:
        return {
            "center": self.center,
            "in_reply_to": question.nonce if question else None,
            "question_sha256": hashlib.sha256(body).hexdigest(),
            "answered_at": plain_time(self.clock()),
        }

    def _keep(self, head: audit.Head) -> None:
        with self._heads:
            if head.seq > self._kept:  # two answers may come here in the other order
                audit.keep_head(self.secrets_folder, head)
                self._kept = head.seq


def _number(released: Released, policy: Policy) -> JsonObject:
    hidden = {"below": policy.disclosure.threshold} if released.patients is None else {}
    return {"patients": released.patients, "plus_minus": released.plus_minus, **hidden}


def _entry(path: str, question: Question) -> JsonObject:
    told: dict[str, Any] = question.model_dump(mode="json", include={"hub", "project", "purpose", "person", "nonce"})
    return {"path": path, **told}


def _released(rows: list[JsonObject]) -> JsonObject:
    return {row["field"]: [[cell["label"], cell["patients"]] for cell in row["cells"]] for row in rows}
