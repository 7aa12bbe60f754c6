"""Files made to break a converter, or to make it show something else than the image: refused with a reason, and the others go on."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from pydicom.dataset import Dataset

from convert.builders import a_series, axial_positions, save
from fairlead.convert import ConvertOptions, convert, render_preview, validate_store
from fairlead.convert import preview as previews
from fairlead.convert.compact import bare_jpeg
from fairlead.convert.replacing import look, publish_store
from fairlead.convert.staging import staged
from fairlead.errors import Conflict

SECRET = b"Zqmiller" * 32
XML = """<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels DimensionOrder="XYZCT" Type="uint8"
SizeX="{x}" SizeY="32" SizeZ="1" SizeC="1" SizeT="1"><Channel ID="c"/><TiffData {data}><UUID FileName="a.tif">urn:uuid:1</UUID></TiffData>
</Pixels></Image></OME>"""
WHOLE = 'IFD="0" PlaneCount="1"'
VALUES = np.arange(1024, dtype=np.uint8).reshape(32, 32)


def old_store(folder: Path, *, text: str | None = None, **array: Any) -> Path:
    """Write an OME-Zarr 0.4 of one level by hand; ``text`` replaces its metadata."""
    shape = array.get("shape", [4, 8, 8])
    axes = [{"name": name, "type": "space"} for name in "zyx"]
    steps = [{"type": "scale", "scale": [1.0, 1.0, 1.0]}]
    image = {"version": "0.4", "axes": axes, "datasets": [{"path": "0", "coordinateTransformations": steps}]}
    document = {"zarr_format": 2, "shape": shape, "chunks": shape, "dtype": "|u1", "compressor": None, "filters": None}
    document |= {"fill_value": 0, "order": "C", "dimension_separator": "."} | array
    (folder / "0").mkdir(parents=True)
    (folder / ".zgroup").write_text('{"zarr_format": 2}')
    (folder / ".zattrs").write_text(text or json.dumps({"multiscales": [image]}))
    (folder / "0/.zarray").write_text(json.dumps(document))
    (folder / "0/0.0.0").write_bytes(SECRET)
    return folder


def a_set(folder: Path, *, x: str = "32", data: str = WHOLE, encoding: str = "utf-8", head: str = "") -> Path:
    """Write a companion and its one TIFF in strips."""
    folder.mkdir()
    (folder / "a.companion.ome").write_bytes((head + XML.format(x=x, data=data)).encode(encoding))
    tifffile.imwrite(folder / "a.tif", VALUES, rowsperstrip=8)
    return folder


def reasons(source: Path, out: Path) -> list[str]:
    report = convert(source, out)
    assert not report.stores
    return [refusal.reason for refusal in report.refused]


def nested(depth: int) -> str:
    inner = '{"type": "sequence", "transformations": [' * depth + '{"type": "scale", "scale": [1, 1, 1]}' + "]}" * depth
    axes = ", ".join(f'{{"name": "{name}", "type": "space"}}' for name in "zyx")
    dataset = f'{{"path": "0", "coordinateTransformations": [{inner}]}}'
    return f'{{"multiscales": [{{"version": "0.4", "axes": [{axes}], "datasets": [{dataset}]}}]}}'


def test_a_link_inside_a_store_or_a_set_never_shows_another_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    chunk = old_store(tmp_path / "chunk/s.zarr") / "0/0.0.0"
    chunk.unlink()
    chunk.symlink_to(tmp_path / "secret")
    level = old_store(tmp_path / "level/s.zarr") / "0"
    level.rename(tmp_path / "elsewhere")
    level.symlink_to(tmp_path / "elsewhere")
    tiff = a_set(tmp_path / "set") / "a.tif"
    tiff.rename(tmp_path / "other.tif")
    tiff.symlink_to(tmp_path / "other.tif")
    for name, said in (("chunk", "symbolic link"), ("level", "symbolic link"), ("set", "no regular file")):
        assert said in reasons(tmp_path / name, tmp_path / "out")[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 200_000, "absent or broken"),
        (nested(3000), "RecursionError"),
        (nested(0).replace('{"type": "scale"', '{"type": "translation", "translation": [NaN, 0, 0]}, {"type": "scale"'), "translation"),
        (nested(0)[:-1] + f', "omero": {{"channels": [{{"window": {{"start": 0, "end": 1{"0" * 400}}}}}]}}}}', "OverflowError"),
    ],
    ids=["a deep list", "deep transforms", "no number", "a number of 401 digits"],
)
def test_metadata_that_break_readers_are_refused_and_the_next_source_is_converted(tmp_path: Path, text: str, said: str) -> None:
    old_store(tmp_path / "in/a.zarr", text=text)
    old_store(tmp_path / "in/b.zarr")
    report = convert(tmp_path / "in", tmp_path / "out")
    assert [store.source for store in report.stores] == ["b.zarr"]
    assert said in report.refused[0].reason
    assert not validate_store(tmp_path / "in/a.zarr").valid or "NaN" in text or "omero" in text


def test_arrays_that_claim_more_than_anybody_has_are_refused_before_they_are_read(tmp_path: Path) -> None:
    claims = {
        "many": ({"shape": [10**6, 10**6, 10**6], "chunks": [1, 1, 64]}, "chunk files"),
        "large": ({"shape": [10, 10**5, 10**5], "chunks": [10, 10**5, 10**5]}, "more than 1 GB"),
        "plane": ({"shape": [2, 10**5, 10**5], "chunks": [2, 10**5, 5000]}, "A plane of 10.0 GB"),
        "none": ({"shape": [0, 8, 8], "chunks": [1, 8, 8]}, "without a sample"),
    }
    for name, (array, said) in claims.items():
        store = old_store(tmp_path / name / "s.zarr", **array)
        for number in range(20 if name == "plane" else 0):
            (store / f"0/0.0.{number}").write_bytes(b"")
        assert said in reasons(tmp_path / name, tmp_path / "out")[0]
    assert not validate_store(tmp_path / "many/s.zarr").valid


def test_a_store_that_contains_itself_is_validated_in_time(tmp_path: Path) -> None:
    fields = [{"path": str(number)} for number in range(5)]
    (tmp_path / "zarr.json").write_text(
        json.dumps({"zarr_format": 3, "node_type": "group", "attributes": {"ome": {"version": "0.5", "well": {"images": fields * 9}}}})
    )
    for field in fields[:2]:
        (tmp_path / field["path"]).symlink_to(tmp_path)
    found = validate_store(tmp_path).findings
    assert any("nested deeper" in finding.message for finding in found)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"x": "²"}, "SizeX"),
        ({"x": "9" * 5000}, "SizeX"),
        ({"data": 'IFD="q"'}, "whole numbers"),
        ({"data": f'FirstZ="5" {WHOLE}'}, "planes that the image does not have"),
        ({"data": 'IFD="0" PlaneCount="999999999"'}, "claims 999999999 planes"),
        ({"encoding": "utf-16", "head": '<!DOCTYPE OME [<!ENTITY a SYSTEM "file:///etc/hostname">]>'}, "document type"),
    ],
    ids=["superscript", "5000 digits", "no number", "beyond the image", "a billion planes", "hidden doctype"],
)
def test_a_companion_that_lies_is_refused(tmp_path: Path, changes: dict[str, str], said: str) -> None:
    assert said in " ".join(reasons(a_set(tmp_path / "set", **changes), tmp_path / "out"))


def test_absent_strips_in_a_file_of_a_set_are_never_zeros(tmp_path: Path) -> None:
    file = a_set(tmp_path / "set") / "a.tif"
    with tifffile.TiffFile(file) as tiff:
        tag = tiff.pages[0].tags["StripByteCounts"]
    data = bytearray(file.read_bytes())
    width = {3: 2, 4: 4}[int(tag.dtype)]
    data[tag.valueoffset : tag.valueoffset + width] = bytes(width)
    file.write_bytes(data)
    assert "not read as zeros" in reasons(tmp_path / "set", tmp_path / "out")[0]


@pytest.mark.parametrize(("jitter", "deviation"), [(0.0, 0.0), (0.00008, 0.00008)])
def test_the_store_says_how_far_a_slice_lies_from_the_affine(tmp_path: Path, jitter: float, deviation: float) -> None:
    positions = axial_positions(5)
    positions[2][2] += jitter
    report = convert(save(tmp_path / "in", a_series(positions)), tmp_path / "out")
    attributes = json.loads((tmp_path / "out" / report.stores[0].path / "zarr.json").read_text())["attributes"]
    assert attributes["dicom"]["geometry"]["largest_deviation_mm"] == pytest.approx(deviation, abs=1e-6)


def geometry_of(store: Path) -> Any:
    return json.loads((store / "zarr.json").read_text())["attributes"]["dicom"]["geometry"]


def test_slices_a_little_beside_the_lattice_are_refused_split_or_kept_with_their_places(tmp_path: Path) -> None:
    positions = axial_positions(6)
    positions[2][2] += 0.0005
    source = save(tmp_path / "in", a_series(positions))
    assert "up to 0.0005 mm beside an even lattice" in reasons(source, tmp_path / "strict")[0]
    runs = convert(source, tmp_path / "split", options=ConvertOptions(geometry="split")).stores
    assert sum(store.shape[0] if len(store.shape) == 3 else 1 for store in runs) == 6
    assert all(geometry_of(tmp_path / "split" / store.path)["largest_deviation_mm"] <= 1e-4 for store in runs)
    (store,) = convert(source, tmp_path / "annotate", options=ConvertOptions(geometry="annotate")).stores
    stated = geometry_of(tmp_path / "annotate" / store.path)
    assert store.geometry.affine is None
    assert stated["positions_lps_mm"] == sorted(positions, key=lambda place: place[2])


def test_a_time_point_beside_the_others_is_refused_or_kept_with_its_places(tmp_path: Path) -> None:
    datasets = [
        dataset
        for time in range(2)
        for dataset in a_series([[x, y, z + 0.0004 * time] for x, y, z in axial_positions(3)], TemporalPositionIdentifier=time + 1)
    ]
    for number, dataset in enumerate(datasets):
        dataset.SOPInstanceUID = f"1.2.3.{number + 1}"
    source = save(tmp_path / "in", datasets)
    assert "Over time: Slices lie up to 0.0004 mm" in reasons(source, tmp_path / "strict")[0]
    (store,) = convert(source, tmp_path / "annotate", options=ConvertOptions(geometry="annotate")).stores
    assert store.shape[:2] == (2, 3)
    tables = np.asarray(geometry_of(tmp_path / "annotate" / store.path)["positions_lps_mm"])
    assert np.allclose(tables[1] - tables[0], [0, 0, 0.0004], atol=1e-9)


def test_bits_that_are_not_the_lowest_are_refused(tmp_path: Path) -> None:
    series = save(tmp_path / "in", a_series(axial_positions(2), HighBit=15))
    assert all("HighBit" in reason for reason in reasons(series, tmp_path / "out"))


def test_a_table_of_the_modality_that_is_not_applied_is_on_record(tmp_path: Path) -> None:
    table = Dataset()
    table.add_new("LUTDescriptor", "US", [4096, 0, 16])
    table.add_new("ModalityLUTType", "LO", "OD")
    table.add_new("LUTData", "OW", bytes(8192))
    datasets = a_series(axial_positions(2), ModalityLUTSequence=[table])
    for dataset in datasets:
        del dataset.RescaleSlope, dataset.RescaleIntercept
    report = convert(save(tmp_path / "in", datasets), tmp_path / "out")
    assert "ModalityLUTSequence" in report.stores[0].dropped[0]
    attributes = json.loads((tmp_path / "out" / report.stores[0].path / "zarr.json").read_text())["attributes"]
    assert attributes["dicom"]["facts"]["ModalityLUT"] == "not applied"


def test_two_kernels_in_one_series_are_two_volumes_and_no_time(tmp_path: Path) -> None:
    soft, sharp = (a_series(axial_positions(), ConvolutionKernel=kernel) for kernel in ("B30f", "B70f"))
    for number, dataset in enumerate(sharp):
        dataset.SOPInstanceUID, dataset.InstanceNumber = f"{dataset.SOPInstanceUID}.9", number + 7
    report = convert(save(tmp_path / "in", [*soft, *sharp]), tmp_path / "out")
    assert [store.axes for store in report.stores] == [("z", "y", "x")] * 2


def test_a_kept_jpeg_tile_has_no_comment_and_the_same_pixels() -> None:
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 255, (16, 16, 3), dtype=np.uint8))
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[0x010E] = "Zqmiller"
    picture.save(buffer, "JPEG", comment=b"Zqmiller", exif=exif)
    bare = bare_jpeg(buffer.getvalue())
    assert b"Zqmiller" in buffer.getvalue()
    assert b"Zqmiller" not in bare
    assert np.array_equal(np.asarray(Image.open(buffer)), np.asarray(Image.open(io.BytesIO(bare))))


def test_a_preview_of_a_level_that_is_too_large_reads_every_nth_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tifffile.imwrite(tmp_path / "a.ome.tif", np.tile(np.arange(200, dtype=np.uint8), (100, 1)), metadata={"axes": "YX"})
    store = convert(tmp_path / "a.ome.tif", tmp_path / "out").stores[0]
    render_preview(tmp_path / "out" / store.path, tmp_path / "whole.png")
    monkeypatch.setattr(previews, "MAX_SAMPLES", 5000)
    monkeypatch.setattr(previews, "BAND_SAMPLES", 3000)
    render_preview(tmp_path / "out" / store.path, tmp_path / "thin.png")
    whole, thin = (np.asarray(Image.open(tmp_path / name), int) for name in ("whole.png", "thin.png"))
    assert whole.shape == thin.shape
    assert np.abs(whole - thin).mean() < 2


def test_of_two_processes_that_publish_one_store_the_second_stops_unless_it_is_equal(tmp_path: Path) -> None:
    target = tmp_path / "a.ome.zarr"
    before = look(target)
    with staged(target) as one, staged(target) as two, staged(target) as three:
        for folder, text in ((one, "1"), (two, "2"), (three, "1")):
            (folder / "zarr.json").write_text(text)
        assert publish_store(one, target, {}, before=before, source="").outcome == "new"
        with pytest.raises(Conflict):
            publish_store(two, target, {}, before=before, source="")
        assert publish_store(three, target, {}, before=before, source="").outcome == "unchanged"
    assert (target / "zarr.json").read_text() == "1"
    assert [path.name for path in tmp_path.iterdir()] == ["a.ome.zarr"]
