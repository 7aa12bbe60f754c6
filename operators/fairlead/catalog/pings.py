"""Pings between FAIR Data Points and indexes of them: who may ping us is harvested, and whom we know is told that we are here.

Both ways are off until a setting names addresses. The reference believes whoever pings it, whatever the address; here an address has to
be on a list, and is looked up and asked as every other one. Source: the reference implementation's ``POST / {"clientUrl": …}``.
"""

from __future__ import annotations

import json
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Full, Queue
from threading import Event, Lock, Thread
from typing import Any, Final

from fastapi import Depends, FastAPI
from fastapi.responses import JSONResponse, Response
from sqlalchemy import Engine, func, select

from fairlead.catalog.accounts import TooManyAttempts
from fairlead.catalog.bodies import body_of, json_of, text_field
from fairlead.catalog.fetching import Fetcher
from fairlead.catalog.harvest import harvest
from fairlead.catalog.tables import harvested
from fairlead.errors import FairleadError, NotPermitted, ServiceUnreachable
from fairlead.publish.store import store_errors
from fairlead.records import JsonObject, Refusal
from fairlead.settings import Settings

logger = logging.getLogger(__name__)
EVERY_S: Final = 7 * 24 * 3600.0
"""How often an index hears of us; the reference forgets nobody sooner."""
MOST_PINGS: Final = 10
WITHIN_S: Final = 6 * 3600.0
MAX_WAITING: Final = 50
MAX_WATCHED: Final = 1000
MAX_SHOWN: Final = 1000


def is_listed(url: str, listed: tuple[str, ...]) -> bool:
    """Return whether an address is on a list, or below one that is.

    >>> is_listed("https://a.org/fdp/", ("https://a.org/fdp",)), is_listed("https://a.org.evil.org/", ("https://a.org",))
    (True, False)
    """
    return any(url == known or url.startswith(f"{known.rstrip('/')}/") for known in listed)


class PingIndex:
    """Harvests, one after the other, who pings and may."""

    def __init__(self, settings: Settings, engine: Engine, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._engine = engine
        self._clock = clock
        self._lock = Lock()
        self._pings: OrderedDict[str, deque[float]] = OrderedDict()
        self._waiting: Queue[str] = Queue(MAX_WAITING)
        self._worker: Thread | None = None
        self._asked = ""

    def ping(self, url: str) -> None:
        """Note that a FAIR Data Point asks to be harvested.

        Raises
        ------
        NotPermitted : its address is not on the list.
        TooManyAttempts : it was noted :data:`MOST_PINGS` times within six hours.
        ServiceUnreachable : too many others are waiting.
        """
        if not is_listed(url, self._settings.catalog.ping.accept):
            raise NotPermitted("This index does not take that address.", remedy="Ask its administrator to list it (catalog.ping.accept).")
        with self._lock:
            self._count(url)
            if url not in self._waiting.queue:
                try:
                    self._waiting.put_nowait(url)
                except Full as error:
                    raise ServiceUnreachable("Too many FAIR Data Points are waiting.", remedy="Repeat later.") from error
            if self._worker is None:
                self._worker = Thread(target=self._work, name="ping-harvest", daemon=True)  # a harvest must not hold up the end
                self._worker.start()

    def _count(self, url: str) -> None:
        noted, now = self._pings.setdefault(url, deque()), self._clock()
        while noted and now - noted[0] > WITHIN_S:
            noted.popleft()
        if len(noted) >= MOST_PINGS:
            raise TooManyAttempts("This address was announced too often.", remedy="Repeat in some hours.")
        noted.append(now)
        self._pings.move_to_end(url)
        while len(self._pings) > MAX_WATCHED:
            self._pings.popitem(last=False)

    def _work(self) -> None:
        while True:
            self._asked = self._waiting.get()
            try:
                report = harvest(self._settings, [self._asked], engine=self._engine)
                logger.info("harvested after a ping: %s seen, %s errors", report.seen, len(report.errors))
            except FairleadError as error:
                logger.warning("harvest after a ping failed: %s", error.code)
            except Exception as error:  # the worker outlives whatever a stranger's catalogue does to it
                logger.error("harvest after a ping failed: %s", type(error).__name__)
            self._asked = ""
            self._waiting.task_done()

    @property
    def is_idle(self) -> bool:
        """Whether everybody who was noted has been harvested."""
        return not self._waiting.unfinished_tasks

    def entries(self) -> JsonObject:
        """Return who was harvested here, as the reference's page of entries; UNKNOWN is who is asked at this moment."""
        columns = (harvested.c.source, func.min(harvested.c.changed_at).label("first"), func.max(harvested.c.seen_at).label("last"))
        query = select(*columns).group_by(harvested.c.source).order_by(harvested.c.source).limit(MAX_SHOWN)
        asked = self._asked
        with store_errors(), self._engine.connect() as connection:
            rows = connection.execute(query).all()
        content: list[Any] = [
            {
                "clientUrl": row.source,
                "state": "UNKNOWN" if row.source == asked else "ACTIVE",
                "registrationTime": row.first.isoformat(),
                "modificationTime": row.last.isoformat(),
            }
            for row in rows
        ]
        return {"content": content, "totalElements": len(content), "totalPages": 1, "number": 0, "first": True, "last": True}


def add_ping_routes(app: FastAPI, index: PingIndex) -> None:
    """Add what an index answers."""

    @app.post("/", status_code=204)
    def ping(body: bytes = Depends(body_of)) -> Response:
        """Note a FAIR Data Point that asks to be harvested."""
        index.ping(text_field(json_of(body), "clientUrl"))
        return Response(status_code=204)

    @app.get("/index/entries")
    def entries() -> JSONResponse:
        """List the FAIR Data Points that were harvested."""
        return JSONResponse(index.entries(), headers={"Cache-Control": "no-cache"})


def announce(settings: Settings, *, fetcher: Fetcher | None = None) -> tuple[Refusal, ...]:
    """Tell every index of the settings that this FAIR Data Point is here; return those that did not take it."""
    asking = fetcher or Fetcher(private=settings.catalog.harvest_private)
    body = json.dumps({"clientUrl": f"{settings.catalog.base_url.rstrip('/')}/"}).encode()
    refused = []
    try:
        for url in settings.catalog.ping.announce:
            try:
                answer = asking.post(url, body, {"Content-Type": "application/json"})
                if answer.status >= 300:
                    raise ServiceUnreachable(f"The index answers {answer.status}.", remedy="Ask its administrator.")
            except FairleadError as error:
                refused.append(Refusal(source=url, code=error.code, reason=error.message))
    finally:
        asking.close()
    return tuple(refused)


@contextmanager
def announcing(settings: Settings, *, every_s: float = EVERY_S) -> Iterator[Callable[[], None]]:
    """Give a function that begins to tell the indexes of the settings, and repeats it from time to time until the block ends."""
    ended = Event()

    def tell() -> None:
        """Tell, and wait."""
        while not ended.is_set():
            for refusal in announce(settings):
                logger.warning("the index %s did not take our address: %s", refusal.source, refusal.reason)
            ended.wait(every_s)

    def begin() -> None:
        """Begin; to be called when we answer, since an index asks at once."""
        if settings.catalog.ping.announce:
            Thread(target=tell, name="announce", daemon=True).start()

    try:
        yield begin
    finally:
        ended.set()
