"""The page over records of real files: a CT phantom, MR, and microscopy in one archive."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fairlead.extract import load_catalogue, read_paths
from fairlead.records import ImagingRecord
from fairlead.settings import Settings
from fairlead.workbench import Workbench, open_workbench
from fairlead.workbench.pictures import ArchivedPictures
from workbench.fakes import Client, Page, mounted

FOLDERS = ("dicom/ct", "dicom/mr", "dicom/dicomdir_fileset", "dicom/seg", "dicom/charset", "ome/tiff")


@pytest.fixture(scope="module")
def records(data: Path) -> list[ImagingRecord]:
    catalogue = load_catalogue(Settings().fields_file)
    found = read_paths([data / name for name in FOLDERS], catalogue=catalogue, key=bytes(32), project="default", center="local")
    return [record for record in found if isinstance(record, ImagingRecord)]


@pytest.fixture(scope="module")
def real(records: list[ImagingRecord], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    services: Any = open_workbench(Settings(home=tmp_path_factory.mktemp("real")))
    services.data.index.put(records)
    yield services
    services.versions.cohorts.engine.dispose()


def test_the_big_number_is_that_of_the_records(real: Workbench, records: list[ImagingRecord]) -> None:
    page = Page(Client(mounted(real)).get().text)
    assert f"{len({record.core.patient_key for record in records})} patients" in page.text.replace("\u202f", "")
    assert f"{len(records)} series" in page.text.replace("\u202f", "")


@pytest.mark.parametrize("tab", ["funnel", "charts", "table"])
def test_choosing_each_offered_modality_counts_its_series(real: Workbench, records: list[ImagingRecord], tab: str) -> None:
    client = Client(mounted(real))
    offered = [found["value"] or "" for found in Page(client.get().text).all("input", name="in.modality")]
    assert offered
    for value in offered:
        page = Page(client.get(f"?in.modality={value}&tab={tab}").text)
        wanted = sum(
            record.core.modality is not None and value in (record.core.modality.curie, record.core.modality.raw) for record in records
        )
        assert f"Freeze {wanted} series" in page.text


def test_no_identifier_of_a_source_is_on_any_view(real: Workbench, records: list[ImagingRecord]) -> None:
    client = Client(mounted(real))
    for tab in ("funnel", "charts", "samples", "table"):
        html = client.get(f"?tab={tab}").text
        for record in records:
            assert record.core.series_uid not in html
            assert record.core.study_uid not in html
            assert not [path for path in record.core.source.paths if path in html]


def test_a_picture_is_drawn_of_clean_pixels_and_never_of_what_may_show_text(
    data: Path, records: list[ImagingRecord], tmp_path: Path
) -> None:
    pictures = ArchivedPictures(Settings(home=tmp_path, archive=data))
    drawn = {}
    for record in records:
        if record.core.kind == "dicom-series" and record.core.modality:
            here = tuple(str(Path(path).relative_to(data)) for path in record.core.source.paths)
            source = record.core.source.model_copy(update={"place": "archive", "paths": here})
            archived = record.model_copy(update={"core": record.core.model_copy(update={"source": source})})
            drawn.setdefault(record.core.modality.raw, []).append(pictures.picture(archived))
    assert any(picture and picture.startswith(b"\x89PNG") for picture in drawn["CT"])
    assert drawn.get("CR", [None]) == [None] * len(drawn.get("CR", [None]))
    kept = sorted((tmp_path / "pictures").rglob("*.png"))
    assert len(kept) == sum(map(len, drawn.values()))
    assert stat.S_IMODE((tmp_path / "pictures").stat().st_mode) == 0o700
