"""OAI-PMH 2.0: datasets for harvesters of libraries, in Dublin Core, DataCite and DCAT, with deletions that stay.

Source: http://www.openarchives.org/OAI/openarchivesprotocol.html; oai_dc; ``deletedRecord=persistent``.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from lxml import etree

from fairlead.catalog.corpus import Corpus, Item
from fairlead.catalog.documents import Documents
from fairlead.catalog.literals import clean
from fairlead.catalog.oai_formats import FORMATS
from fairlead.database import utc_now

OAI: Final = "http://www.openarchives.org/OAI/2.0/"
XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
XML: Final = "http://www.w3.org/XML/1998/namespace"
SCHEMA: Final = f"{OAI} http://www.openarchives.org/OAI/2.0/OAI-PMH.xsd"
PAGE: Final = 100
SECONDS: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
ARGUMENTS: Final[Mapping[str, tuple[frozenset[str], frozenset[str]]]] = {
    "Identify": (frozenset(), frozenset()),
    "ListMetadataFormats": (frozenset(), frozenset({"identifier"})),
    "ListSets": (frozenset(), frozenset({"resumptionToken"})),
    "ListIdentifiers": (frozenset({"metadataPrefix"}), frozenset({"from", "until", "set", "resumptionToken"})),
    "ListRecords": (frozenset({"metadataPrefix"}), frozenset({"from", "until", "set", "resumptionToken"})),
    "GetRecord": (frozenset({"identifier", "metadataPrefix"}), frozenset()),
}
"""Verb: mandatory and optional arguments."""


class OaiError(Exception):
    """An error of the protocol: it is an answer with status 200 (section 3.6), not one of ours."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of a list is asked for."""

    prefix: str
    since: str | None = None
    until: str | None = None
    offset: int = 0


