"""Small whole numbers for patients, studies and records, given once and kept: what bitmaps and exact counts are made of.

One index beside the records holds a counter for each kind and one document a key. A counter moves by compare-and-set
(``if_seq_no``), a key is made with ``create``: of two processes that meet a new patient at once, one wins and the other reads
its number. Keys are never deleted, because other processes remember them. Numbers that nobody used leave gaps, which cost nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import batched
from typing import Any, Final

from opensearchpy import OpenSearch
from opensearchpy.exceptions import ConflictError, NotFoundError

from fairlead.errors import ServiceUnreachable
from fairlead.index.opensearch_client import bulk, opensearch_errors, read_each

TRIES: Final = 50
PAGE: Final = 2_000
REMEMBERED: Final = 500_000
CREATED: Final = 201
MAPPING: Final = {
    "dynamic": "strict",
    "properties": {"next": {"type": "long", "index": False}, "code": {"type": "integer", "index": False}},
}


class Codes:
    """Numbers of one installation."""

    def __init__(self, client: OpenSearch, index: str) -> None:
        self._client, self._index = client, index
        self._known: dict[str, int] = {}

    def forget(self) -> None:
        """Forget what was read: the index of numbers may be another one."""
        self._known.clear()

    def reserve(self, kind: str, count: int) -> int:
        """Return the first of ``count`` numbers of a kind that nobody else has; small ones first, so that bitmaps stay short."""
        for _ in range(TRIES):
            with opensearch_errors(), suppress(ConflictError):
                return self._take(f"counter:{kind}", count)
        raise ServiceUnreachable("Too many processes write to the index at once.", remedy="Repeat; nothing was lost.")

    def _take(self, counter: str, count: int) -> int:
        try:
            found = self._client.get(index=self._index, id=counter)
        except NotFoundError:
            self._client.create(index=self._index, id=counter, body={"next": count})
            return 0
        first = int(found["_source"]["next"])
        here: dict[str, Any] = {"if_seq_no": found["_seq_no"], "if_primary_term": found["_primary_term"]}
        self._client.index(index=self._index, id=counter, body={"next": first + count}, params=here)
        return first

    def of(self, kind: str, keys: Iterable[str]) -> dict[str, int]:
        """Return the number of every key, made where there is none."""
        wanted = {key: f"{kind}:{hashlib.sha256(key.encode()).hexdigest()[:40]}" for key in dict.fromkeys(keys)}
        if len(self._known) > REMEMBERED:
            self._known.clear()
        missing = [key for key in wanted.values() if key not in self._known]
        for page in batched(missing, PAGE):
            self._learn(kind, page)
        return {key: self._known[number] for key, number in wanted.items()}

    def _learn(self, kind: str, page: tuple[str, ...]) -> None:
        self._read(page)
        fresh = [key for key in page if key not in self._known]
        if not fresh:
            return
        first = self.reserve(kind, len(fresh))
        created = {made.id for made in bulk(self._client, self._index, _creations(fresh, first)) if made.status == CREATED}
        self._known |= {key: code for code, key in enumerate(fresh, first) if key in created}
        self._read([key for key in fresh if key not in created])  # somebody else was first

    def _read(self, keys: Sequence[str]) -> None:
        if keys:
            self._known |= {one["_id"]: int(one["_source"]["code"]) for one in read_each(self._client, self._index, keys)}


def _creations(keys: Iterable[str], first: int) -> Iterator[dict[str, Any]]:
    for code, key in enumerate(keys, first):
        yield {"_op_type": "create", "_id": key, "code": code}
