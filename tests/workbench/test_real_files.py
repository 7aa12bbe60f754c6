"""The page over records of real files: a CT phantom, MR, and microscopy in one archive."""

from __future__ import annotations

import io
import re
import stat
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import tifffile
from PIL import Image

from fairlead.extract import load_catalogue, read_paths
from fairlead.records import ImagingRecord
from fairlead.settings import Settings
from fairlead.workbench import Workbench, draw_pictures, forget_pictures, open_workbench
from fairlead.workbench.pictures import ArchivedPictures, DrawReport, _grey
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


def archived(data: Path, record: ImagingRecord) -> ImagingRecord:
    """Return the record as if the sample data were the archive."""
    here = tuple(str(Path(path).relative_to(data)) for path in record.core.source.paths)
    source = record.core.source.model_copy(update={"place": "archive", "paths": here})
    return record.model_copy(update={"core": record.core.model_copy(update={"source": source})})


@pytest.fixture
def drawn(data: Path, records: list[ImagingRecord], tmp_path: Path) -> Iterator[tuple[Settings, Any]]:
    """Return the settings and services of an installation whose archive is the sample data, indexed."""
    settings = Settings(home=tmp_path, archive=data)
    services: Any = open_workbench(settings)
    services.data.index.put([archived(data, record) if record.core.kind == "dicom-series" else record for record in records])
    yield settings, services
    services.versions.cohorts.engine.dispose()


def test_pictures_are_drawn_at_ingest_of_clean_pixels_and_never_of_what_may_show_text(
    drawn: tuple[Settings, Any], records: list[ImagingRecord]
) -> None:
    settings, services = drawn
    ids = [record.id for record in records]
    report = draw_pictures(settings, ids, services.data.index)
    kept = {path: path.stat().st_mtime_ns for path in (settings.home_folder / "pictures").rglob("*.png")}
    assert report.drawn + report.withheld + report.none == len(ids) == len(kept)
    assert report.drawn
    by_modality: dict[str, set[str]] = {}
    for record in records:
        shown = services.pictures.picture(services.data.index.get(record.id))
        assert shown.content.startswith(b"\x89PNG") is shown.shows_pixels is (shown.media_type == "image/png")
        words = "pixels" if shown.shows_pixels else " ".join(re.findall(r">([^<]+)</text>", shown.content.decode()))
        by_modality.setdefault(record.core.modality.raw if record.core.modality else record.core.kind, set()).add(words)
    assert "pixels" in by_modality["CT"]
    assert by_modality["ome-image"] == {"pixels"}
    assert "pixels" not in by_modality.get("CR", set())
    assert {path: path.stat().st_mtime_ns for path in kept} == kept  # looked at again, drawn once
    assert draw_pictures(settings, ids, services.data.index) == report
    assert stat.S_IMODE((settings.home_folder / "pictures").stat().st_mode) == 0o700
    forget_pictures(settings, [ids[0], "local:default:never-drawn"])
    assert len(set(kept) - set((settings.home_folder / "pictures").rglob("*.png"))) == 1


def test_burned_in_text_a_huge_frame_and_a_lost_file_say_why_there_is_no_picture(
    data: Path, records: list[ImagingRecord], tmp_path: Path
) -> None:
    [source, *_] = [archived(data, record) for record in records if record.core.modality and record.core.modality.raw == "CT"]
    dataset = pydicom.dcmread(data / source.core.source.paths[0])
    said = {}
    for name, changes in {
        "clean": {},
        "burned": {"BurnedInAnnotation": "YES"},
        "huge": {"Rows": 60_000, "Columns": 60_000},
        "gone": None,
    }.items():
        archive = tmp_path / name / "archive"
        archive.mkdir(parents=True)
        for keyword, value in (changes or {}).items():
            setattr(dataset, keyword, value)
        if changes is not None:
            dataset.save_as(archive / "one.dcm")
        record = source.model_copy(
            update={"core": source.core.model_copy(update={"source": source.core.source.model_copy(update={"paths": ("one.dcm",)})})}
        )
        kept = ArchivedPictures(Settings(home=tmp_path / name, archive=archive)).kept(record)
        said[name] = "pixels" if kept.startswith(b"\x89PNG") else kept.decode()
        if changes is None:  # an archive that was away
            dataset.save_as(archive / "one.dcm")
            pictures = ArchivedPictures(Settings(home=tmp_path / name, archive=archive))
            assert pictures.kept(record).startswith(b"\x89PNG")
            revised = record.model_copy(update={"core": record.core.model_copy(update={"generation": "f" * 64})})
            assert pictures.kept(revised).startswith(b"\x89PNG")
            assert len(list((tmp_path / name / "pictures").rglob("*.png"))) == 1  # nothing of the older content
        dataset = pydicom.dcmread(data / source.core.source.paths[0])
    assert said == {"clean": "pixels", "burned": "withheld", "huge": "too-large", "gone": "gone"}


