"""What a record may hold in one place: IRIs of known schemes without odd characters, literals that can be stored and written again.

Source: RFC 3987 section 2.2.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from rdflib import Graph, Literal, URIRef
from rdflib.term import XSDToPython

from fairlead.catalog.literals import check_text
from fairlead.errors import InvalidInput

SCHEMES: Final = frozenset({"http", "https", "mailto", "urn", "doi", "tel", "ark", "hdl", "info", "orcid", "s3"})
"""Schemes that an IRI of a record may have; ``file:``, ``javascript:`` and ``data:`` are none of them."""
FORBIDDEN: Final = re.compile(r"[\x00-\x20\x7f-\x9f<>\"{}|\\^`\ud800-\udfff\ufdd0-\ufdef\ufff0-\uffff]")
"""What no IRI has (RFC 3987 section 2.2): controls, blanks, quotes, brackets, surrogates, noncharacters."""


def check_statements(graph: Graph) -> None:
    """Refuse IRIs and literals that no record may hold; raise InvalidInput for the first that is found."""
    for triple in graph:
        for term in triple:
            if isinstance(term, URIRef):
                check_iri(str(term))
            elif isinstance(term, Literal):
                check_text(term)
                if term.datatype is not None and term.datatype not in XSDToPython:
                    check_iri(str(term.datatype))


def check_iri(iri: str) -> None:
    """Refuse IRIs that no record may hold: of other schemes, with forbidden characters, or without end.

    Raises
    ------
    InvalidInput : the message shows the beginning of the IRI.
    """
    shown = iri[:80]
    if FORBIDDEN.search(iri) or len(iri) > 2048:
        raise InvalidInput(f"This is no valid IRI: {shown!r}.", remedy="Percent-encode what RFC 3987 does not allow.")
    try:
        scheme = urlsplit(iri).scheme
    except ValueError as error:
        raise InvalidInput(f"This is no valid IRI: {shown!r}.", remedy="Correct its host.") from error
    if scheme.lower() not in SCHEMES:
        raise InvalidInput(f"IRIs of this scheme are not taken: {shown!r}.", remedy=f"Use one of {', '.join(sorted(SCHEMES))}.")
