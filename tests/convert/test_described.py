"""Documents beside the pixels: crate, manifest, DICOM JSON with a table of planes, OME-XML; and nobody's name in any of them."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage
from rocrate_validator.models import Severity

from convert.builders import SECRETS, STUDY, a_series, axial_positions, save
from convert.test_plates import a_plate
from fairlead.cli import run
from fairlead.convert import ConvertOptions, convert, dated_as_there, put_stores, validate_store, verify_files
from fairlead.convert.beside import redate
from fairlead.errors import UnsupportedInput
from fairlead.storage import LocalObjects
from publish.test_crate import context_cache, issues

described = partial(convert, options=ConvertOptions(described=True, whole_plates=True))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A series that was never de-identified, with its report."""
    folder = tmp_path_factory.mktemp("described")
    changes = {"SeriesDescription": f"Thorax {SECRETS[0]}", "ProtocolName": SECRETS[1], "StationName": "CTROOM7", "KVP": 120}
    report = described(save(folder / "in", a_series(axial_positions(4), **changes)), folder / "out")
    return report.stores[0], folder / "out" / report.stores[0].path


def test_no_identity_reaches_any_document(store: tuple[Any, Path]) -> None:
    words = [word for secret in SECRETS for word in secret.split("^")] + ["CTROOM7"]
    for file in store[1].rglob("*"):
        if file.is_file() and file.suffix in {".json", ".csv", ".txt", ".xml"}:
            text = file.read_text()
            assert not [word for word in words if word in text], file.name


def a_code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def test_texts_that_no_table_lists_reach_the_header_in_known_words_only(tmp_path: Path) -> None:
    """Attributes that the Basic Profile keeps, in the main dataset, in items, private and unknown: a name that is not the patient's."""
    datasets = a_series(axial_positions(2), SpecificCharacterSet="ISO_IR 192", WindowCenterWidthExplanation="Zqmiller")
    for dataset in datasets:
        dataset.AnatomicRegionSequence = [a_code("51185008", "SCT", "Zqmiller"), a_code("Zqmiller", "99HOME", "Zqmiller")]
        dataset.FilterType, dataset.PositionReferenceIndicator = "Ямада", "Xiphoid 山田"
        for tag in (0x60000022, 0x60001500, 0x0018FFF1, 0x00190010):
            dataset.add_new(tag, "LO", "Zqmiller")
        dataset.add_new(0x00191001, "UN", b"Zqmiller")
    (store,) = described(save(tmp_path / "in", datasets), tmp_path / "out").stores
    texts = {file.name: file.read_text() for file in (tmp_path / "out" / store.path).rglob("*") if file.suffix in {".json", ".csv", ".txt"}}
    assert "metadata.json" in texts
    assert not [name for name, text in texts.items() for word in ("Zqmiller", "Ямада", "山田") if word in text]
    (header,) = json.loads(texts["metadata.json"])
    known = header["00082218"]["Value"][0]
    assert known["00080100"]["Value"] == ["51185008"]
    assert "Thoracic" in known["00080104"]["Value"][0]  # PS3.16's own word for the code
    assert "00080100" not in header["00082218"]["Value"][1]


def test_the_manifest_holds_for_sha256sum_and_its_digest_is_the_reports(store: tuple[Any, Path]) -> None:
    report, folder = store
    manifest = (folder / "manifest-sha256.txt").read_bytes()
    listed = dict(reversed(line.split("  ")) for line in manifest.decode().splitlines())  # type: ignore[misc]
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {"manifest-sha256.txt"}
    assert listed.keys() == files
    assert all(hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest for name, digest in listed.items())
    assert hashlib.sha256(manifest).hexdigest() == report.manifest_sha256


def test_each_plane_is_named_placed_and_hashed_as_the_store_has_it(store: tuple[Any, Path]) -> None:
    rows = list(csv.DictReader((store[1] / "dicom/planes.csv").read_text().splitlines()))
    values: Any = zarr.open_array(str(store[1] / "0"), mode="r")
    digests = [hashlib.sha256(np.asarray(values[place]).astype("<i2").tobytes()).hexdigest() for place in range(4)]
    assert [row["sha256"] for row in rows] == digests
    assert [float(row["z_mm"]) for row in rows] == sorted(place[2] for place in axial_positions(4))
    assert len({row["sop_instance"] for row in rows}) == 4
    assert rows[0]["intercept"] == "-1024.0"


def test_the_header_is_dicom_json_with_facts_and_persistent_ids_and_no_pixels(store: tuple[Any, Path]) -> None:
    (header,) = json.loads((store[1] / "dicom/metadata.json").read_text())
    assert header["00180060"] == {"vr": "DS", "Value": [120.0]}
    assert header["0020000D"]["Value"] == [STUDY]
    assert not [tag for tag in header if tag.startswith(("0010", "0012")) or tag == "7FE00010"]


def graph_of(folder: Path) -> dict[str, Any]:
    return {entity["@id"]: entity for entity in json.loads((folder / "ro-crate-metadata.json").read_text())["@graph"]}


