"""Who may ask: signature, age, replay, project, purpose and budget of a question, checked in this order before anything is counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Engine, delete, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from fairlead.database import database_errors
from fairlead.errors import BudgetSpent, NotApproved, NotPermitted, Replayed, Unauthenticated
from fairlead.federation.messages import Question, chosen_version, signed_lines
from fairlead.federation.policy import Hub, Policy, Study
from fairlead.federation.signing import is_signed
from fairlead.federation.tables import nonces, spending

UNKNOWN_PROJECT = "No such project is open for this hub."
MINUTE = timedelta(minutes=1)
BUDGET_LOCK = 0x0FA1_41ED


@dataclass(frozen=True, slots=True)
class Admitted:
    """A question that may be answered, and under what."""

    question: Question
    hub: Hub
    study: Study
    version: str
    spent: int
    """Its row among the questions that were taken."""


@dataclass(frozen=True, slots=True)
class Door:
    """Admission to one centre."""

    center: str
    engine: Engine
    clock: Callable[[], datetime]

    def admit(self, question: Question, body: bytes, *, path: str, signature: str, policy: Policy, mailbox: bool = False) -> Admitted:
        """Return the admitted question.

        Raises
        ------
        Unauthenticated, Replayed, NotApproved, BudgetSpent, NotPermitted : in the order of the checks.
        """
        now = self.clock()
        hub = policy.hub(question.hub)
        if hub is None or not is_signed(hub.public_key, signature, *signed_lines(path, body)):
            raise Unauthenticated("The message is not signed by a hub that this centre knows.")
        if question.center != self.center:
            raise Unauthenticated("The message is addressed to another centre.")
        version = chosen_version(question.versions)
        self._fresh(question, policy, now=now, mailbox=mailbox)
        study = _study(question, policy, now)
        spent = self._spend(question, policy, now)
        return Admitted(question, hub, study, version, spent)

    def admit_unsigned(self, question: Question, *, policy: Policy) -> Admitted:
        """Return a question of this process itself, for a network that has its own way in; project and budget hold for it as well."""
        hub, now = policy.hub(question.hub), self.clock()
        if hub is None:
            raise Unauthenticated("The policy names no such hub.")
        study = _study(question, policy, now)
        spent = self._spend(question, policy, now)
        return Admitted(question, hub, study, chosen_version(question.versions), spent)

    def _fresh(self, question: Question, policy: Policy, *, now: datetime, mailbox: bool) -> None:
        oldest = timedelta(seconds=policy.mailbox_age_s if mailbox else policy.message_age_s)
        skew = timedelta(seconds=policy.clock_skew_s)
        if not now - oldest - skew <= question.sent_at <= now + skew:
            raise Replayed("The message is too old, or from the future.", remedy="Set the clocks of both sides, then send a new message.")
        expires = question.sent_at + timedelta(seconds=policy.mailbox_age_s) + 2 * skew
        try:
            with database_errors(), self.engine.begin() as connection:
                connection.execute(delete(nonces).where(nonces.c.expires_at < now))
                connection.execute(insert(nonces), {"hub": question.hub, "nonce": question.nonce, "expires_at": expires})
        except IntegrityError as error:
            raise Replayed("The message was taken before.") from error

    def charge(self, connection: Connection, admitted: Admitted, *, numbers: int) -> None:
        """Let the project pay for every number that the answer shows, and for the one that each table may hide (`facets.table`).

        What the asker sees is counted, not what was drawn: what is left of a budget must not tell which number was computed.
        """
        connection.execute(update(spending).where(spending.c.id == admitted.spent).values(cells=numbers))

    def _spend(self, question: Question, policy: Policy, now: datetime) -> int:
        budget = policy.disclosure.budget
        window = timedelta(hours=budget.hours)
        with database_errors(), self.engine.begin() as connection:
            if connection.dialect.name == "postgresql":  # two questions at once must not both see the last one left; SQLite has one writer
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": BUDGET_LOCK})
            of_person = (spending.c.hub == question.hub, spending.c.project == question.project, spending.c.person == question.person)
            if _asked(connection, *of_person, spending.c.at > now - MINUTE) >= budget.per_minute:
                raise BudgetSpent("Too many questions within a minute.", remedy="Ask more slowly.")
            if _asked(connection, *of_person, spending.c.at > now - window) >= budget.questions:
                raise BudgetSpent(f"This person's questions of {budget.hours:g} hours are spent.")
            if _shown(connection, *of_person[:2]) >= budget.project_questions:
                raise BudgetSpent("The questions of this project are spent.", remedy="The centre's data steward may grant more.")
            values = {"hub": question.hub, "project": question.project, "person": question.person, "cells": 1, "at": now}
            number = connection.execute(insert(spending).returning(spending.c.id), values).scalar_one()
        return int(number)


def _asked(connection: Connection, *conditions: ColumnElement[bool]) -> int:
    return int(connection.execute(select(func.count()).select_from(spending).where(*conditions)).scalar_one())


def _shown(connection: Connection, *conditions: ColumnElement[bool]) -> int:
    return int(connection.execute(select(func.coalesce(func.sum(spending.c.cells), 0)).where(*conditions)).scalar_one())


def _study(question: Question, policy: Policy, now: datetime) -> Study:
    study = policy.study(question.project, question.hub)
    if study is None:  # the same words for a project of others and for none at all
        raise NotApproved(UNKNOWN_PROJECT)
    if question.purpose not in study.purposes:
        raise NotApproved("The purpose is not one that was approved for this project.")
    if not study.is_open(now.date()):
        raise NotApproved("The project is not open today.")
    return study


def needs(allowed: bool, what: str) -> None:
    """Refuse what the project was not approved for."""
    if not allowed:
        raise NotPermitted(f"The project is not approved for {what}.", remedy="Ask the centre's data steward.")
