"""What becomes of a record that a user sends: who may, where it belongs, what it says; and its life until it is deleted."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from rdflib import DCTERMS, Graph, URIRef

from fairlead.catalog.accounts import Accounts, NotAuthenticated, User
from fairlead.catalog.answers import Answers
from fairlead.catalog.bodies import MAX_BODY, UnsupportedMediaType, json_of, text_field
from fairlead.catalog.documents import Documents
from fairlead.catalog.entries import Entry, EntryState, PreconditionFailed, iri_of, require_owner
from fairlead.catalog.literals import check_forms
from fairlead.catalog.negotiation import is_fresh
from fairlead.catalog.reading import PARSERS, read_rdf
from fairlead.catalog.terms import check_statements
from fairlead.catalog.writing import (
    Kind,
    complete,
    described,
    kind_of,
    part_of,
    require_shapes,
    rewritten,
    site_graph,
    title_of,
    words_of,
)
from fairlead.database import utc_now
from fairlead.errors import InvalidInput, NotFound, NotPermitted, Withdrawn

WAITING: Final[Mapping[str, Any]] = MappingProxyType(
    {"current": "PUBLISHED", "visible": False, "detail": "Its parent is a draft: it becomes visible when that is published."}
)


@dataclass(frozen=True, slots=True)
class Sent:
    """What somebody sent: the bytes, how they are to be read, and who it was."""

    body: bytes
    content_type: str
    user: User
    parent: str | None = None
    """What the record is part of when it does not say so itself."""
    read: Graph | None = None
    """Its statements, when they were read before."""
    near: Mapping[str, Graph] = field(default_factory=dict)
    """Records of the same bundle, which it may be part of."""


@dataclass(frozen=True, slots=True)
class Writer:
    """What the routes do, with everything they need."""

    documents: Documents
    answers: Answers
    accounts: Accounts
    clock: Callable[[], datetime] = utc_now

    def user(self, request: Request) -> User:
        """Return who writes; raise NotAuthenticated for anonymous ones."""
        user = self.accounts.user_of(request.headers.get("authorization"))
        if user is None:
            raise NotAuthenticated("Records are written by users who are logged in.")
        return user

    def create(self, request: Request, name: str, body: bytes, *, parent: str | None = None) -> Response:
        """Store a new draft and answer with it; ``parent`` is whose container it was sent to."""
        sent = Sent(body, request.headers.get("content-type", ""), self.user(request), parent)
        entry, graph = self.drafted(sent, kind_of(name))
        if parent is not None and entry.parent != parent:
            raise InvalidInput("The record names another parent than that of this container.", remedy="Send it there, or leave it out.")
        iri = self.iri_of(name, entry.id)
        self.documents.entries.add(entry, words=words_of(graph, iri))
        return self.answers.entry(request, entry, status=201, headers={"Location": iri}, stored=graph)

    def drafted(self, sent: Sent, kind: Kind, *, identifier: str | None = None) -> tuple[Entry, Graph]:
        """Return a new draft that may be stored, and its statements; raise what says why it may not."""
        identifier, now = identifier or str(uuid.uuid4()), self.clock()
        graph, parent = self._record(sent, kind, identifier)
        title = title_of(graph, self.iri_of(kind.name, identifier))
        content = graph.serialize(format="nt")
        return Entry(identifier, kind, parent, EntryState.DRAFT, sent.user.email, title, content, 1, now, now), graph

    def replace(self, request: Request, name: str, identifier: str, body: bytes) -> Response:
        """Replace a record's content; its place in the catalogue and its children stay."""
        entry = self.mine(request, name, identifier)
        return self.replaced(request, entry, Sent(body, request.headers.get("content-type", ""), self.user(request)))

    def replaced(self, request: Request, entry: Entry, sent: Sent) -> Response:
        """Give a record another content and answer with it."""
        self._check_match(request, entry)
        graph, parent = self._record(replace(sent, parent=entry.parent), entry.kind, entry.id)
        if parent != entry.parent:
            raise InvalidInput("A record stays part of what it is part of.", remedy="Delete it and create it in the other place.")
        iri = iri_of(self.documents.site, entry.kind.name, entry.id)
        changed = self.documents.entries.replace(
            entry, title=title_of(graph, iri), words=words_of(graph, iri), body=graph.serialize(format="nt")
        )
        return self.answers.entry(request, changed)

    def change_state(self, request: Request, name: str, identifier: str, body: bytes) -> Response:
        """Publish a draft, or let it wait for its parent; there is no way back."""
        entry = self.mine(request, name, identifier)
        wanted = text_field(json_of(body), "current")
        if wanted != "PUBLISHED":
            raise InvalidInput(
                "You can not change state to DRAFT." if wanted == "DRAFT" else "There is no such state.", remedy="PUBLISHED."
            )
        if not entry.is_visible:
            self.require_place(entry.parent, self.user(request))
        changed = self.documents.entries.publish(entry, iri=self.iri_of)
        return JSONResponse({"current": "PUBLISHED"} if changed.is_visible else dict(WAITING))

    def require_place(self, parent: str, user: User) -> None:
        """Raise NotPermitted when publishing would list a record among those of somebody else.

        Everybody may publish catalogues. The catalogue of the exports is the administrators': what stands there was approved.
        """
        site = self.documents.site
        if user.is_admin or parent == site.root:
            return
        kind, _, identifier = parent.removeprefix(f"{site.base}/").partition("/")
        if parent == site.catalog or not self.documents.entries.get(kind, identifier, user).may_change(user):
            raise NotPermitted(
                "What this record is part of is not yours, so you may draft here, and not publish.",
                remedy="Ask an administrator of this catalogue to publish it, or make it part of a catalogue of your own.",
            )

    def iri_of(self, kind: str, identifier: str) -> str:
        """Return the IRI of a written record of this site."""
        return iri_of(self.documents.site, kind, identifier)

    def delete(self, request: Request, name: str, identifier: str) -> Response:
        """Delete a record and what is below it."""
        entry = self.mine(request, name, identifier)
        self._check_match(request, entry)
        self.documents.entries.delete(entry, iri=self.iri_of)
        return Response(status_code=204)

    def meta(self, request: Request, name: str, identifier: str) -> Response:
        """Return what the reference calls meta: the caller's rights, the state, the way up."""
        user, kind = self.accounts.user_of(request.headers.get("authorization")), kind_of(name)
        try:
            entry = self.documents.entries.get(kind.name, identifier, user)
            state, mine = entry.state, user is not None and entry.may_change(user)
        except NotFound as error:
            if isinstance(error, Withdrawn) or not self._is_exported(kind, identifier):
                raise
            state, mine = EntryState.PUBLISHED, False
        member = {"user": {"email": user.email}, "membership": {"name": "Owner" if mine else "None"}} if user else {}
        shown = dict(WAITING) if state == EntryState.WAITING else {"current": state.value.upper()}
        return JSONResponse({"member": member, "state": shown | {"children": {}}, "path": {}})

    def mine(self, request: Request, name: str, identifier: str) -> Entry:
        """Return a record that who asks may change; raise what says why not."""
        user, kind = self.user(request), kind_of(name)
        try:
            entry = self.documents.entries.get(kind.name, identifier, user)
        except NotFound as error:
            if not isinstance(error, Withdrawn) and self._is_exported(kind, identifier):
                raise NotPermitted(
                    "This record comes from an export and follows its dataset.", remedy="Publish a new version, or use `fairlead withdraw`."
                ) from error
            raise
        require_owner(entry, user)
        return entry

    def _is_exported(self, kind: Kind, identifier: str) -> bool:
        if kind.name == "catalog":
            return identifier == self.documents.site.catalog_id
        try:
            self.documents.store.get(identifier.partition(".")[0])
        except Withdrawn:
            raise
        except NotFound:
            return False
        return True

    def _check_match(self, request: Request, entry: Entry) -> None:
        """Raise PreconditionFailed when a condition of the request does not hold (RFC 9110 sections 13.1.1, 13.1.2 and 13.2.2)."""
        wanted, unwanted = (request.headers.get(name) for name in ("if-match", "if-none-match"))
        if wanted is not None and wanted.strip() != "*" and not {tag.strip() for tag in wanted.split(",")} & self.answers.etags_of(entry):
            raise PreconditionFailed("The record has changed since you read it.")
        if unwanted is not None and (unwanted.strip() == "*" or any(is_fresh(unwanted, tag) for tag in self.answers.etags_of(entry))):
            raise PreconditionFailed("The record is there, and the request wants none.", remedy="Leave If-None-Match out to change it.")

    def _record(self, given: Sent, kind: Kind, identifier: str) -> tuple[Graph, str]:
        """Return the completed record and its parent; raise what says why it cannot be stored."""
        site = self.documents.site
        iri = iri_of(site, kind.name, identifier)
        sent = _read(given, iri)
        check_forms(sent)
        node = described(sent, kind, base=iri)
        parent = given.parent if given.parent and sent.value(node, DCTERMS.isPartOf) is None else part_of(sent, node)
        parent_graph = given.near[parent] if parent in given.near else self._parent(given.user, parent, kind)
        graph = rewritten(sent, node, iri, site=site)
        graph.set((URIRef(iri), DCTERMS.isPartOf, URIRef(self._normal(parent))))
        complete(graph, iri, kind, site=site, parent=parent_graph)
        require_shapes(graph)
        return graph, self._normal(parent)

    def _normal(self, parent: str) -> str:
        site = self.documents.site
        return site.root if parent.rstrip("/") == site.base else parent

    def _parent(self, user: User, parent: str, kind: Kind) -> Graph:
        """Return the parent's statements; raise InvalidInput when it is absent, of the wrong type, or somebody else's draft."""
        site, wrong = self.documents.site, InvalidInput("The parent is absent or not of the correct type.", remedy="Correct dct:isPartOf.")
        if kind.name == "catalog":
            if parent.rstrip("/") != site.base:
                raise wrong
            return site_graph(site)
        if kind.name == "dataset" and parent == site.catalog:
            return site_graph(site)
        wanted = "catalog" if kind.name == "dataset" else "dataset"
        stem = f"{site.base}/{wanted}/"
        if not parent.startswith(stem):
            raise wrong
        try:
            return self.documents.entries.get(wanted, parent.removeprefix(stem), user).graph()
        except NotFound as error:
            raise wrong from error


def _read(given: Sent, iri: str) -> Graph:
    """Return the statements of what was sent for an IRI."""
    if given.read is not None:
        check_statements(given.read)
        return given.read
    media_type = given.content_type.partition(";")[0].strip().lower() or "text/turtle"
    if media_type not in PARSERS:
        raise UnsupportedMediaType(f"Records are not read as {media_type!r}.", remedy=f"Send {', '.join(sorted(PARSERS))}.")
    return read_rdf(given.body, media_type, base=iri, limit=MAX_BODY)