def test_the_crate_names_the_series_the_standard_and_the_documents(store: tuple[Any, Path]) -> None:
    graph = graph_of(store[1])
    root = graph["./"]
    assert graph["ro-crate-metadata.json"]["about"] == {"@id": "./"}
    assert graph["zarr.json"]["conformsTo"] == {"@id": "https://ngff.openmicroscopy.org/0.5/"}
    assert root["isBasedOn"] == {"@id": store[0].source}
    assert [part["@id"] for part in root["hasPart"]] == ["dicom/metadata.json", "dicom/planes.csv", "zarr.json"]
    assert graph[root["license"]["@id"]]["name"] == "Copyright Not Evaluated"
    assert validate_store(store[1]).valid


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # the validator's own
def test_the_official_validator_misses_nothing_but_a_publisher(store: tuple[Any, Path], tmp_path: Path) -> None:
    a_colour_tiff = tmp_path / "a.ome.tif"
    tifffile.imwrite(a_colour_tiff, np.zeros((16, 16), np.uint8), metadata={"axes": "YX"})
    licensed = ConvertOptions(described=True, license="CC-BY-4.0")
    (other,) = convert(a_colour_tiff, tmp_path / "out", options=licensed).stores
    assert graph_of(tmp_path / "out" / other.path)["./"]["license"] == {"@id": "https://spdx.org/licenses/CC-BY-4.0"}
    (told,) = issues(store[1], context_cache(tmp_path), Severity.RECOMMENDED)
    assert "publisher" in told  # nobody has published it


def test_the_day_of_a_crate_stays_until_something_else_changes(tmp_path: Path) -> None:
    """A store of another day: a second run leaves it, changed pixels give it today's date, a bucket keeps the day it has."""
    source = save(tmp_path / "in", a_series(axial_positions(3)))
    first = described(source, tmp_path / "out").stores[0]
    folder = tmp_path / "out" / first.path
    shutil.copytree(tmp_path / "out", tmp_path / "fresh")
    digest = redate(folder, date(2020, 2, 29))
    assert (graph_of(folder)["./"]["datePublished"], verify_files(folder)) == ("2020-02-29", ())
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    again = described(source, tmp_path / "out").stores[0]
    assert again.manifest_sha256 == digest != first.manifest_sha256
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before

    bucket = LocalObjects(tmp_path / "bucket")
    put_stores(tmp_path / "out", [again], bucket)
    (there,) = dated_as_there(tmp_path / "fresh", [first], bucket)
    assert put_stores(tmp_path / "fresh", [there], bucket) == 0
    assert there.manifest_sha256 == digest

    save(tmp_path / "in", a_series(axial_positions(3), WindowCenter=77, WindowWidth=9))
    described(source, tmp_path / "out")
    assert date.fromisoformat(graph_of(folder)["./"]["datePublished"]) > date(2020, 2, 29)
    assert verify_files(folder) == ()


@pytest.mark.parametrize("stated", ["see my page", "https://example.org/a b", '"', "ftp://example.org/licence", "-"])
def test_a_licence_is_an_address_or_an_identifier(stated: str) -> None:
    with pytest.raises(UnsupportedInput, match="no address and no SPDX identifier"):
        ConvertOptions(license=stated)


def test_a_second_run_and_a_resumed_one_touch_nothing(tmp_path: Path) -> None:
    source = save(tmp_path / "in", a_series(axial_positions(3)))
    resumed = ConvertOptions(described=True, resume=True)
    first = convert(source, tmp_path / "out", options=resumed)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / first.stores[0].path).rglob("*")}
    assert convert(source, tmp_path / "out", options=resumed).stores == first.stores
    assert described(source, tmp_path / "out").stores == first.stores
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / first.stores[0].path).rglob("*")} == before
    bare = convert(source, tmp_path / "out").stores[0]  # without documents it is another store
    assert not (tmp_path / "out" / bare.path / "manifest-sha256.txt").exists()


def test_ome_xml_is_kept_without_its_people(tmp_path: Path) -> None:
    file = tmp_path / "in/Zqmiller.ome.tif"
    file.parent.mkdir()
    tifffile.imwrite(file, np.zeros((2, 16, 16), np.uint8), metadata={"axes": "CYX", "Channel": {"Name": ["DAPI", "GFP"]}})
    with tifffile.TiffFile(file) as tiff:
        xml = (tiff.ome_metadata or "").replace("<Image ", '<Experimenter ID="Experimenter:0" LastName="Zqmiller"/><Image ', 1)
    tifffile.tiffcomment(file, xml.encode())
    (store,) = described(file, tmp_path / "out").stores
    kept = (tmp_path / "out" / store.path / "OME/METADATA.ome.xml").read_text()
    assert "DAPI" in kept
    assert "MetadataOnly" in kept
    texts = [path.read_text() for path in (tmp_path / "out").rglob("*.*") if path.suffix in {".json", ".xml", ".txt"}]
    assert "Zqmiller" not in "".join(texts)


