"""Five publications that differ in what matters to their views, on a running server.

A CT that is public, an MR that is not, a CT with a slide under restriction, a plate of a microscope, and a CT that was withdrawn.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import uvicorn
import zarr
from sqlalchemy import Engine

from fairlead.catalog import create_app
from fairlead.publish import Exports, Tombstone, withdraw
from fairlead.records import Concept, ConvertReport, DatasetRecord, ImagingRecord
from fairlead.settings import CatalogSettings, HealthSettings, PidSettings, Settings
from migrated import migrated_engine
from publish.conftest import Clock, approval
from publish.fakes import FakeUpstream, a_cohort, an_imaging_record

CT = Concept(raw="CT", curie="DCM:CT", label="Computed Tomography")
MR = Concept(raw="MR", curie="DCM:MR", label="Magnetic Resonance")
SM = Concept(raw="SM", curie="DCM:SM", label="Slide Microscopy")
CONFOCAL = Concept(raw="confocal", curie="FBbi:00000251", label="confocal microscopy")
CHEST = Concept(raw="CHEST", curie="SCT:816094009", label="Chest")
HUMAN = Concept(raw="Homo sapiens", curie="NCBITaxon:9606", label="Homo sapiens")
MOUSE = Concept(raw="Mus musculus", curie="NCBITaxon:10090", label="Mus musculus")
NAMES = ("ct", "mr", "mixed", "plate", "withdrawn")
RIGHTS = {"ct": "public", "mr": "non-public", "mixed": "restricted", "plate": "public", "withdrawn": "public"}


def a_series(number: int, modality: Concept, *, body_part: Concept | None = CHEST) -> ImagingRecord:
    """Return one DICOM series of a person."""
    record = an_imaging_record(number)
    return record.model_copy(
        update={"core": record.core.model_copy(update={"modality": modality, "body_part": body_part, "organism": HUMAN})}
    )


def a_plate(number: int) -> ImagingRecord:
    """Return one OME plate of mouse cells."""
    record = an_imaging_record(number, kind="ome-image", path="plate.ome.tiff")
    change = {"modality": None, "imaging_method": CONFOCAL, "body_part": None, "organism": MOUSE}
    return record.model_copy(update={"core": record.core.model_copy(update=change)})


MEMBERS = {
    "ct": [a_series(1, CT), a_series(2, CT)],
    "mr": [a_series(3, MR)],
    "mixed": [a_series(4, CT), a_series(5, SM)],
    "plate": [a_plate(6)],
    "withdrawn": [a_series(7, CT)],
}


class Upstream(FakeUpstream):
    """Made-up members; a microscope's file becomes a plate with one well."""

    def convert(self, record, sources, *, out: Path, parameters) -> ConvertReport:
        """Write one store a record."""
        report = super().convert(record, sources, out=out, parameters=parameters)
        if record.core.kind == "dicom-series":
            return report
        (out / "DOE_JANE.ome.zarr").rename(out / "field")
        _write_plate(out / "DOE_JANE.ome.zarr", field=out / "field")
        store = report.stores[0].model_copy(update={"kind": "plate"})
        return report.model_copy(update={"stores": (store,)})


def _write_plate(folder: Path, *, field: Path) -> None:
    plate = zarr.open_group(folder, mode="w", zarr_format=3)
    well = plate.create_group("A/1")
    field.rename(folder / "A" / "1" / "0")
    well.attrs["ome"] = {"version": "0.5", "well": {"images": [{"path": "0"}]}}
    names = {"columns": [{"name": "1"}], "rows": [{"name": "A"}], "wells": [{"path": "A/1", "rowIndex": 0, "columnIndex": 0}]}
    plate.attrs["ome"] = {"version": "0.5", "plate": {"name": "p", "field_count": 1, **names}}


@dataclass(frozen=True)
class Five:
    """The records by name, and where they are served."""

    base: str
    settings: Settings
    engine: Engine
    records: dict[str, DatasetRecord]
    tombstone: Tombstone

    def iri(self, name: str) -> str:
        """Return the address of a record."""
        return f"{self.base}/dataset/{self.records[name].id}"

    def folder(self, name: str) -> Path:
        """Return the published folder of a record."""
        (folder,) = (self.settings.published_folder / self.records[name].id).iterdir()
        return folder


@contextmanager
def five(home: Path) -> Iterator[Five]:
    """Publish all five and serve them until the block ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    health = HealthSettings(
        access_body="Health Data Access Body", access_body_email="hdab@example.org", theme="HEALTH_SYSTEMS", country="DEU"
    )
    catalog = CatalogSettings(base_url=base, health=health, pid=PidSettings(kind="doi", prefix="10.5072"))
    settings = Settings(home=home, catalog=catalog)
    engine = migrated_engine(settings)
    records = {name: _publish(settings, engine, name) for name in NAMES}
    stone = withdraw(settings, engine, records["withdrawn"].id, "A subject took the consent back.")
    server = uvicorn.Server(uvicorn.Config(create_app(settings, engine), log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield Five(base, settings, engine, records, stone)
    finally:
        server.should_exit = True
        thread.join(timeout=20)
        listener.close()
        engine.dispose()


def _publish(settings: Settings, engine: Engine, name: str) -> DatasetRecord:
    members = MEMBERS[name]
    upstream = Upstream(a_cohort(members, reference=f"{name}@1", title=f"The {name} cohort"), members)
    exports = Exports(settings, engine, upstream=upstream, clock=Clock())
    from fairlead.publish import ExportParameters

    parameters = ExportParameters(cohort=f"{name}@1", access_rights=RIGHTS[name], license="CC-BY-4.0")
    export = exports.request(parameters, requested_by="clara", run_id=f"run-{name}")
    exports.decide(export.id, approval())
    for step in (exports.deidentify, exports.convert, exports.describe):
        step(export.id)
    return exports.publish(export.id)


VOXELS = np.arange(24, dtype="int16").reshape(2, 3, 4)
