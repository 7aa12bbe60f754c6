"""One worker at an export: a row in the database says who works at it and until when, and is renewed while the work goes on.

A worker that was killed leaves a row behind; it counts for nothing once it has expired, or at once where the process is known to be
gone. A worker that lost its lease (a machine that slept) finds out before it changes anything that others see.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import Engine, delete, select, update
from sqlalchemy.exc import IntegrityError

from fairlead.database import database_errors
from fairlead.errors import Busy, ServiceUnreachable
from fairlead.publish.tables import leases

logger = logging.getLogger(__name__)
LEASE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work at one export, as long as :meth:`confirm` does not raise."""

    engine: Engine
    export_id: str
    holder: str
    clock: Callable[[], datetime]
    seconds: float = LEASE_S

    def confirm(self) -> None:
        """Renew the lease.

        Raises
        ------
        Busy : it ran out, and somebody else took over.
        """
        ours = (leases.c.export_id == self.export_id) & (leases.c.holder == self.holder)
        until = self.clock() + timedelta(seconds=self.seconds)
        with database_errors(), self.engine.begin() as connection:
            if connection.execute(update(leases).where(ours).values(expires_at=until)).rowcount != 1:
                raise Busy("Another process has taken over this export.")

    def release(self) -> None:
        """Give the lease back; one that was lost stays with who has it now."""
        with database_errors(), self.engine.begin() as connection:
            connection.execute(delete(leases).where(leases.c.export_id == self.export_id, leases.c.holder == self.holder))


@contextmanager
def leased(engine: Engine, export_id: str, *, clock: Callable[[], datetime], seconds: float = LEASE_S) -> Iterator[Lease]:
    """Yield the export's lease and renew it until the block ends.

    Raises
    ------
    Busy : another process, or another thread of this one, holds it.
    """
    lease = Lease(engine, export_id, f"{_process()}|{secrets.token_hex(8)}", clock, seconds)
    _take(lease)
    over = threading.Event()
    renewal = threading.Thread(target=_renew, args=(lease, over), name="export-lease", daemon=True)
    renewal.start()
    try:
        yield lease
    finally:
        over.set()
        renewal.join()
        _let_go(lease)


def is_leased(engine: Engine, export_id: str, *, now: datetime) -> bool:
    """Return whether somebody alive works at the export."""
    with database_errors(), engine.connect() as connection:
        row = connection.execute(select(leases).where(leases.c.export_id == export_id)).mappings().one_or_none()
    return row is not None and row["expires_at"] > now and not is_gone(row["holder"])


def _take(lease: Lease) -> None:
    now = lease.clock()
    values = {"holder": lease.holder, "expires_at": now + timedelta(seconds=lease.seconds)}
    try:
        with database_errors(), lease.engine.begin() as connection:
            row = connection.execute(select(leases).where(leases.c.export_id == lease.export_id)).mappings().one_or_none()
            if row is None:
                connection.execute(leases.insert().values(export_id=lease.export_id, **values))
                return
            if row["expires_at"] > now and not is_gone(row["holder"]):
                raise Busy("Another process works at this export.")
            old = (leases.c.export_id == lease.export_id) & (leases.c.holder == row["holder"]) & (leases.c.expires_at == row["expires_at"])
            if connection.execute(update(leases).where(old).values(**values)).rowcount != 1:
                raise Busy("Another process has begun to work at this export.")
    except IntegrityError as error:
        raise Busy("Another process has begun to work at this export.") from error


def _renew(lease: Lease, over: threading.Event) -> None:
    while not over.wait(lease.seconds / 4):
        try:
            lease.confirm()
        except ServiceUnreachable:
            logger.warning("The lease of an export could not be renewed: the database does not answer.")
        except Busy:
            return  # the step finds out itself before it shows anything


def _let_go(lease: Lease) -> None:
    try:
        lease.release()
    except ServiceUnreachable:
        logger.warning("The lease of an export could not be given back; it runs out by itself.")


def _process() -> str:
    """Return this process as others on the machine can look for it: host, PID namespace, PID, and when it started."""
    return "|".join((socket.gethostname()[:80], _namespace(), str(os.getpid()), _started(os.getpid())))


def is_gone(holder: str) -> bool:
    """Return whether a holder is certainly dead: its PID is free or somebody else's, in our own PID namespace. Doubt means alive."""
    host, namespace, pid, started, _ = holder.split("|")
    if (host, namespace) != (socket.gethostname()[:80], _namespace()) or not namespace or not started:
        return False
    return _started(int(pid)) != started


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink()) + Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
    except OSError:
        return ""


def _started(pid: int) -> str:
    """Return the start time of a process in clock ticks (proc(5), field 22 of ``stat``), empty when there is none or it is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in ("Z", "X") else fields[19]
