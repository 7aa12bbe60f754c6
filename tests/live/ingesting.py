"""Five hundred small series on their way into an index, and a program that takes them there until somebody kills something."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from pydicom.uid import UID

from fairlead.database import open_database, utc_now
from fairlead.extract import load_catalogue
from fairlead.index import All, DrainReport, Index, drain_all, open_index
from fairlead.progress import Silent
from fairlead.receive import Ledger, import_paths
from fairlead.records import SeriesState
from fairlead.settings import Settings
from receive.builders import ROUTE, STUDY, a_slice, part10, wait_for

SERIES = 500
ENOUGH = 100
"""Records in the index when the kill comes: in the middle."""


def write_series(folder: Path) -> Path:
    """Write one-slice series of a hundred studies."""
    for number in range(SERIES):
        study = f"{STUDY}.{number % 100}"
        image = a_slice(study=study, series=number + 1)
        image.PatientID, image.Modality = f"patient-{number % 100}", "CT"
        image.SOPInstanceUID = UID(f"{study}.{number + 1}.1")
        (folder / f"{number}.dcm").write_bytes(part10(image))
    return folder


class Ingest:
    """One installation that has the series in its archive, and has to index them."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self._engine = settings, open_database(settings)

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    def receive(self, folder: Path) -> None:
        """Archive the series; all are complete and none is indexed."""
        ledger = self.ledger()
        import_paths(self.settings, ledger, [folder], route=ROUTE, progress=Silent())
        ledger.settle(settle_after_s=0, quiet_after_s=0.001)
        assert ledger.waiting() == SERIES

    def ledger(self, *, hours: int = 0) -> Ledger:
        """Return the ledger, with a clock some hours ahead: leases of the dead are over then."""
        return Ledger(self._engine, clock=lambda: utc_now() + timedelta(hours=hours))

    def index(self) -> Index:
        return open_index(self.settings, load_catalogue(self.settings.fields_file))

    def drain(self, *, hours: int = 0) -> DrainReport:
        """Take what waits into the index, a batch after the other."""
        return drain_all(
            self.settings,
            ledger=self.ledger(hours=hours),
            index=self.index(),
            catalogue=load_catalogue(self.settings.fields_file),
            claimant="test",
        )

    def drain_elsewhere(self) -> subprocess.Popen[str]:
        """Do the same in a process of its own."""
        variables = {
            "FAIRLEAD_HOME": str(self.settings.home),
            "FAIRLEAD_INDEX__BACKEND": self.settings.index.backend,
            "FAIRLEAD_INDEX__URL": self.settings.index.url,
            "FAIRLEAD_INDEX__NAME": self.settings.index.name,
            "FAIRLEAD_DATABASE_URL": self.settings.database,
            "FAIRLEAD_EXPORT__DRAIN_BATCH": "20",
        }
        program = "from fairlead.settings import load_settings; from live.ingesting import Ingest; Ingest(load_settings()).drain()"
        environment = os.environ | variables | {"PYTHONPATH": os.pathsep.join(sys.path)}
        return subprocess.Popen([sys.executable, "-c", program], env=environment, stderr=subprocess.PIPE, text=True)

    def check(self) -> None:
        """Assert that every series is there, once, and that the ledger agrees."""
        assert self.index().count(All()).series == len(set(self.index().members(All()).ids)) == SERIES
        assert {state: count for state, count in self.ledger().counts().items() if count} == {SeriesState.INDEXED: SERIES}
        assert self.ledger().waiting() == 0


def killed_half_way(ingest: Ingest, kill: Callable[[subprocess.Popen[str]], None]) -> str:
    """Drain in another process, kill something when a part is in, and return what the process said at its end."""
    index = ingest.index()
    draining = ingest.drain_elsewhere()
    wait_for(lambda: index.count(All()).series >= ENOUGH or draining.poll() is not None, within_s=60)
    assert draining.poll() is None, draining.communicate()
    kill(draining)
    return draining.communicate(timeout=120)[1]
