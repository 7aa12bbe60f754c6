"""One way to speak with OpenSearch: verified TLS, retries, and errors in Fairlead's words. Only this room imports opensearch-py."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from opensearchpy import OpenSearch
from opensearchpy.exceptions import (
    AuthenticationException,
    AuthorizationException,
    ConnectionError,
    NotFoundError,
    RequestError,
    SerializationError,
    SSLError,
    TransportError,
)
from opensearchpy.helpers import streaming_bulk

from fairlead.errors import FairleadError, InvalidConfiguration, NotPermitted, ServiceUnreachable, StorageFull, UnsupportedInput
from fairlead.settings import IndexSettings

TIMEOUT_S: Final = 60
RETRIED: Final = (429, 502, 503, 504)
REFUSED: Final = (401, 403)
RETRIES: Final = 4
CHUNK_RECORDS: Final = 2_000
CHUNK_BYTES: Final = 8 * 1024**2

type Json = dict[str, Any]


def connect(settings: IndexSettings) -> OpenSearch:
    """Return a client; nothing is sent yet.

    Raises
    ------
    InvalidConfiguration : no http or https address, or plain http to another machine.
    """
    found = urlsplit(settings.url)
    if found.scheme not in ("http", "https") or not found.hostname:
        raise InvalidConfiguration("index.url is no http or https address.", remedy="Example: https://opensearch.example.org:9200")
    if found.scheme == "http" and not _is_loopback(found.hostname):
        raise InvalidConfiguration(
            "index.url would send records and password in the clear.", remedy="Use https; http is for this machine only."
        )
    logging.getLogger("opensearch").setLevel(logging.ERROR)  # it would print every failed try with a stack; errors reach the caller
    password = settings.password.get_secret_value()
    return OpenSearch(
        hosts=[settings.url],
        http_auth=(settings.user, password) if password else None,
        verify_certs=True,
        ca_certs=str(settings.ca_file) if settings.ca_file else None,
        timeout=TIMEOUT_S,
        max_retries=RETRIES,
        retry_on_status=RETRIED,
        retry_on_timeout=True,
        http_compress=found.scheme == "https",
    )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def opensearch_errors() -> Iterator[None]:
    """Turn the client's errors into ours. What says nothing about the input is :class:`ServiceUnreachable`: the work waits."""
    try:
        yield
    except SSLError as error:
        raise ServiceUnreachable(
            "The certificate of OpenSearch cannot be verified.", remedy="Set index.ca_file to its authority."
        ) from error
    except ConnectionError as error:
        raise ServiceUnreachable(
            "OpenSearch does not answer.", remedy="Check index.url and the server; the work waits in the ledger."
        ) from error
    except SerializationError as error:
        raise ServiceUnreachable(
            "OpenSearch answered with something that is not JSON.", remedy="Check what listens at index.url."
        ) from error
    except TransportError as error:
        raise _translated(error) from error


def _translated(error: TransportError) -> Exception:
    kind = str(error.error)
    match error:
        case AuthenticationException() | AuthorizationException():
            return _refused(kind)
        case NotFoundError():
            return ServiceUnreachable("The index is not there.", remedy="Run `fairlead index rebuild`.")
        case RequestError() if "script" in kind or "inline" in str(error.info):
            return InvalidConfiguration("OpenSearch refuses scripts.", remedy="Allow inline Painless: exact patient counts need it.")
        case RequestError():
            return UnsupportedInput(f"OpenSearch refuses the question ({kind[:60]}).", remedy="Ask for less at once.")
    if "cluster_block" in kind:
        return StorageFull("OpenSearch has no disk space left.", remedy="Free space there; the work waits in the ledger.")
    return ServiceUnreachable(f"OpenSearch is overloaded or failing (status {error.status_code}).", remedy="Repeat; nothing was lost.")


