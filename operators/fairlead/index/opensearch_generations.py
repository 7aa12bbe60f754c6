"""The index behind the alias: made for one field catalogue, and made anew beside itself when the catalogue changes.

Readers and writers use the alias only. Another catalogue (or another layout of ours) is another mapping: every record is
read out of the old index, written into a new one, and the alias moves in one step. Who loses the race for that step throws
its copy away.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from opensearchpy import OpenSearch
from opensearchpy.exceptions import NotFoundError, RequestError

from fairlead.errors import ServiceUnreachable
from fairlead.extract import FieldCatalogue
from fairlead.index.opensearch_client import opensearch_errors, scan
from fairlead.index.opensearch_codes import MAPPING as CODES_MAPPING
from fairlead.index.opensearch_mapping import LAYOUT, mapping_of
from fairlead.records import ImagingRecord

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

    def ensure(self, fill: Fill) -> None:
        """See to it that the alias leads to an index of this catalogue, made from the present one where need be."""
        with opensearch_errors():
            self._make(self.codes, CODES_MAPPING, aliases={})
            here = self._behind()
            if here is None:
                self._make(f"{self.alias}-{self._catalogue.sha256[:12]}", mapping_of(self._catalogue), aliases={self.alias: {}})
            elif not self._fits(here):
                self._replace(here, fill)

    def check(self) -> str:
        """Return the concrete index; raise ServiceUnreachable when it is of another catalogue than this process."""
        with opensearch_errors():
            here = self._behind()
            if here is None or not self._fits(here):
                raise ServiceUnreachable(
                    "The index was made anew for another field catalogue.", remedy="Restart this process with the present configuration."
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
            f"{one['uuid']}:{shard}:{max(copy['seq_no']['max_seq_no'] for copy in copies)}"
            for one in found.values()
            for shard, copies in sorted(one["shards"].items())
        )

    # --- inside ------------------------------------------------------------------------------------------------------

    def _behind(self) -> str | None:
        try:
            found = list(self._client.indices.get_alias(name=self.alias))
        except NotFoundError:
            return None
        if len(found) == 1:
            return str(found[0])
        raise ServiceUnreachable("The alias leads to several indexes.", remedy="Leave one of them and run `fairlead index rebuild`.")

    def _all(self) -> list[str]:
        found = self._client.indices.get(index=f"{self.alias}-*", params={"expand_wildcards": "all"})
        return [name for name, one in found.items() if one["mappings"].get("_meta", {}).get("catalogue") and name != self.codes]

    def _fits(self, index: str) -> bool:
        mapping = self._client.indices.get_mapping(index=index)[index]["mappings"]
        return bool(mapping.get("_meta") == {"catalogue": self._catalogue.sha256, "layout": LAYOUT})

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
        logger.info("The field catalogue changed: making the index %s.", new)
        self._make(new, mapping_of(self._catalogue), aliases={})
        before = self.change_token()
        fill(new, self._records(old))
        self._client.indices.add_block(index=old, block="write")
        if self.change_token() != before:
            self._client.indices.delete(index=new)
            self._make(new, mapping_of(self._catalogue), aliases={})
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
