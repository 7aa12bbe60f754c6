"""Sends what the ledger owes: storage commitment reports, each peer in a thread of its own, so that a dead one delays nobody."""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter
from typing import Final

from fairlead.errors import FairleadError, ServiceUnreachable
from fairlead.receive.admission import Doorway
from fairlead.receive.commitment_scp import event_report, send_report
from fairlead.receive.commitments import NO_SUCH_OBJECT, Commitment, CommitmentState

logger = logging.getLogger(__name__)
LOOK_AGAIN_S: Final = 0.5


class Reporter:
    """``step`` is called again and again by the node's loop."""

    def __init__(self, doorway: Doorway, tls: ssl.SSLContext | None) -> None:
        self.doorway = doorway
        self.tls = tls
        self._busy: dict[str, threading.Thread] = {}

    def step(self) -> None:
        """Start a thread for every peer that is owed a report and has none."""
        self._busy = {title: thread for title, thread in self._busy.items() if thread.is_alive()}
        due = sorted(self.doorway.ledger.due_commitments(), key=attrgetter("calling_ae"))
        for title, group in groupby(due, key=attrgetter("calling_ae")):
            if title not in self._busy:
                thread = threading.Thread(target=self._report_all, args=(list(group),), name="node-report", daemon=True)
                self._busy[title] = thread
                thread.start()

    def join(self, timeout_s: float) -> None:
        """Wait for reports under way; what is not sent stays owed."""
        for thread in self._busy.values():
            thread.join(timeout=timeout_s)

    def _report_all(self, commitments: Sequence[Commitment]) -> None:
        for commitment in commitments:
            try:
                self._report(commitment)
            except (FairleadError, OSError) as error:
                logger.error("storage commitment: %s; trying again", error)
                return

    def _report(self, commitment: Commitment) -> None:
        ledger = self.doorway.ledger
        verdict = ledger.judge(commitment, self._is_there)
        if self._is_early(commitment) and any(reason == NO_SUCH_OBJECT for _, _, reason in verdict.failed):
            ledger.postpone_commitment(commitment, LOOK_AGAIN_S)  # other associations may still be bringing it
            return
        completed = ledger.manifest_completes(commitment)
        try:
            self._send(commitment, *event_report(commitment, verdict))
        except (ServiceUnreachable, OSError) as error:
            self._missed(commitment, error)
            return
        ledger.commitment_reported(commitment)
        self.doorway.metrics.count("commitments", result="reported")
        counts = (len(verdict.committed), len(verdict.failed), completed)
        logger.info("storage commitment reported to %s: %d committed, %d failed; %d series complete", commitment.calling_ae, *counts)

    def _send(self, commitment: Commitment, event: int, report: object) -> None:
        peer = self.doorway.routes.peer(commitment.calling_ae)
        if peer is None:
            raise ServiceUnreachable(f"The peer {commitment.calling_ae} is no longer listed.")
        own_title = self.doorway.settings.ae_title
        send_report(event, report, peer=peer, own_title=own_title, tls=self.tls if peer.tls else None)  # type: ignore[arg-type]

    def _missed(self, commitment: Commitment, error: Exception) -> None:
        settings = self.doorway.settings
        state = self.doorway.ledger.commitment_missed(commitment, retry_s=settings.report_retry_s, for_s=settings.report_for_s)
        self.doorway.metrics.count("commitments", result="missed" if state is CommitmentState.PENDING else "abandoned")
        log = logger.warning if state is CommitmentState.PENDING else logger.error
        log("storage commitment report to %s not delivered (%s); it is %s", commitment.calling_ae, error, state.value)

    def _is_early(self, commitment: Commitment) -> bool:
        age = self.doorway.ledger.clock() - commitment.requested_at
        return age.total_seconds() < self.doorway.settings.settle_after_s

    def _is_there(self, path: str, size_bytes: int) -> bool:
        try:
            return (self.doorway.sink.archive.root / path).stat().st_size == size_bytes
        except OSError:
            return False