def _refused(kind: str) -> FairleadError:
    """Return what a status of 401 or 403 means: nobody writes now, or this user may not."""
    if "cluster_block" in kind:
        return ServiceUnreachable("The index is closed for writing.", remedy="A change of the field catalogue is under way; repeat.")
    return NotPermitted("OpenSearch does not let this user in.", remedy="Check index.user, index.password and its role (docs/search.md).")


def search(client: OpenSearch, index: str | None, body: Mapping[str, Any]) -> Json:
    """Return a complete answer; part of an answer is an outage, never a smaller cohort."""
    with opensearch_errors():
        params = {} if index is None else {"allow_partial_search_results": "false"}
        found: Json = client.search(index=index, body=body, params=params)
    if found["timed_out"] or found["_shards"]["failed"]:
        raise ServiceUnreachable("OpenSearch answered in part.", remedy="Repeat when all its shards are there.")
    return found


def read_each(client: OpenSearch, index: str, ids: Sequence[str], **params: str) -> Iterator[Json]:
    """Yield the documents of those ids that are there; one that cannot be read now is an outage, never an absent one."""
    with opensearch_errors():
        found = client.mget(index=index, body={"ids": list(ids)}, params=params)["docs"]
    for one in found:
        if "error" in one:
            raise ServiceUnreachable(
                f"OpenSearch could not read a record now ({_kind_of(one['error'])}).", remedy="Check its shards and the role; repeat."
            )
        if one.get("found"):
            yield one


@contextmanager
def point_in_time(client: OpenSearch, index: str) -> Iterator[Json]:
    """Give one point in time to ask several questions about; a missing shard is refused."""
    with opensearch_errors():
        opened = client.create_pit(index=index, params={"keep_alive": "5m", "allow_partial_pit_creation": "false"})
    try:
        yield {"id": opened["pit_id"], "keep_alive": "5m"}
    finally:
        with opensearch_errors():
            client.delete_pit(body={"pit_id": [opened["pit_id"]]})


def scan(client: OpenSearch, index: str, body: Mapping[str, Any], *, page: int = 10_000, order: str = "ord") -> Iterator[Json]:
    """Yield every hit of one point in time, in the order of a property that no two share."""
    after: Json = {}
    with point_in_time(client, index) as pit:
        while True:
            asked = {**body, **after, "pit": pit, "size": page, "sort": [{order: "asc"}], "track_total_hits": False}
            hits = search(client, None, asked)["hits"]["hits"]
            yield from hits
            if len(hits) < page:
                return
            after = {"search_after": hits[-1]["sort"]}


class Outcome(NamedTuple):
    """What became of one action: HTTP status of its item, and the kind of its error ("" when it went well)."""

    id: str
    status: int
    error: str


def bulk(client: OpenSearch, index: str, actions: Iterable[Json]) -> Iterator[Outcome]:
    """Send actions in chunks and yield what became of every single one; 429 is retried with back-off, an outage is raised.

    Raises
    ------
    ServiceUnreachable : the server failed, or an item did with 429 or 5xx after all retries, or the index is closed for writing.
    NotPermitted : the user may not do that to one of the items; that says nothing about the record.
    """
    with opensearch_errors():
        outcomes = streaming_bulk(
            client,
            actions,
            chunk_size=CHUNK_RECORDS,
            max_chunk_bytes=CHUNK_BYTES,
            raise_on_error=False,
            max_retries=RETRIES,
            initial_backoff=1,
            max_backoff=30,
            index=index,
        )
        for _, outcome in outcomes:
            ((_, item),) = outcome.items()
            status = int(item["status"])
            if status in RETRIED or status >= 500:
                raise ServiceUnreachable(f"OpenSearch could not take a record now (status {status}).", remedy="Repeat; nothing was lost.")
            kind = _kind_of(item.get("error"))
            if status in REFUSED:
                raise _refused(kind)
            yield Outcome(item["_id"], status, kind)


def _kind_of(error: Any) -> str:
    """Return the kind of an item's error; its reason may quote values, the kind cannot."""
    if not error:
        return ""
    cause = error.get("caused_by") or {}
    return " / ".join(kind for kind in (error.get("type"), cause.get("type")) if kind)