def test_microscopy_is_drawn_small_and_nothing_of_a_file_with_a_slides_label(data: Path, tmp_path: Path) -> None:
    slide, label = np.full((64, 64), 9, np.uint8), np.full((32, 32), 7, np.uint8)
    slide[16:48] = 200
    catalogue, said = load_catalogue(Settings().fields_file), {}
    for name in ("second", "Macro", "label image"):
        file = tmp_path / f"{len(said)}.ome.tif"
        with tifffile.TiffWriter(file, ome=True) as out:
            out.write(slide, metadata={"Name": "slide"})
            out.write(label, metadata={"Name": name})
        found = read_paths([file], catalogue=catalogue, key=bytes(32), project="default", center="local")
        pictures = ArchivedPictures(Settings(home=tmp_path))
        kept = [pictures.kept(record) for record in found if isinstance(record, ImagingRecord)]
        said[name] = ["pixels" if one.startswith(b"\x89PNG") else one.decode() for one in kept]
        if name == "second":
            grey = np.asarray(Image.open(io.BytesIO(kept[0])).convert("L"))
            assert (grey.shape, grey[0, 0] < 9, grey[32, 32] > 240) == ((64, 64), True, True)
    assert said == {"second": ["pixels", "pixels"], "Macro": ["withheld", "withheld"], "label image": ["withheld", "withheld"]}
    [record] = read_paths([data / "ome/tiff/1x1.ome.tif"], catalogue=catalogue, key=bytes(32), project="default", center="local")
    assert isinstance(record, ImagingRecord)
    away = record.core.source.model_copy(update={"paths": (str(tmp_path / "away.ome.tif"),)})
    gone = record.model_copy(update={"core": record.core.model_copy(update={"source": away})})
    huge = record.model_copy(update={"core": record.core.model_copy(update={"size_bytes": 5 * 1024**3, "generation": "1" * 64})})
    assert [ArchivedPictures(Settings(home=tmp_path)).kept(one) for one in (gone, huge)] == [b"gone", b"too-large"]


def test_one_run_draws_as_many_as_the_settings_say(drawn: tuple[Settings, Any], records: list[ImagingRecord]) -> None:
    settings, services = drawn
    few = settings.model_copy(update={"workbench": settings.workbench.model_copy(update={"pictures_at_ingest": 1})})
    report = draw_pictures(few, ["local:default:gone", *(record.id for record in records)], services.data.index)
    assert report == DrawReport()
    assert not (settings.home_folder / "pictures").exists()


def test_a_large_frame_is_made_small_before_it_is_windowed() -> None:
    side = 3000
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.Rows = dataset.Columns = side
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation, dataset.SamplesPerPixel = 15, 0, 1
    dataset.PhotometricInterpretation, dataset.WindowCenter, dataset.WindowWidth = "MONOCHROME2", 32768, 65535
    dataset.PixelData = bytes(2 * side * side // 2) + b"\xff" * (2 * side * side // 2)
    tracemalloc.start()
    try:
        grey = _grey(dataset)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * len(dataset.PixelData)
    assert (int(grey[0, 0]), int(grey[-1, -1])) == (0, 255)
