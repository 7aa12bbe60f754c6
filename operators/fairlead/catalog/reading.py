"""Read RDF that strangers sent: bounded in size and depth, without entities, without remote contexts, without odd IRIs.

Sources: Turtle 1.1, JSON-LD 1.1 section 3.1 (contexts), RDF 1.1 XML Syntax, RFC 3987.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cache, partial
from importlib.resources import files
from itertools import islice
from math import isfinite
from typing import Any, Final

from rdflib import RDF, XSD, Dataset, Graph, URIRef
from rdflib.graph import DATASET_DEFAULT_GRAPH_ID
from rdflib.plugins.stores.memory import Memory
from rdflib.term import Node, XSDToPython, _toPythonMapping

from fairlead.catalog.literals import FORMS, is_well_formed
from fairlead.catalog.rdf_xml import relabelled
from fairlead.catalog.terms import check_statements
from fairlead.errors import InvalidInput, UnsupportedInput

PARSERS: Final[Mapping[str, str]] = {
    "text/turtle": "turtle",
    "application/x-turtle": "turtle",
    "text/n3": "turtle",
    "application/n-triples": "nt",
    "application/ld+json": "json-ld",
    "application/json": "json-ld",
    "application/rdf+xml": "xml",
}
"""Media types that are read. Notation3 is read as Turtle: rules and formulas have no place in a record."""
MAX_TRIPLES: Final = 50_000
MAX_QUADS: Final = 200_000
"""Statements of a bundle of many records."""
MAX_DEPTH: Final = 60
MAX_PREFIXES: Final = 500
"""Prefixes and namespaces that a document declares; rdflib compares each new one with all the others."""
MAX_CONTEXTS: Final = 50
"""Contexts that a JSON-LD document names or holds: each that comes from the package is thousands of terms to read."""
ENCODING: Final = re.compile(r"""<\?xml[^>]*encoding\s*=\s*["']([^"']+)["']""", re.IGNORECASE)
PREFIX: Final = re.compile(r"@prefix\s|\bprefix\s+[^\s:]*:\s*<|\bxmlns:", re.IGNORECASE)
SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")
SCHEMA_ORG: Final = re.compile(r"https?://schema\.org/?(docs/jsonldcontext\.json(ld)?)?")
CRATE_CONTEXT: Final = re.compile(r"https://w3id\.org/ro/crate/1\.[0-9](-DRAFT)?/context")


def _value_of(datatype: URIRef, text: str) -> Any:
    """Return the value of a literal, or None when its form is not of its datatype, and for the three numbers that rdflib would misspell.

    An ``xsd:decimal`` has no exponent (XSD 1.1 part 2, 3.3.3): rdflib would write 1e999999999 out in full. A form that raises would be
    logged with its text.
    """
    short = text.strip()
    read: Any = Decimal if datatype == XSD.decimal else XSDToPython[datatype]
    if not is_well_formed(short, str(datatype)):
        return None
    try:
        value = read(short)
    except (ValueError, OverflowError, ArithmeticError):
        return None  # what Python has no value for: the year 12026, numbers of thousands of digits
    return None if isinstance(value, float) and not isfinite(value) else value


CHECKED: Final[Mapping[str | None, Any]] = {name: partial(_value_of, name) for name in map(URIRef, FORMS) if XSDToPython.get(name)}


def _harden() -> None:
    """Take from rdflib what lets a small literal cost much or say something else; before every document: other libraries put it back.

    The public way, ``rdflib.term.bind``, takes no datatype out: nested HTML of 200 kB is read for minutes, and nothing here needs its tree.
    """
    _toPythonMapping.update(CHECKED)
    for kind in (RDF.HTML, RDF.XMLLiteral):
        _toPythonMapping.pop(kind, None)


class _Bounded(Memory):
    """A store that takes so many statements and no more, so that a parser stops early."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.taken, self.most = 0, most

    def add(self, triple: Any, context: Any, quoted: bool = False) -> None:
        """Add a statement; raise InvalidInput for the one too many."""
        self.taken += 1
        if self.taken > self.most:
            raise InvalidInput(f"The document has more than {self.most} statements.", remedy="Split it; a record describes one thing.")
        super().add(triple, context, quoted)


def read_rdf(body: bytes, media_type: str, *, base: str, limit: int) -> Graph:
    """Return the triples of a document whose relative IRIs are relative to ``base``.

    Raises
    ------
    UnsupportedInput : a media type that is not read.
    InvalidInput : too large, not UTF-8, malformed, or hostile; the message says which.
    """
    kind = PARSERS.get(media_type.partition(";")[0].strip().lower())
    if kind is None:
        raise UnsupportedInput(f"Records are not read as {media_type!r}.", remedy=f"Send {', '.join(sorted(PARSERS))}.")
    graph = Graph(_Bounded(MAX_TRIPLES), bind_namespaces="none")
    _parse(graph, _disarmed(_text(body, limit), kind), kind, base=base)
    check_statements(graph)
    return relabelled(graph)


def read_trig(body: bytes, *, base: str, limit: int) -> dict[Node, Graph]:
    """Return the named graphs of a TriG document by name; what stands outside of them is left out.

    What each says is not checked yet, so that one bad record does not speak for the others: ``check_statements`` does that. Raise
    InvalidInput as read_rdf does.
    """
    dataset = Dataset(store=_Bounded(MAX_QUADS))
    _parse(dataset, _disarmed(_text(body, limit), "trig"), "trig", base=base)
    named = {graph.identifier: graph for graph in dataset.graphs() if graph.identifier != DATASET_DEFAULT_GRAPH_ID and len(graph)}
    return {name: named[name] for name in sorted(named, key=str)}


