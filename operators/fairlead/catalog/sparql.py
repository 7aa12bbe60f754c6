"""Read-only SPARQL, bounded by the kernel: each query runs in a process of its own with limits of time, memory and output.

A query engine inside the server cannot be stopped from outside; a process can. Updates, SERVICE and FROM are refused before.
Source: SPARQL 1.1 Query, Protocol and Results.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from threading import BoundedSemaphore
from typing import Final

from fairlead.catalog.corpus import Corpus
from fairlead.errors import FairleadError, InvalidInput, ServiceUnreachable

MAX_QUERY: Final = 16_384
TIME_S: Final = 20
"""Seconds of processor time."""
SPARE_S: Final = 5
"""More seconds by the clock: to start, to read the statements, and on a machine that does other things too."""
AT_ONCE: Final = 2
WORKER: Final = Path(__file__).with_name("sparql_worker.py")
"""Run as a file: the package's own imports are many, and a query needs none of them."""
PASSED_OVER: Final = re.compile(
    r'#[^\r\n]*|"""(?:[^\\]|\\.)*?"""|\'\'\'(?:[^\\]|\\.)*?\'\'\'|"(?:[^"\\\r\n]|\\.)*"|\'(?:[^\'\\\r\n]|\\.)*\'|<[^<>\s]*>',
    re.DOTALL,
)
"""Comments, strings and IRIs in one pass, as the grammar reads them: what begins inside of one of them begins nothing."""
REFUSED: Final = re.compile(
    r"(?<![\w:?$])(SERVICE|FROM|INSERT|DELETE|LOAD|CLEAR|CREATE|DROP|COPY|MOVE|ADD\s+(?:SILENT|DEFAULT|GRAPH))\b", re.IGNORECASE
)
RESULTS: Final = (
    "application/sparql-results+json",
    "application/sparql-results+xml",
    "text/csv",
    "text/turtle",
    "application/n-triples",
)
"""Media types of results: tables have the first three, graphs the last two."""


def check_query(query: str) -> None:
    """Refuse what is no read-only query over this catalogue.

    Raises
    ------
    InvalidInput : empty, too long, an update, or one that would reach other servers.
    """
    if not query.strip() or len(query) > MAX_QUERY:
        raise InvalidInput(f"A query has 1 to {MAX_QUERY} characters.", remedy="Send ?query=SELECT …")
    if "\\u" in query or "\\U" in query:  # expanded before the grammar is read (SPARQL 1.1 section 19.2): it would hide a keyword
        raise InvalidInput("Escapes by code point are not read in queries.", remedy="Write the character itself.")
    bare = PASSED_OVER.sub(" ", query)
    if found := REFUSED.search(bare):
        raise InvalidInput(f"{found.group(1).upper()} is not allowed: queries read this catalogue only.", remedy="Leave it out.")


class TooCostly(FairleadError):
    """A query that ran into the limit of time or of memory."""

    code = "query-too-costly"
    default_remedy = "Ask for less: name a subject or a class first, add LIMIT; or fetch /dump.nt and ask it at home."


class Queries:
    """Runs queries over the corpus."""

    def __init__(self, corpus: Corpus, *, time_s: int = TIME_S) -> None:
        self._corpus = corpus
        self._time_s = time_s
        self._slots = BoundedSemaphore(AT_ONCE)

    def run(self, query: str, media_type: str) -> tuple[str, bytes]:
        """Return media type and body of the result.

        Raises
        ------
        InvalidInput : the query does not parse, or gives too much.
        TooCostly : it takes too long, or too much memory.
        ServiceUnreachable : too many queries are running.
        """
        check_query(query)
        statements = self._corpus.ntriples()
        if not self._slots.acquire(blocking=False):  # waiting would hold a thread that readers need
            raise ServiceUnreachable("Too many queries are running.", remedy="Repeat later.")
        try:
            done = subprocess.run(
                [sys.executable, "-I", str(WORKER)],
                input=_request(query, media_type, self._time_s) + statements,
                capture_output=True,
                timeout=self._time_s + SPARE_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise self._too_costly() from error
        finally:
            self._slots.release()
        if done.returncode < 0 or not done.stdout:
            raise self._too_costly()
        head, _, body = done.stdout.partition(b"\n")
        answer = json.loads(head)
        if "error" in answer:
            raise InvalidInput(str(answer["error"]), remedy="Correct the query, or ask for less with LIMIT.")
        return str(answer["media_type"]), body

    def _too_costly(self) -> TooCostly:
        limit = f"{self._time_s} s of processor time, {self._time_s + SPARE_S} s by the clock, or 1.5 GB"
        return TooCostly(f"The query takes more than {limit}.")


def _request(query: str, media_type: str, time_s: int) -> bytes:
    """Return the first line that the worker reads; the statements follow it."""
    return json.dumps({"query": query, "media_type": media_type, "time_s": time_s}).encode() + b"\n"
