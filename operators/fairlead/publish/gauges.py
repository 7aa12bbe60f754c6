"""How many exports are in which state, and for how long: what tells that a steward is waited for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

from sqlalchemy import Engine, func, select
from sqlalchemy.exc import SQLAlchemyError

from fairlead.database import utc_now
from fairlead.publish.states import ExportState
from fairlead.publish.tables import exports

logger = logging.getLogger(__name__)
FINAL: Final = (ExportState.PUBLISHED, ExportState.REFUSED, ExportState.FAILED)

type Gauge = tuple[str, str, tuple[tuple[str, str], ...], float]


def export_gauges(engine: Engine, *, clock: Callable[[], datetime] = utc_now) -> Iterator[Gauge]:
    """Yield (name, help, labels, value): exports by state, and the age of the oldest open one; nothing when the database is away."""
    query = select(exports.c.state, func.count(), func.min(exports.c.changed_at)).group_by(exports.c.state)
    try:
        with engine.connect() as connection:
            found = {ExportState(state): (number, since) for state, number, since in connection.execute(query)}
    except SQLAlchemyError as error:
        logger.warning("The exports cannot be counted (%s).", type(error).__name__)
        return
    for state in ExportState:
        yield "fairlead_exports", "Exports by state.", (("state", state.value),), found.get(state, (0, None))[0]
    for state in ExportState:
        if state in found and state not in FINAL:
            age = max((clock() - found[state][1]).total_seconds(), 0.0)
            yield "fairlead_exports_oldest_seconds", "Since the oldest export of a state came into it.", (("state", state.value),), age
