"""Questions and answers between hub and centre, version 1: canonical JSON (RFC 8785), signed by who sends it, used once.

A question is signed over method, path and body, and its body names hub and centre, so that it cannot be turned to another
centre or endpoint. The versions that the hub speaks are inside what is signed: nobody on the way can take the newer ones out.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from fairlead.errors import InvalidInput, NotPermitted
from fairlead.federation.signing import Identity, canonical, is_signed
from fairlead.records import JsonObject, Name

VERSIONS: Final = ("1",)
SIGNATURE: Final = "Fairlead-Signature"
MOST_DEPTH: Final = 32
FRESH: Final = timedelta(minutes=5)

Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:@/-]{1,64}$")]
Nonce = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{16,64}$")]
State = Literal["answered", "refused", "cannot-map", "pending", "offline"]


class Question(BaseModel):
    """What a hub asks; ``person`` is the hub's own opaque name of who asks, for budgets and for the audit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    versions: Annotated[tuple[Word, ...], Field(min_length=1, max_length=8)]
    hub: Name
    center: Name
    project: Name
    purpose: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    person: Word
    nonce: Nonce
    sent_at: AwareDatetime
    definition: dict[str, Any] = {}
    fields: Annotated[tuple[Annotated[str, StringConstraints(max_length=100)], ...], Field(max_length=20)] = ()


def new_nonce() -> str:
    """Return what makes a question unique."""
    return secrets.token_urlsafe(24)


def read_json(body: bytes) -> Any:
    """Return the JSON document of a body that may be hostile.

    Raises
    ------
    InvalidInput : it is no I-JSON (RFC 7493: UTF-8, every name once, no NaN, whole characters), or nests deeper than any question does.
    """
    try:
        document = json.loads(body.decode("utf-8"), object_pairs_hook=_once_each, parse_constant=_no_constant)
        json.dumps(document, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError) as error:
        raise InvalidInput("The message is not JSON.") from error
    if _deeper_than(document, MOST_DEPTH):
        raise InvalidInput(f"The message nests deeper than {MOST_DEPTH} levels.")
    return document


def read_question(body: bytes) -> Question:
    """Return the question of a body; raise InvalidInput, naming the place, when it is none."""
    try:
        return Question.model_validate(read_json(body))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        at = ".".join(str(part)[:40] for part in first["loc"][:3]) or "the message"
        raise InvalidInput(f"The question does not hold at {at}: {first['type']}.") from error


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object whose names are all different: two readers could each take another of two values."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is there twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _deeper_than(document: Any, levels: int) -> bool:
    layer = [document]
    for _ in range(levels + 1):
        layer = [inner for one in layer if isinstance(one, dict | list) for inner in (one.values() if isinstance(one, dict) else one)]
        if not layer:
            return False
    return True


def signed_lines(path: str, body: bytes) -> tuple[str, str, str]:
    """Return what the signature of a question covers."""
    return "POST", path, hashlib.sha256(body).hexdigest()


def sign_question(question: Question, path: str, identity: Identity) -> tuple[bytes, str]:
    """Return body and signature."""
    body = canonical(question.model_dump(mode="json")).encode()
    return body, identity.sign(*signed_lines(path, body))


def chosen_version(offered: tuple[str, ...]) -> str:
    """Return the newest version that both sides speak.

    Raises
    ------
    NotPermitted : the hub offers none of ours, which also is what a downgraded message looks like.
    """
    common = [version for version in VERSIONS if version in offered]
    if not common:
        raise NotPermitted("None of the offered versions is spoken here.", remedy=f"Speak one of: {', '.join(VERSIONS)}.")
    return common[-1]


def sign_answer(answer: JsonObject, identity: Identity) -> JsonObject:
    """Return the answer with the signature over its canonical form."""
    return {"answer": answer, "key": identity.public_key, "signature": identity.sign("ANSWER", canonical(answer))}


def checked_answer(document: Any, *, public_key: str, question: Question, body: bytes) -> JsonObject:
    """Return the answer of a document when the accepted key signed it for this very question.

    Raises
    ------
    InvalidInput : another key, a forged or altered answer, or one to another question.
    """
    try:
        answer, signature = dict(document["answer"]), str(document["signature"])
        signed = is_signed(public_key, signature, "ANSWER", canonical(answer))
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput("The centre's answer has not the shape of one.") from error
    asked = {"in_reply_to": question.nonce, "center": question.center, "question_sha256": hashlib.sha256(body).hexdigest()}
    if not signed or any(answer.get(name) != value for name, value in asked.items()):
        raise InvalidInput("The centre's answer is not signed by the accepted key, or belongs to another question.")
    return answer


def is_fresh(sent: str, now: datetime) -> bool:
    """Return whether a signed reading was sent a few minutes ago at most, by clocks that may differ."""
    try:
        return abs(now - datetime.fromisoformat(sent)) <= FRESH
    except (ValueError, TypeError):
        return False


def plain_time(moment: datetime) -> str:
    """Return a time as messages carry it: UTC, whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
