"""The hub: one question to every centre at once, answers as they come; a slow or dead centre holds up nobody."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

import httpx

from fairlead.database import utc_now
from fairlead.errors import InvalidInput
from fairlead.federation.centers import Center
from fairlead.federation.messages import SIGNATURE, VERSIONS, Question, State, checked_answer, new_nonce, sign_question
from fairlead.federation.signing import Identity
from fairlead.records import JsonObject

LARGEST_ANSWER: Final = 4 * 1024 * 1024
CONNECT_S: Final = 5.0


class Post(Protocol):
    """How a signed question reaches one centre and its answer comes back: over HTTP, or through the mailbox."""

    async def __call__(self, center: Center, path: str, body: bytes, signature: str) -> bytes:
        """Return the bytes of the answer; raise OSError or httpx.HTTPError when the centre cannot be reached."""
        ...


@dataclass(frozen=True, slots=True)
class CenterAnswer:
    """What one centre said, or why there is no number of it. A state without a number is never a zero."""

    center: str
    state: State
    patients: int | None = None
    plus_minus: int | None = None
    below: int | None = None
    policy: str | None = None
    message: str = ""
    remedy: str = ""
    seconds: float = 0.0
    answer: JsonObject = field(default_factory=dict)

    def as_json(self) -> JsonObject:
        """Return the document of the contract."""
        told: JsonObject = {
            "center": self.center,
            "state": self.state,
            "patients": self.patients,
            "plus_minus": self.plus_minus,
            "policy": self.policy,
            "below": self.below,
            "seconds": round(self.seconds, 3),
        }
        return told | ({"message": self.message, "remedy": self.remedy} if self.message else {}) | self._tables()

    def _tables(self) -> JsonObject:
        return {"facets": self.answer["facets"]} if "facets" in self.answer else {}


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks, for what, and how long anybody is waited for."""

    hub: str
    identity: Identity
    project: str
    purpose: str
    person: str
    wait_s: float = 10.0
    clock: Callable[[], datetime] = utc_now

    def question(self, center: str, definition: JsonObject, fields: Sequence[str] = ()) -> Question:
        """Return a new question to one centre."""
        return Question(
            versions=VERSIONS,
            hub=self.hub,
            center=center,
            project=self.project,
            purpose=self.purpose,
            person=self.person,
            nonce=new_nonce(),
            sent_at=self.clock(),
            definition=definition,
            fields=tuple(fields),
        )


async def fan_out(
    centers: Iterable[Center], definition: JsonObject, *, asking: Asking, post: Post, path: str = "/v1/count", fields: Sequence[str] = ()
) -> AsyncIterator[CenterAnswer]:
    """Yield one answer for every centre, the quickest first; who has not answered in time is ``pending``."""
    asked = list(centers)
    tasks = {
        asyncio.create_task(_ask(center, asking.question(center.name, definition, fields), asking=asking, post=post, path=path)): center
        for center in asked
    }
    waiting, deadline = set(tasks), time.monotonic() + asking.wait_s
    try:
        while waiting:
            done, waiting = await asyncio.wait(waiting, timeout=max(0.0, deadline - time.monotonic()), return_when=asyncio.FIRST_COMPLETED)
            if not done:
                break
            for task in done:
                yield task.result()
        for task in sorted(waiting, key=lambda one: tasks[one].name):
            yield CenterAnswer(tasks[task].name, "pending", message="No answer yet.", seconds=asking.wait_s)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _ask(center: Center, question: Question, *, asking: Asking, post: Post, path: str) -> CenterAnswer:
    began = time.monotonic()
    body, signature = sign_question(question, path, asking.identity)
    try:
        document = json.loads(await post(center, path, body, signature))
        answer = checked_answer(document, public_key=center.public_key, question=question, body=body)
        return _answered(center.name, answer, time.monotonic() - began)
    except (InvalidInput, ValueError, RecursionError) as error:
        message = error.message if isinstance(error, InvalidInput) else "The centre's answer is not one."
        return CenterAnswer(
            center.name, "offline", message=message, remedy="Ask the centre's administrator.", seconds=time.monotonic() - began
        )
    except (httpx.HTTPError, OSError) as error:
        return CenterAnswer(center.name, "offline", message=_unreachable(error), seconds=time.monotonic() - began)


def _answered(name: str, answer: JsonObject, seconds: float) -> CenterAnswer:
    policy: Any = answer.get("policy") or {}
    match answer.get("state"):
        case "answered":
            return CenterAnswer(
                name,
                "answered",
                patients=_number(answer.get("patients")),
                plus_minus=_number(answer.get("plus_minus")),
                below=_number(answer.get("below")),
                policy=f"{policy.get('version')} ({str(policy.get('sha256'))[:12]})",
                seconds=seconds,
                answer=answer,
            )
        case "cannot-map":
            state: State = "cannot-map"
        case _:
            state = "refused"
    return CenterAnswer(name, state, message=str(answer.get("message", "")), remedy=str(answer.get("remedy", "")), seconds=seconds)


def _number(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidInput("The centre's answer holds no number.")
    return value


def _unreachable(error: Exception) -> str:
    return "The centre does not answer in time." if isinstance(error, httpx.TimeoutException) else "The centre cannot be reached."


def summed(answers: Sequence[CenterAnswer]) -> JsonObject:
    """Return the sum over the centres that gave a number, who is in it, and who is not; patients may be counted twice."""
    told = [one for one in answers if one.state == "answered" and one.patients is not None]
    return {
        "patients": sum(one.patients or 0 for one in told),
        "plus_minus": sum(one.plus_minus or 0 for one in told),
        "may_double_count": True,
        "of": sorted(one.center for one in told),
        "without": sorted(one.center for one in answers if one not in told),
    }


@dataclass(frozen=True, slots=True)
class HttpPost:
    """Questions over HTTP. One client for all, so that connections are kept."""

    client: httpx.AsyncClient
    token: str = ""

    async def __call__(self, center: Center, path: str, body: bytes, signature: str) -> bytes:
        """Return the answer of a centre; refusals are signed answers as well, whatever their status."""
        headers = {"Content-Type": "application/json", SIGNATURE: signature} | (
            {"Authorization": f"Bearer {self.token}"} if self.token else {}
        )
        received = bytearray()
        async with self.client.stream("POST", f"{center.address.rstrip('/')}{path}", content=body, headers=headers) as response:
            async for part in response.aiter_bytes():
                received += part
                if len(received) > LARGEST_ANSWER:
                    raise InvalidInput("The centre's answer is too large.")
        return bytes(received)
