"""Every error Fairlead raises on purpose: a stable code, what is so, and what to do about it.

The tree (exit status of the command line in brackets; docs/errors.md lists each code with its remedy)::

    FairleadError [1]
    ├── InvalidInput                what came in cannot be used
    │   ├── NotDicom                bytes that are no DICOM Part 10 file or data set
    │   ├── InvalidUid              a UID that breaks PS3.5 section 9.1
    │   ├── UnreadableImage         header or pixels damaged
    │   ├── UnsupportedInput        understood, but outside what a room does; names what is supported
    │   └── InvalidConfiguration    settings, routes, catalogue, profiles
    │       ├── UnknownField        a field that configs/fields.yaml does not declare
    │       └── InvalidDefinition   a cohort definition that breaks its schema or its meaning
    ├── NotFound                    an id that does not exist
    │   └── Withdrawn               existed, was withdrawn, has a tombstone
    ├── Conflict                    somebody else got there first, or the state does not allow it
    │   ├── IllegalTransition       a state machine was asked for a step it does not have
    │   └── EmptyCohort             nothing to freeze or export
    ├── NotPermitted                the caller may not do this
    │   ├── ApprovalRefused         the steward said no
    │   ├── Unauthenticated         a message that nobody known signed
    │   ├── Replayed                a message that was taken before, or is too old
    │   ├── NotApproved             a project or purpose that no steward approved
    │   ├── FieldClosed             a field that a centre does not let others ask about
    │   ├── BudgetSpent             more questions than a centre allows
    │   └── TooLarge                a message above the size that is read
    ├── CannotMap                   a word of a question that a centre does not know
    ├── CheckFailed                 a gate, a validator or a comparison said no
    │   ├── ResidualIdentity        de-identified output still holds identity
    │   └── ShapeViolation          a record does not conform to its shapes
    ├── StorageFull                 no room left for a write
    └── ServiceUnreachable [3]      database, index, storage or a peer does not answer
        └── PortInUse               a listener could not be opened
"""

from __future__ import annotations

from typing import ClassVar


class FairleadError(Exception):
    """Root of the tree: ``message`` says what is so, ``remedy`` what to do; neither ever holds patient data."""

    code: ClassVar[str] = "fairlead"
    exit_status: ClassVar[int] = 1
    default_remedy: ClassVar[str] = "See docs/errors.md for this code."

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy if remedy is not None else self.default_remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        # Keyword-only arguments do not survive BaseException's own pickling; worker processes need them to.
        return _rebuild, (type(self), self.message, self.remedy)


def _rebuild(kind: type[FairleadError], message: str, remedy: str) -> FairleadError:
    return kind(message, remedy=remedy)


class InvalidInput(FairleadError):
    """What came in cannot be used as it is."""

    code = "invalid-input"
    default_remedy = "Correct the input and run the command again."


class NotDicom(InvalidInput):
    """Bytes that are neither a DICOM Part 10 file nor a data set (PS3.10 section 7)."""

    code = "not-dicom"
    default_remedy = "Send DICOM Part 10 files; other formats go through the watched folder."


class InvalidUid(InvalidInput):
    """A UID that is empty, longer than 64 characters, or not digits and dots (PS3.5 section 9.1)."""

    code = "invalid-uid"
    default_remedy = "Repair the UID at the source; Fairlead never invents identity for received objects."


class UnreadableImage(InvalidInput):
    """A header that cannot be parsed or pixels that cannot be decoded."""

    code = "unreadable-image"
    default_remedy = "Ask the source for an intact copy."


class UnsupportedInput(InvalidInput):
    """Input that is well formed but outside what the room does; the message names what is supported."""

    code = "unsupported"
    default_remedy = "See the support table in docs/."


class InvalidConfiguration(InvalidInput):
    """A setting, route, catalogue or profile that does not hold together."""

    code = "invalid-configuration"
    default_remedy = "Correct the file; `fairlead config check` lists every problem."


class UnknownField(InvalidConfiguration):
    """A field id that configs/fields.yaml does not declare."""

    code = "unknown-field"
    default_remedy = "Declare it in configs/fields.yaml, or use one of the fields listed there."


class InvalidDefinition(InvalidConfiguration):
    """A cohort definition that breaks its schema or has no meaning."""

    code = "invalid-definition"
    default_remedy = "See docs/cohorts.md and the examples in configs/cohorts/."


