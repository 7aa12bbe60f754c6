"""Dataset series of this catalogue: the versions of each cohort, and cohorts across centres whose parts were harvested here.

The parts name the series (``dcat:inSeries``), the series does not own them: a part that its centre withdraws is gone here after
the next harvest, and nothing has to be told to anybody. Source: DCAT 3, section 6.7.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Engine, func, select

from fairlead.catalog.tables import harvested
from fairlead.errors import NotFound, Withdrawn
from fairlead.publish import DatasetStore, SeriesNode, Site
from fairlead.publish.graph import EPOCH, Child
from fairlead.publish.graph_series import CENTRES, series_of_versions
from fairlead.publish.store import store_errors
from fairlead.publish.vocabulary import DCAT
from fairlead.records import DatasetRecord

NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True, slots=True)
class _Parts:
    """What names one series: records of our own, and rows that were harvested."""

    own: list[DatasetRecord] = field(default_factory=list)
    rows: list[Any] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SeriesBook:
    """The series of one catalogue, found by what names them."""

    site: Site
    store: DatasetStore
    engine: Engine

    def generation(self) -> str:
        """Return a mark that changes with what was harvested; the parts of our own change with the store."""
        with store_errors(), self.engine.connect() as connection:
            row = connection.execute(select(func.count(), func.max(harvested.c.changed_at)).select_from(harvested)).one()
        return f"{row[0]}|{row[1]}"

    def all(self, records: Sequence[DatasetRecord] | None = None) -> tuple[SeriesNode, ...]:
        """Return every series by address; ``records`` are the published ones, when they are at hand."""
        known = self.store.published() if records is None else records
        found: dict[str, _Parts] = defaultdict(_Parts)
        for record in known:
            found[record.series or self.site.series(record)].own.append(record)
        stem = f"{self.site.base}/series/"
        for row in self._rows(stem):
            for iri in set(re.findall(rf"<{re.escape(str(DCAT.inSeries))}> <({re.escape(stem)}[^>/]+)>", row.body)):
                found[iri].rows.append(row)
        ours = (iri for iri in found if iri.startswith(stem) and NAME.fullmatch(iri.removeprefix(stem)))
        return tuple(self._node(iri, found[iri]) for iri in sorted(ours))

    def get(self, identifier: str) -> SeriesNode:
        """Return one series.

        Raises
        ------
        NotFound : nothing that is published or was harvested names it.
        Withdrawn : every version of the cohort was withdrawn.
        """
        iri = f"{self.site.base}/series/{identifier}"
        node = next((node for node in self.all() if node.iri == iri), None)
        if node is not None:
            return node
        if any(self.site.series(record) == iri for record in self.store.withdrawn_records()):
            raise Withdrawn("Every dataset of this series was withdrawn.")
        raise NotFound("No dataset names this series.", remedy="Harvest the centres' catalogues: fairlead harvest URL.")

    def _node(self, iri: str, parts: _Parts) -> SeriesNode:
        if parts.own and not parts.own[0].series:
            return series_of_versions(self.site, parts.own)
        children: list[Child] = [(self.site.dataset(record.id), record.title) for record in parts.own]
        children += [(row.iri, row.title) for row in parts.rows]
        moments = [record.modified for record in parts.own] + [row.changed_at for row in parts.rows]
        title = f"{children[0][1]}: the parts of {len(children)} {'centre' if len(children) == 1 else 'centres'}"
        return SeriesNode(iri, title, CENTRES, tuple(children), issued=EPOCH, modified=max(moments))

    def _rows(self, stem: str) -> Sequence[Any]:
        columns = (harvested.c.iri, harvested.c.title, harvested.c.body, harvested.c.changed_at)
        named = harvested.c.body.contains(f"<{DCAT.inSeries}> <{stem}", autoescape=True)
        with store_errors(), self.engine.connect() as connection:
            return connection.execute(select(*columns).where(named).order_by(harvested.c.iri)).all()