class Repository:
    """Answers OAI-PMH requests from the corpus."""

    def __init__(self, documents: Documents, corpus: Corpus, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._documents = documents
        self._corpus = corpus
        self._clock = clock
        self._host = urlsplit(documents.site.base).hostname or "localhost"

    def answer(self, arguments: Sequence[tuple[str, str]]) -> bytes:
        """Return the whole XML document for one request."""
        root = etree.Element(_name("OAI-PMH"), nsmap={None: OAI, "xsi": XSI})
        root.set(f"{{{XSI}}}schemaLocation", SCHEMA)
        _add(root, "responseDate", stamp(self._clock()))
        request = _add(root, "request", f"{self._documents.site.base}/oai")
        try:
            given = _checked(arguments)
            for name, value in given.items():
                request.set(name, clean(value))
            self._fill(root, given)
        except OaiError as error:
            if error.code in ("badVerb", "badArgument"):
                request.attrib.clear()
            _add(root, "error", str(error)).set("code", error.code)
        body: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8")
        return body

    def _fill(self, root: etree._Element, given: Mapping[str, str]) -> None:
        verb = given["verb"]
        match verb:
            case "Identify":
                self._identify(_add(root, verb))
            case "ListMetadataFormats":
                if "identifier" in given:
                    self._find(given["identifier"])
                _formats(_add(root, verb))
            case "ListSets":
                raise OaiError("noSetHierarchy", "This repository has no sets.")
            case "GetRecord":
                _require_format(given)
                item = self._find(given["identifier"])
                self._record(_add(root, verb), item, given["metadataPrefix"])
            case _:
                self._list(root, given)

    def _identify(self, parent: etree._Element) -> None:
        items = self._corpus.items()
        words = self._documents.site.words
        _add(parent, "repositoryName", words.title)
        _add(parent, "baseURL", f"{self._documents.site.base}/oai")
        _add(parent, "protocolVersion", "2.0")
        _add(parent, "adminEmail", words.contact_email)
        _add(parent, "earliestDatestamp", stamp(items[0].changed_at if items else self._clock()))
        _add(parent, "deletedRecord", "persistent")
        _add(parent, "granularity", "YYYY-MM-DDThh:mm:ssZ")

    def _list(self, root: etree._Element, given: Mapping[str, str]) -> None:
        window = _window(given)
        chosen = [item for item in self._corpus.items() if _within(stamp(item.changed_at), window)]
        page = chosen[window.offset : window.offset + PAGE]
        if not page:
            raise OaiError("badResumptionToken" if window.offset else "noRecordsMatch", "There is nothing in this part of the list.")
        parent = _add(root, given["verb"])
        for item in page:
            if given["verb"] == "ListIdentifiers":
                self._header(parent, item)
            else:
                self._record(parent, item, window.prefix)
        following = window.offset + PAGE
        if len(chosen) > PAGE:
            more = following < len(chosen)
            token = _add(parent, "resumptionToken", _token(replace(window, offset=following)) if more else None)
            token.set("completeListSize", str(len(chosen)))
            token.set("cursor", str(window.offset))

    def _find(self, identifier: str) -> Item:
        for item in self._corpus.items():
            if self._identifier(item) == identifier:
                return item
        raise OaiError("idDoesNotExist", "There is no record of that identifier.")

    def _identifier(self, item: Item) -> str:
        return f"oai:{self._host}:{item.id}"

    def _header(self, parent: etree._Element, item: Item) -> None:
        header = _add(parent, "header")
        if item.deleted:
            header.set("status", "deleted")
        _add(header, "identifier", self._identifier(item))
        _add(header, "datestamp", stamp(item.changed_at))

    def _record(self, parent: etree._Element, item: Item, prefix: str) -> None:
        record = _add(parent, "record")
        self._header(record, item)
        if not item.deleted:
            FORMATS[prefix].write(_add(record, "metadata"), item, self._documents)


def stamp(moment: datetime) -> str:
    """Return a time as OAI-PMH writes it, in UTC to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _checked(arguments: Sequence[tuple[str, str]]) -> dict[str, str]:
    given = dict(arguments)
    verbs = [value for name, value in arguments if name == "verb"]
    if len(verbs) != 1 or verbs[0] not in ARGUMENTS:
        raise OaiError("badVerb", "There is no such verb, or more than one.")
    mandatory, optional = ARGUMENTS[verbs[0]]
    names = [name for name, _ in arguments if name != "verb"]
    exclusive = "resumptionToken" in names and "resumptionToken" in optional
    if len(set(names)) != len(names) or set(names) - mandatory - optional:
        raise OaiError("badArgument", "An argument is not known or is repeated.")
    if exclusive and len(names) > 1:
        raise OaiError("badArgument", "A resumptionToken stands alone.")
    if not exclusive and mandatory - set(names):
        raise OaiError("badArgument", f"Missing: {', '.join(sorted(mandatory - set(names)))}.")
    return given


def _require_format(given: Mapping[str, str]) -> None:
    if given["metadataPrefix"] not in FORMATS:
        raise OaiError("cannotDisseminateFormat", f"Records are there as {', '.join(FORMATS)}.")


def _window(given: Mapping[str, str]) -> Window:
    if "resumptionToken" in given:
        return _window_of(given["resumptionToken"])
    _require_format(given)
    if "set" in given:
        raise OaiError("noSetHierarchy", "This repository has no sets.")
    since, until = (_moment(given.get(name)) for name in ("from", "until"))
    if since and until and (len(given["from"]) != len(given["until"]) or since > until):
        raise OaiError("badArgument", "from and until have one granularity, and from comes first.")
    if until and len(given["until"]) == len("2026-01-01"):
        until = f"{given['until']}T23:59:59Z"
    return Window(given["metadataPrefix"], since, until)


def _moment(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        if DAY.fullmatch(text):
            return stamp(datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC) + timedelta())
        if SECONDS.fullmatch(text):
            return stamp(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC))
    except ValueError:
        pass  # a date that looks like one and is none, the 31st of February: answered below
    raise OaiError("badArgument", "Dates are YYYY-MM-DD or YYYY-MM-DDThh:mm:ssZ.")


def _within(moment: str, window: Window) -> bool:
    return (window.since is None or moment >= window.since) and (window.until is None or moment <= window.until)


def _token(window: Window) -> str:
    return base64.urlsafe_b64encode(json.dumps([window.prefix, window.since, window.until, window.offset]).encode()).decode()


def _window_of(token: str) -> Window:
    """Return what a token stands for; it holds no state of ours, so it never expires."""
    try:
        prefix, since, until, offset = json.loads(base64.urlsafe_b64decode(token.encode("ascii")))
        if (
            prefix not in FORMATS
            or not isinstance(offset, int)
            or offset < 0
            or not all(value is None or isinstance(value, str) for value in (since, until))
        ):
            raise ValueError("token")
    except (ValueError, TypeError, RecursionError) as error:
        raise OaiError("badResumptionToken", "This is no token of ours.") from error
    return Window(prefix, since, until, offset)


def _formats(parent: etree._Element) -> None:
    for prefix, known in FORMATS.items():
        entry = _add(parent, "metadataFormat")
        _add(entry, "metadataPrefix", prefix)
        _add(entry, "schema", known.schema)
        _add(entry, "metadataNamespace", known.namespace)


def _name(local: str) -> str:
    return f"{{{OAI}}}{local}"


def _add(parent: etree._Element, local: str, text: str | None = None) -> etree._Element:
    element = etree.SubElement(parent, _name(local))
    if text is not None:
        element.text = clean(text)
    return element
