"""One query in a process of its own: limits first, then the data, then the answer on stdout, first line JSON."""

from __future__ import annotations

import json
import re
import resource
import socket
import sys
from typing import IO, Any, Final

MEMORY: Final = 1536 * 1024 * 1024
MAX_RESULT: Final = 5_000_000
MAX_ROWS: Final = 10_000
TABLES: Final = ("application/sparql-results+json", "application/sparql-results+xml", "text/csv")
NOT_XML: Final = re.compile(b"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]|\xed[\xa0-\xbf][\x80-\xbf]")
"""What no XML 1.0 document can hold, in UTF-8 (section 2.2, ``Char``): rdflib writes it as it is."""
GRAPHS: Final = ("text/turtle", "application/n-triples")


def main() -> None:
    """Read the request from stdin, answer on stdout."""
    request = json.loads(sys.stdin.buffer.readline())
    resource.setrlimit(resource.RLIMIT_CPU, (request["time_s"], request["time_s"] + 1))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    socket.socket = _NoSocket  # type: ignore[misc]  # whatever a query may talk the engine into, it reaches nobody
    try:
        media_type, body = answer(request["query"], sys.stdin.buffer, request["media_type"])
        head = {"media_type": media_type}
    except MemoryError:
        head, body = {"error": "The query needs too much memory."}, b""
    except Exception as error:  # the parser and the evaluator raise whatever they like; the client gets the first line
        first = " ".join(str(error).split())[:200]
        head, body = {"error": f"The query does not hold: {first or type(error).__name__}."}, b""
    sys.stdout.buffer.write(json.dumps(head).encode() + b"\n" + body)


class _NoSocket(socket.socket):
    """A socket that cannot be opened."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise PermissionError("queries reach no other server")


def answer(query: str, data: IO[bytes], wanted: str) -> tuple[str, bytes]:
    """Return media type and body of a query's result."""
    import rdflib
    from rdflib import Graph
    from rdflib.plugins.sparql import prepareQuery

    rdflib.NORMALIZE_LITERALS = False  # results say "INF" and "01" as the records do
    prepared = prepareQuery(query)  # a syntax error costs nothing else
    graph = Graph(bind_namespaces="none").parse(data=data.read(), format="nt")
    result = graph.query(prepared)
    if result.type in ("CONSTRUCT", "DESCRIBE"):
        media_type = wanted if wanted in GRAPHS else GRAPHS[0]
        body = result.serialize(format="turtle" if media_type == GRAPHS[0] else "nt")
    else:
        media_type = wanted if wanted in TABLES else TABLES[0]
        if result.type == "SELECT":
            result.bindings = _first(result)
        body = result.serialize(format={TABLES[0]: "json", TABLES[1]: "xml", TABLES[2]: "csv"}[media_type])
    content = NOT_XML.sub(b" ", body or b"") if media_type == TABLES[1] else body or b""
    if len(content) > MAX_RESULT:
        raise ValueError(f"the result has more than {MAX_RESULT} bytes; add LIMIT")
    return media_type, content


def _first(result: Any) -> list[Any]:
    found = list(result.bindings[: MAX_ROWS + 1])
    if len(found) > MAX_ROWS:
        raise ValueError(f"the result has more than {MAX_ROWS} rows; add LIMIT")
    return found


if __name__ == "__main__":
    main()