def test_a_plate_keeps_its_xml_in_the_layout_of_bioformats2raw(tmp_path: Path) -> None:
    wells = [(0, 1, ["Image:2", "Image:0"]), (1, 0, ["Image:1"])]
    (store,) = described(a_plate(tmp_path / "a.ome.tif", wells, images=3), tmp_path / "out").stores
    folder = tmp_path / "out" / store.path
    root = json.loads((folder / "zarr.json").read_text())["attributes"]["ome"]
    order = json.loads((folder / "OME/zarr.json").read_text())["attributes"]["ome"]["series"]
    assert root["bioformats2raw.layout"] == 3
    assert len(order) == 3
    assert all((folder / path / "zarr.json").is_file() for path in order)
    assert (folder / "OME/METADATA.ome.xml").is_file()
    assert validate_store(folder).valid


def a_colour(number: int, picture: np.ndarray[Any, Any], position: tuple[float, float, float] | None) -> Dataset:
    """Return a slice in colour: interleaved, eight bits, as ultrasound and captures are."""
    (dataset,) = a_series([position or (0.0, 0.0, 0.0)])
    dataset.SOPInstanceUID = f"{dataset.SOPInstanceUID}.{number}"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.Rows, dataset.Columns = picture.shape[:2]
    dataset.PixelData = picture.tobytes()
    if position is None:
        dataset.SOPClassUID, dataset.Modality = SecondaryCaptureImageStorage, "OT"
    return dataset


@pytest.mark.parametrize("count", [1, 3])
def test_planes_in_colour_are_hashed_in_red_green_and_blue(tmp_path: Path, count: int) -> None:
    pictures = np.random.default_rng(3).integers(0, 255, (count, 20, 22, 3), dtype=np.uint8)
    places = [(0.0, 0.0, 2.5 * number) if count > 1 else None for number in range(count)]
    datasets = [a_colour(number, pictures[number], place) for number, place in enumerate(places)]
    (store,) = described(save(tmp_path / "in", datasets), tmp_path / "out").stores
    rows = list(csv.DictReader((tmp_path / "out" / store.path / "dicom/planes.csv").read_text().splitlines()))
    assert [row["sha256"] for row in rows] == [hashlib.sha256(picture.transpose(2, 0, 1).tobytes()).hexdigest() for picture in pictures]
    assert verify_files(tmp_path / "out" / store.path) == ()


def test_every_described_picture_of_the_data_agrees_with_its_digests(data: Path, tmp_path: Path) -> None:
    kinds = ("sc/SC_rgb_rle_16bit_2frame.dcm", "us/us_ybr_multiframe_jpeg.dcm", "mr/ge_fmri_4d", "pt", "dx", "sc/SC_rgb_small_odd.dcm")
    report = described([data / "dicom" / kind for kind in kinds], tmp_path)
    assert report.refused == ()
    for store in report.stores:
        rows = list(csv.DictReader((tmp_path / store.path / "dicom/planes.csv").read_text().splitlines()))
        assert rows
        assert all(row["sha256"] for row in rows)
        assert verify_files(tmp_path / store.path) == ()


def changed_voxel(folder: Path) -> None:
    array: Any = zarr.open_array(str(folder / "0"), mode="r+")
    array[2, 0, 0] = array[2, 0, 0] + 1


def outside(folder: Path) -> None:
    (folder / "manifest-sha256.txt").write_text("0" * 64 + "  ../../secret\n")


@pytest.mark.parametrize("data", [b"", b"random bytes " * 40])
def test_a_bare_store_with_a_shard_that_is_none_is_not_valid(tmp_path: Path, capsys: Any, data: bytes) -> None:
    """Without a manifest the index of the shard tells."""
    (store,) = convert(save(tmp_path / "in", a_series(axial_positions(3))), tmp_path / "out").stores
    folder = tmp_path / "out" / store.path
    assert run(["validate", str(folder)]) == 0
    next(file for file in (folder / "0/c").rglob("*") if file.is_file()).write_bytes(data)
    assert run(["validate", str(folder)]) == 1
    assert "shard" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (changed_voxel, "Plane 2 of time 0 has other voxels"),
        (lambda folder: (folder / "dicom/metadata.json").write_text("[]"), "dicom/metadata.json"),
        (lambda folder: (folder / "dicom/metadata.json").unlink(), "names a file that is not there"),
        (lambda folder: (folder / "extra.txt").write_text("x"), "does not name this file"),
        (outside, "manifest cannot be read"),
        (lambda folder: (folder / "dicom/planes.csv").write_bytes(b"\xff\xfe\0"), "planes cannot be compared"),
        (lambda folder: (folder / "dicom/planes.csv").write_text("time,slice,sha256\nx,y,z\n"), "planes cannot be compared"),
    ],
)
def test_validate_names_what_differs_from_the_stores_own_digests(
    store: tuple[Any, Path], tmp_path: Path, capsys: Any, change: Any, told: str
) -> None:
    folder = shutil.copytree(store[1], tmp_path / "a.ome.zarr")
    assert run(["validate", str(folder)]) == 0
    change(folder)
    capsys.readouterr()
    assert run(["validate", str(folder)]) == 1
    assert told in capsys.readouterr().out