def _text(body: bytes, limit: int) -> str:
    if len(body) > limit:
        raise InvalidInput(f"The document has more than {limit} bytes.", remedy="Split it; a record describes one thing.")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput("The document is not UTF-8.", remedy="Send UTF-8.") from error


def _disarmed(text: str, kind: str) -> str:
    """Return the text without what a parser would fetch or expand."""
    if kind == "json-ld":
        document = read_json(text)
        _check_contexts(document)
        return json.dumps(inline_contexts(document))
    if kind == "xml":
        _check_xml(text)
    if sum(1 for _ in islice(PREFIX.finditer(text), MAX_PREFIXES + 1)) > MAX_PREFIXES:
        raise InvalidInput(f"The document declares more than {MAX_PREFIXES} prefixes.", remedy="Write the IRIs out.")
    return text


def _check_contexts(document: Any) -> None:
    """Refuse contexts without end, and more prefixes than a record needs."""
    contexts, prefixes = 0, 0
    for _, level in zip(range(MAX_DEPTH), _levels(document), strict=False):
        for item in level:
            found = item.get("@context") if isinstance(item, dict) else None
            parts = found if isinstance(found, list) else [] if found is None else [found]
            contexts += len(parts)
            prefixes += sum(
                1 for part in parts if isinstance(part, dict) for value in part.values() if str(value).endswith(("/", "#", ":"))
            )
    if contexts > MAX_CONTEXTS or prefixes > MAX_PREFIXES:
        raise InvalidInput(
            f"The JSON-LD has more than {MAX_CONTEXTS} contexts or {MAX_PREFIXES} prefixes.", remedy="Use one context for the document."
        )


def _check_xml(text: str) -> None:
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise InvalidInput("RDF/XML with a document type or entities is not read.", remedy="Send it without <!DOCTYPE …>.")
    declared = ENCODING.search(text[:400])
    if declared is not None and declared.group(1).lower().replace("_", "-") not in ("utf-8", "utf8", "us-ascii"):
        raise InvalidInput("The document is not UTF-8.", remedy="Send UTF-8.")


def read_json(text: str) -> Any:
    """Return a JSON document of bounded depth; raise InvalidInput."""
    document = strict_json(text)
    if _depth(document) > MAX_DEPTH:
        raise InvalidInput(f"The document is nested deeper than {MAX_DEPTH} levels.", remedy="Send it flat.")
    return document


def strict_json(text: str) -> Any:
    """Return what a JSON text says, in characters and numbers that can be stored (RFC 8259 sections 6 and 8.2).

    Raises
    ------
    InvalidInput : not JSON, or with NaN, a number beyond doubles, or half of a surrogate pair.
    """
    try:
        document = json.loads(text, parse_constant=_no_number, parse_float=_finite)
        if SURROGATE.search(text):  # looked for only where an escape may have made one
            json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise InvalidInput("The JSON has half of a surrogate pair.", remedy="Send whole characters.") from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput("The document is not JSON.", remedy="Correct its syntax; numbers are finite.") from error
    return document


def _no_number(name: str) -> Any:
    raise ValueError(name)


def _finite(text: str) -> float:
    if not isfinite(number := float(text)):
        raise ValueError("beyond doubles")
    return number


def _depth(document: Any) -> int:
    return sum(1 for _ in _levels(document))


def _levels(document: Any) -> Iterator[list[Any]]:
    """Yield what a JSON document holds, level by level."""
    level = [document]
    while level:
        yield level
        level = [child for item in level for child in (item.values() if isinstance(item, dict) else item if isinstance(item, list) else ())]


def inline_contexts(document: Any) -> Any:
    """Return JSON-LD whose contexts are all inline: known ones come from the package, unknown ones are refused, none is fetched.

    Raises
    ------
    InvalidInput : a context by address that is not known here, or an ``@import``.
    """
    if isinstance(document, list):
        return [inline_contexts(item) for item in document]
    if not isinstance(document, dict):
        return document
    if "@import" in document:
        raise InvalidInput("JSON-LD with @import is not read: remote contexts are never fetched.", remedy="Put the context inline.")
    return {key: _context(value) if key == "@context" else inline_contexts(value) for key, value in document.items()}


def _context(value: Any) -> Any:
    if isinstance(value, list):
        return [_context(item) for item in value]
    if isinstance(value, str):
        if SCHEMA_ORG.fullmatch(value):
            return {"@vocab": "http://schema.org/"}
        if CRATE_CONTEXT.fullmatch(value):
            return _crate_context()
        raise InvalidInput("The JSON-LD names a remote context; remote contexts are never fetched.", remedy="Put the context inline.")
    return inline_contexts(value)


@cache
def _crate_context() -> Any:
    return json.loads(files("rocrate").joinpath("data/ro-crate.jsonld").read_text("utf-8"))["@context"]


def _parse(graph: Graph, text: str, kind: str, *, base: str) -> None:
    _harden()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # rdflib's own JSON-LD parser uses what rdflib deprecates
            graph.parse(data=text, format=kind, publicID=base)
    except InvalidInput:
        raise
    except RecursionError as error:
        raise InvalidInput("The document is nested too deeply.", remedy="Send it flat.") from error
    except Exception as error:  # every parser has its own kinds, and some raise bare ones
        raise InvalidInput(f"The document is not valid {kind}: {_first_line(error)}", remedy="Correct its syntax.") from error


def _first_line(error: Exception) -> str:
    line = " ".join(str(getattr(error, "message", error)).split())
    return f"{line[:200]}." if line else f"{type(error).__name__}."
