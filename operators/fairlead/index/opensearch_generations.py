"""The index behind the alias: made for one field catalogue, and made anew beside itself when the catalogue changes.

Readers and writers use the alias only. Another catalogue (or another layout of ours) is another mapping: every record is
read out of the old index, written into a new one, and the alias moves in one step. Who loses the race for that step throws
its copy away.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from opensearchpy import OpenSearch
from opensearchpy.exceptions import NotFoundError, RequestError

from fairlead.errors import InvalidConfiguration, ServiceUnreachable
from fairlead.extract import FieldCatalogue
from fairlead.index.opensearch_client import opensearch_errors, scan
from fairlead.index.opensearch_codes import MAPPING as CODES_MAPPING
from fairlead.index.opensearch_mapping import LAYOUT, mapping_of
from fairlead.records import ImagingRecord, JsonObject

logger = logging.getLogger(__name__)

SETTINGS: Final = {"number_of_shards": 1, "auto_expand_replicas": "0-1"}
EXISTS: Final = "resource_already_exists_exception"

type Fill = Callable[[str, Iterator[ImagingRecord]], None]
"""Writes records into a concrete index."""


class Generations:
    """The alias of one installation and what is behind it."""

    def __init__(self, client: OpenSearch, alias: str, catalogue: FieldCatalogue) -> None:
        self._client, self.alias, self._catalogue = client, alias, catalogue
        self.codes = f"{alias}-codes"
        self._numbers = ""

    def ensure(self, fill: Fill) -> None:
        """See to it that the alias leads to an index of this catalogue and of the present numbers, made from the one that is there."""
        with opensearch_errors():
            self._make(self.codes, CODES_MAPPING, aliases={})
            self._numbers = self._id_of_numbers()
            here = self._behind()
            if here is None:
                self._make(f"{self.alias}-{self._catalogue.sha256[:12]}", self._mapping(), aliases={self.alias: {}})
            elif not self._fits(here):
                self._refuse_newer(here)
                self._replace(here, fill)

    def check(self) -> str:
        """Return the concrete index; raise ServiceUnreachable when it is of another catalogue or other numbers than this process."""
        with opensearch_errors():
            here = self._behind()
            if here is None or self._id_of_numbers() != self._numbers or not self._fits(here):
                raise ServiceUnreachable(
                    "The index was made anew for another field catalogue, or its numbers were.",
                    remedy="Restart this process with the present configuration.",
                )
            return here

    def drop(self) -> None:
        """Delete the records; the numbers of patients and studies stay, because other processes remember them."""
        with opensearch_errors():
            for index in self._all():
                self._client.indices.delete(index=index, params={"ignore_unavailable": "true"})

    def change_token(self) -> str:
        """Return what differs after any write: the index and the highest sequence number of each shard."""
        with opensearch_errors():
            found = self._client.indices.stats(index=self.alias, metric="docs", params={"level": "shards"})["indices"]
        return ";".join(
            f"{one['uuid']}:{shard}:{_highest(copies)}" for one in found.values() for shard, copies in sorted(one["shards"].items())
        )

    # --- inside ------------------------------------------------------------------------------------------------------

    def _behind(self) -> str | None:
        try:
            here = self._client.indices.get_alias(index=self.alias)  # by index: a role for our own names is enough
        except NotFoundError:
            return None
        found = [name for name, one in here.items() if self.alias in one["aliases"]]
        if not found:
            raise InvalidConfiguration(f"{self.alias} is an index there, and not one of ours.", remedy="Choose another index.name.")
        if len(found) == 1:
            return str(found[0])
        raise ServiceUnreachable("The alias leads to several indexes.", remedy="Leave one of them and run `fairlead index rebuild`.")

    def _all(self) -> list[str]:
        found = self._client.indices.get(index=f"{self.alias}-*", params={"expand_wildcards": "all"})
        return [name for name, one in found.items() if one["mappings"].get("_meta", {}).get("catalogue") and name != self.codes]

    def _fits(self, index: str) -> bool:
        return bool(self._meta(index) == self._mapping()["_meta"])

    def _meta(self, index: str) -> JsonObject:
        found: JsonObject = self._client.indices.get_mapping(index=index)[index]["mappings"].get("_meta", {})
        return found

    def _refuse_newer(self, index: str) -> None:
        """Refuse what a newer program made: two programs of different age would make it anew by turns, each against the other."""
        if int(self._meta(index).get("layout", 0)) > LAYOUT:
            raise InvalidConfiguration(
                f"The index {self.alias} was made by a newer Fairlead.",
                remedy="Use that version, or choose another index.name and run `fairlead index rebuild`.",
            )

    def _mapping(self) -> dict[str, Any]:
        """Return the mapping of the catalogue, which names the index of numbers by its id.

        Where that one was lost and made again, the same numbers are given a second time: records with the former ones must not stay.
        """
        mapping = mapping_of(self._catalogue)
        return mapping | {"_meta": mapping["_meta"] | {"numbers": self._numbers}}

    def _id_of_numbers(self) -> str:
        found = self._client.indices.get_settings(index=self.codes, name="index.uuid")
        return str(found[self.codes]["settings"]["index"]["uuid"])

    def _make(self, index: str, mapping: dict[str, Any], *, aliases: dict[str, Any]) -> None:
        fields = 100 + 4 * len(self._catalogue.fields)
        limits = {"index.mapping.total_fields.limit": max(1000, fields)}
        try:
            self._client.indices.create(index=index, body={"settings": SETTINGS | limits, "mappings": mapping, "aliases": aliases})
        except RequestError as error:
            if error.error != EXISTS:
                raise

    def _replace(self, old: str, fill: Fill) -> None:
        """Copy, close the old index for writers, copy again if something came meanwhile, and move the alias."""
        new = f"{self.alias}-{self._catalogue.sha256[:12]}-{time.time_ns():x}"
        logger.info("The field catalogue or the layout of the index changed: making the index %s.", new)
        self._make(new, self._mapping(), aliases={})
        before = self.change_token()
        fill(new, self._records(old))
        self._client.indices.add_block(index=old, block="write")
        if self.change_token() != before:
            self._client.indices.delete(index=new)
            self._make(new, self._mapping(), aliases={})
            fill(new, self._records(old))
        moves = [{"remove": {"index": old, "alias": self.alias, "must_exist": True}}, {"add": {"index": new, "alias": self.alias}}]
        try:
            self._client.indices.update_aliases(body={"actions": moves})
        except NotFoundError:
            self._client.indices.delete(index=new)
            raise
        for left in self._all():
            if left != new:
                self._client.indices.delete(index=left, params={"ignore_unavailable": "true"})

    def _records(self, index: str) -> Iterator[ImagingRecord]:
        self._client.indices.refresh(index=index)
        for hit in scan(self._client, index, {"query": {"match_all": {}}, "_source": ["document"]}, page=500):
            yield ImagingRecord.model_validate_json(hit["_source"]["document"])


def _highest(copies: Iterable[Mapping[str, Any]]) -> int:
    """Return the highest sequence number of the copies of a shard; one that is still being made states none."""
    stated = [copy["seq_no"]["max_seq_no"] for copy in copies if copy.get("seq_no")]
    if not stated:
        raise ServiceUnreachable("OpenSearch is still opening the index.", remedy="Repeat; nothing was lost.")
    return int(max(stated))
