"""One query in a process of its own: limits first, then the data, then the answer on stdout, first line JSON."""

from __future__ import annotations

import io
import json
import re
import resource
import sys
from typing import Any, Final

import pyoxigraph
from pyoxigraph import QueryBoolean, QueryResultsFormat, QuerySolutions, RdfFormat, Store

MEMORY: Final = 1536 * 1024 * 1024
MAX_RESULT: Final = 5_000_000
TABLES: Final = {
    "application/sparql-results+json": QueryResultsFormat.JSON,
    "application/sparql-results+xml": QueryResultsFormat.XML,
    "text/csv": QueryResultsFormat.CSV,
}
GRAPHS: Final = {"text/turtle": RdfFormat.TURTLE, "application/n-triples": RdfFormat.N_TRIPLES}
NOT_XML: Final = re.compile(b"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]|\xed[\xa0-\xbf][\x80-\xbf]")
"""What no XML 1.0 document can hold, in UTF-8 (section 2.2, ``Char``)."""


class TooLong(Exception):
    """A result beyond :data:`MAX_RESULT`."""


class BoundedOutput(io.BytesIO):
    """Takes so many bytes and no more, so that a result is not made whole before it is found too long."""

    def write(self, data: Any) -> int:
        """Take some bytes."""
        if self.tell() + len(data) > MAX_RESULT:
            raise TooLong(f"the result has more than {MAX_RESULT} bytes; add LIMIT")
        return super().write(data)


def main() -> None:
    """Read the request from stdin, answer on stdout."""
    request = json.loads(sys.stdin.buffer.readline())
    resource.setrlimit(resource.RLIMIT_CPU, (request["time_s"], request["time_s"] + 1))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))  # no file and no socket is opened from here on: the engine reaches nobody
    try:
        media_type, body = answer(request["query"], sys.stdin.buffer.read(), request["media_type"])
        head = {"media_type": media_type}
    except MemoryError:
        head, body = {"error": "The query needs too much memory."}, b""
    except Exception as error:  # the parser and the evaluator raise whatever they like; the client gets the first line
        first = " ".join(str(error).split())[:200]
        head, body = {"error": f"The query does not hold: {first or type(error).__name__}."}, b""
    sys.stdout.buffer.write(json.dumps(head).encode() + b"\n" + body)


def answer(query: str, statements: bytes, wanted: str) -> tuple[str, bytes]:
    """Return media type and body of a query's result."""
    Store().query(query)  # a syntax error costs nothing else
    store = Store()
    store.bulk_load(statements, format=RdfFormat.N_TRIPLES, lenient=True)  # one odd record must not silence the others
    result = store.query(query)
    out = BoundedOutput()
    if isinstance(result, QuerySolutions | QueryBoolean):
        media_type = wanted if wanted in TABLES and (wanted != "text/csv" or isinstance(result, QuerySolutions)) else next(iter(TABLES))
        result.serialize(out, format=TABLES[media_type])
    else:
        media_type = wanted if wanted in GRAPHS else next(iter(GRAPHS))
        pyoxigraph.serialize(result, out, format=GRAPHS[media_type])
    body = out.getvalue()
    return media_type, NOT_XML.sub(b" ", body) if media_type.endswith("+xml") else body


if __name__ == "__main__":
    main()