class NotFound(FairleadError):
    """An identifier that does not exist here."""

    code = "not-found"
    default_remedy = "Check the identifier; the list commands show what exists."


class Withdrawn(NotFound):
    """A dataset that existed and was withdrawn; its tombstone stays."""

    code = "withdrawn"
    default_remedy = "Read the tombstone for the reason and the contact."


class Conflict(FairleadError):
    """The present state does not allow the step, or another writer came first."""

    code = "conflict"
    default_remedy = "Look at the present state and decide again."


class IllegalTransition(Conflict):
    """A state machine was asked for a step it does not have."""

    code = "illegal-transition"


class Busy(Conflict):
    """Another process works at the same thing; nothing is wrong with it."""

    code = "busy"
    default_remedy = "Wait until it is done, or repeat later: a process that died is noticed within a minute."


class EmptyCohort(Conflict):
    """A cohort without members cannot be frozen or exported."""

    code = "empty-cohort"
    default_remedy = "Widen the definition; the attrition table names the rule that removed the last patients."


class NotPermitted(FairleadError):
    """The caller may not do this."""

    code = "not-permitted"
    default_remedy = "Ask an administrator for the role that allows it."


class ApprovalRefused(NotPermitted):
    """The steward refused the export; nothing was published."""

    code = "approval-refused"
    default_remedy = "Read the steward's reason in the export's history."


class Unauthenticated(NotPermitted):
    """A message that no known hub signed, or that carries no valid token."""

    code = "unauthenticated"
    default_remedy = "Sign with the key that the centre's administrator accepted; `fairlead federate identity` prints it."


class Replayed(NotPermitted):
    """A message that was taken before, or that is too old or too new to tell."""

    code = "replayed"
    default_remedy = "Send a new message, with a new nonce and the present time."


class NotApproved(NotPermitted):
    """A project, a purpose or a time that the centre's stewards did not approve for this hub."""

    code = "not-approved"
    default_remedy = "Ask the centre's data steward to approve the project, the purpose and the hub."


class FieldClosed(NotPermitted):
    """A field that the centre's policy does not let others ask about."""

    code = "field-closed"
    default_remedy = "Leave the field out; the centre's policy lists what may be asked."


class BudgetSpent(NotPermitted):
    """More questions than the centre's policy allows."""

    code = "budget-spent"
    default_remedy = "Wait until the window of the budget has passed, or ask the centre's data steward for more."


class CannotMap(FairleadError):
    """A field or a word of the question that this centre's catalogue does not know."""

    code = "cannot-map"
    default_remedy = "Ask without it, or ask the centre to declare an alias in its field catalogue."


class TooLarge(NotPermitted):
    """A message above the size that the centre reads."""

    code = "message-too-large"
    default_remedy = "Send a smaller definition."


class CheckFailed(FairleadError):
    """A gate, a validator or a comparison said no; nothing was published."""

    code = "check-failed"
    default_remedy = "Read the report named in the message."


class ResidualIdentity(CheckFailed):
    """De-identified output still held identity and was quarantined."""

    code = "residual-identity"
    default_remedy = "Adjust the de-identification profile; the quarantine report names the attributes."


class ShapeViolation(CheckFailed):
    """A record does not conform to the SHACL shapes or the schema of its profile."""

    code = "shape-violation"


class StorageFull(FairleadError):
    """There is no room for a write; what was being written has been removed."""

    code = "storage-full"
    default_remedy = "Free space or move FAIRLEAD_HOME; senders may repeat, nothing was lost."


class ServiceUnreachable(FairleadError):
    """A database, index, storage or network peer does not answer."""

    code = "service-unreachable"
    exit_status = 3
    default_remedy = "Start the service or correct its address, then repeat."


class PortInUse(ServiceUnreachable):
    """A listener could not be opened because another process holds the port."""

    code = "port-in-use"
    default_remedy = "Choose another port, or 0 for a free one."


def error_classes() -> tuple[type[FairleadError], ...]:
    """Return every error class of the tree, parents before children, for the documentation and its test."""
    found: list[type[FairleadError]] = [FairleadError]
    for kind in found:
        found.extend(sub for sub in kind.__subclasses__() if sub not in found)
    return tuple(found)
