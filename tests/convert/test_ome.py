from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from fairlead.convert import ConvertOptions, convert, convert_ome, validate_store
from fairlead.convert.ome_xml import read_ome_xml
from fairlead.errors import InvalidInput, UnreadableImage, UnsupportedInput
from fairlead.files import sha256_file

XML = """<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">
<Experimenter ID="Experimenter:0" FirstName="Ada" LastName="Secret" Email="ada@example.org"/>
<Image ID="Image:0" Name="Patient Doe"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="8" SizeY="6" SizeC="1"
SizeZ="1" SizeT="1" {attributes}>{channels}<TiffData IFD="0" PlaneCount="1"/></Pixels></Image></OME>"""


def ome(store: Path) -> dict:
    return json.loads((store / "zarr.json").read_text())["attributes"]["ome"]


def level(store: Path, number: int = 0) -> np.ndarray:
    return np.asarray(zarr.open_array(str(store / str(number)), mode="r")[:])


def a_tiff(path: Path, *, attributes: str = "", channels: str = "", xml: str = XML) -> Path:
    tifffile.imwrite(path, np.arange(48, dtype=np.uint8).reshape(6, 8), description=xml.format(attributes=attributes, channels=channels))
    return path


@pytest.mark.parametrize(
    ("file", "axes", "shape", "levels"),
    [
        ("1x1.ome.tif", "yx", (1, 1), 1),
        ("cardio_left_pyramid.ome.tif", "cyx", (3, 1080, 640), 3),
        ("he_left_pyramid.ome.tif", "cyx", (3, 700, 1152), 3),
        ("multi-channel.ome.tif", "cyx", (3, 167, 439), 2),
        ("nyxus_p0_y1_r1_c0.ome.tif", "yx", (256, 256), 1),
        ("nyxus_seg_p0_y1_r1_c0.ome.tif", "yx", (256, 256), 1),
        ("series_tzcyx.ome.tif", "tczyx", (4, 2, 3, 128, 128), 2),
    ],
)
def test_real_ome_tiffs_equal_tifffile(data, tmp_path, file, axes, shape, levels):
    (store,) = convert_ome(data / "ome/tiff" / file, tmp_path)
    path = tmp_path / store.path
    with tifffile.TiffFile(data / "ome/tiff" / file) as tiff:
        source, names = tiff.series[0].asarray(), tiff.series[0].axes.replace("S", "C").lower()
    expected = source.transpose([names.index(name) for name in axes])
    assert (store.axes, store.shape, store.levels) == (tuple(axes), shape, levels)
    assert np.array_equal(level(path), expected)
    assert validate_store(path).findings == ()


def test_the_sources_own_pyramid_is_reused_with_its_own_scale(data, tmp_path):
    (store,) = convert_ome(data / "ome/tiff/cardio_left_pyramid.ome.tif", tmp_path)
    path = tmp_path / store.path
    with tifffile.TiffFile(data / "ome/tiff/cardio_left_pyramid.ome.tif") as tiff:
        assert np.array_equal(level(path, 2), tiff.series[0].levels[2].asarray())
    image = ome(path)["multiscales"][0]
    assert image["axes"][1:] == [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    scale, shift = image["datasets"][2]["coordinateTransformations"]
    assert scale["scale"] == pytest.approx([1, 2.6, 2.6])
    assert shift["translation"] == pytest.approx([0, 0.975, 0.975])


def test_channel_names_and_time_steps_are_kept(data, tmp_path):
    (store,) = convert_ome(data / "ome/tiff/series_tzcyx.ome.tif", tmp_path)
    found = ome(tmp_path / store.path)
    assert [channel["label"] for channel in found["omero"]["channels"]] == ["DAPI", "nanog"]
    assert found["multiscales"][0]["axes"][0] == {"name": "t", "type": "time", "unit": "second"}
    assert found["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"] == [2.5, 1.0, 1.2, 0.65, 0.65]


def test_a_companion_set_is_one_image(data, tmp_path):
    report = convert(data / "ome/tiff/companion_z5", tmp_path)
    assert report.refused == ()
    (store,) = report.stores
    assert store.shape == (5, 24, 18)
    third = tifffile.imread(data / "ome/tiff/companion_z5/multifile-Z3.ome.tiff")
    assert np.array_equal(level(tmp_path / store.path)[2], third)


def test_one_file_of_a_set_brings_the_whole_set(data, tmp_path):
    (store,) = convert_ome(data / "ome/tiff/companion_z5/multifile-Z4.ome.tiff", tmp_path)
    assert store.shape == (5, 24, 18)


def test_a_file_of_a_set_without_its_companion_is_refused(data, tmp_path):
    shutil.copy(data / "ome/tiff/companion_z5/multifile-Z4.ome.tiff", tmp_path / "alone.ome.tiff")
    with pytest.raises(UnreadableImage, match="companion is not beside it"):
        convert_ome(tmp_path / "alone.ome.tiff", tmp_path / "out")


def test_colours_of_channels_are_rgb_hex(tmp_path):
    file = a_tiff(tmp_path / "a.ome.tif", channels='<Channel ID="Channel:0" Name="x" Color="-16776961"/>')
    (store,) = convert_ome(file, tmp_path / "out")
    assert ome(tmp_path / "out" / store.path)["omero"]["channels"][0]["color"] == "FF0000"


@pytest.mark.parametrize(
    ("stated", "unit", "scale"),
    [
        ('PhysicalSizeX="0.5"', "micrometer", 0.5),
        ('PhysicalSizeX="250" PhysicalSizeXUnit="nm"', "nanometer", 250),
        ('PhysicalSizeX="2" PhysicalSizeXUnit="pixel"', None, 2),
        ('PhysicalSizeX="0"', None, 1),
        ('PhysicalSizeX="wide"', None, 1),
        ("", None, 1),
    ],
)
def test_physical_sizes_keep_their_unit(tmp_path, stated, unit, scale):
    (store,) = convert_ome(a_tiff(tmp_path / "a.ome.tif", attributes=stated), tmp_path / "out")
    image = ome(tmp_path / "out" / store.path)["multiscales"][0]
    assert image["axes"][1].get("unit") == unit
    assert image["datasets"][0]["coordinateTransformations"][0]["scale"][1] == scale


def test_people_named_in_the_xml_stay_behind(tmp_path):
    (store,) = convert_ome(a_tiff(tmp_path / "a.ome.tif"), tmp_path / "out")
    written = b"".join(file.read_bytes() for file in (tmp_path / "out").rglob("*") if file.is_file())
    assert not any(word in written for word in (b"Ada", b"Secret", b"example.org", b"Patient Doe"))
    assert "name" not in ome(tmp_path / "out" / store.path)["multiscales"][0]


def test_several_images_in_one_file_become_several_stores(tmp_path):
    with tifffile.TiffWriter(tmp_path / "two.ome.tif", ome=True) as writer:
        writer.write(np.zeros((20, 30), np.uint8), metadata={"axes": "YX"})
        writer.write(np.ones((2, 10, 12), np.uint16), metadata={"axes": "ZYX"})
    name = f"ome-{hashlib.sha256(sha256_file(tmp_path / 'two.ome.tif').encode()).hexdigest()[:16]}"
    stores = convert_ome(tmp_path / "two.ome.tif", tmp_path / "out")
    assert [(store.path, store.shape) for store in stores] == [(f"{name}-0.ome.zarr", (20, 30)), (f"{name}-1.ome.zarr", (2, 10, 12))]


@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        ("<OME", "not well formed"),
        ("<!DOCTYPE x [<!ENTITY a 'b'>]><OME xmlns='http://www.openmicroscopy.org/Schemas/OME/2016-06'>&a;</OME>", "document type"),
        ("<TIFF/>", "no OME document"),
        ("<OME xmlns='http://example.org/other'/>", "namespace"),
        ("<OME><Image><Pixels SizeX='1' SizeY='1' SizeC='1' SizeT='1' DimensionOrder='XYCZT'/></Image></OME>", "SizeZ .* absent"),
        ("<OME><Image><Pixels SizeX='1' SizeY='1' SizeC='1' SizeZ='-2' SizeT='1' DimensionOrder='XYCZT'/></Image></OME>", "SizeZ"),
        ("<OME><Image><Pixels SizeX='1' SizeY='1' SizeC='1' SizeZ='1' SizeT='1' DimensionOrder='ZYXCT'/></Image></OME>", "DimensionOrder"),
    ],
)
def test_broken_ome_xml_is_refused_with_the_reason(xml, reason):
    with pytest.raises(UnreadableImage, match=reason):
        read_ome_xml(xml)


@pytest.mark.parametrize("name", ["entity_expansion_small", "missing_sizez", "truncated", "wrong_namespace"])
def test_real_malformed_xml_is_refused(data, name):
    with pytest.raises(UnreadableImage):
        read_ome_xml((data / f"ome/xml-malformed/{name}.ome.xml").read_bytes())


def test_every_real_ome_xml_is_understood_or_refused(data):
    images = {}
    for file in sorted((data / "ome/xml").rglob("*.ome.xml")):
        try:
            images[file.name] = len(read_ome_xml(file.read_bytes()))
        except UnreadableImage as error:
            images[file.name] = str(error)
    assert images["multi-channel-z-series.ome.xml"] == 1
    assert images["hcs.ome.xml"] == 11 or isinstance(images["hcs.ome.xml"], int)


def test_names_that_lead_out_of_the_folder_are_refused(tmp_path):
    xml = XML.replace('<TiffData IFD="0" PlaneCount="1"/>', '<TiffData IFD="0"><UUID FileName="../../etc/x.tif">u</UUID></TiffData>')
    with pytest.raises(UnreadableImage, match="outside its folder"):
        convert_ome(a_tiff(tmp_path / "a.ome.tif", xml=xml), tmp_path / "out")


def test_a_tiff_smaller_than_its_xml_says_is_refused(tmp_path):
    xml = XML.replace('SizeX="8"', 'SizeX="80"')
    with pytest.raises(UnreadableImage, match=r"disagree|do not fit"):
        convert_ome(a_tiff(tmp_path / "a.ome.tif", xml=xml), tmp_path / "out")
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.parametrize("name", ["truncated.ome.tif", "companion_missing_siblings.companion.ome"])
def test_real_malformed_tiffs_are_refused(data, tmp_path, name):
    with pytest.raises((UnreadableImage, UnsupportedInput)):
        convert_ome(data / "ome/tiff-malformed" / name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_truncated_tile_is_refused_and_leaves_nothing(tmp_path, data):
    whole = (data / "ome/tiff/cardio_left_pyramid.ome.tif").read_bytes()
    damaged = bytearray(whole)
    middle = len(damaged) // 2
    damaged[middle : middle + 20000] = bytes(20000)
    (tmp_path / "damaged.ome.tif").write_bytes(damaged)
    report = convert(tmp_path / "damaged.ome.tif", tmp_path / "out")
    assert report.stores == ()
    assert "cannot be decoded" in report.refused[0].reason
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("store", "reason"),
    [
        ("zarr-malformed/bad_version_v04.ome.zarr", "OME-NGFF 9.9 is not read"),
        ("zarr-malformed/dangling_level_v04.ome.zarr", "cannot be opened"),
        ("zarr-malformed/missing_chunk_v04.ome.zarr", "chunks are absent"),
        ("zarr-malformed/no_axes_v04.ome.zarr", "lack what an image needs"),
        ("zarr-malformed/no_zattrs_v04.ome.zarr", "no OME-Zarr image"),
        ("zarr/ngio_cyx_v05.zarr", "chunks are absent"),
    ],
)
def test_zarr_that_would_lie_is_refused(data, tmp_path, store, reason):
    report = convert(data / "ome" / store, tmp_path)
    assert report.stores == ()
    assert reason in report.refused[0].reason


@pytest.mark.parametrize(
    "name",
    ["cardio_left_v0.4", "cardio_left_crop_v0.5", "fiji_4d_testing_xyzc_4d_dataset_v4", "ngff-challenge_2d_v04", "neuroglancer_simple_0.4"],
)
def test_real_ome_zarr_becomes_valid_05_with_equal_voxels_and_sampling(data, tmp_path, name):
    source = data / f"ome/zarr/{name}.ome.zarr"
    (store,) = convert_ome(source, tmp_path)
    assert validate_store(tmp_path / store.path).valid
    assert ome(tmp_path / store.path)["version"] == "0.5"
    document = ome(source) if (source / "zarr.json").is_file() else json.loads((source / ".zattrs").read_text())
    first = document["multiscales"][0]["datasets"][0]
    assert np.array_equal(level(tmp_path / store.path), np.asarray(zarr.open_array(str(source / first["path"]), mode="r")[:]))
    stated = next(step["scale"] for step in first["coordinateTransformations"] if step["type"] == "scale")
    written = ome(tmp_path / store.path)["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"]
    assert written == pytest.approx(stated)


def test_annotate_reads_absent_chunks_as_the_fill_value_on_record(data, tmp_path):
    report = convert(data / "ome/zarr-malformed/missing_chunk_v04.ome.zarr", tmp_path, options=ConvertOptions(geometry="annotate"))
    assert report.stores[0].dropped == ("3 absent chunks read as the fill value",)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64"])
@pytest.mark.parametrize("order", [">", "<"])
def test_every_number_type_and_byte_order_survives(tmp_path, dtype, order):
    values = np.arange(-6, 54, dtype=float).reshape(6, 10) * 3
    pixels = values.astype(dtype) if dtype[0] != "u" else np.abs(values).astype(dtype)
    tifffile.imwrite(tmp_path / "a.ome.tif", pixels, byteorder=order, metadata={"axes": "YX"})
    (store,) = convert_ome(tmp_path / "a.ome.tif", tmp_path / "out")
    assert store.dtype == dtype
    assert np.array_equal(level(tmp_path / "out" / store.path), pixels)


def test_infinite_and_missing_values_survive_and_do_not_spoil_the_window(tmp_path):
    pixels = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    pixels[0, :2] = np.inf, np.nan
    tifffile.imwrite(tmp_path / "a.ome.tif", pixels, metadata={"axes": "YX"})
    (store,) = convert_ome(tmp_path / "a.ome.tif", tmp_path / "out")
    window = ome(tmp_path / "out" / store.path)["omero"]["channels"][0]["window"]
    assert np.array_equal(level(tmp_path / "out" / store.path), pixels, equal_nan=True)
    assert 0 < window["start"] < window["end"] <= 1


def test_an_uncompressed_tiff_cut_short_is_refused_not_zeroed(tmp_path):
    tifffile.imwrite(tmp_path / "a.ome.tif", np.ones((3, 400, 500), np.uint16), metadata={"axes": "ZYX"})
    whole = (tmp_path / "a.ome.tif").read_bytes()
    (tmp_path / "cut.ome.tif").write_bytes(whole[: len(whole) - 150_000])
    with pytest.raises((UnreadableImage, UnsupportedInput)):
        convert_ome(tmp_path / "cut.ome.tif", tmp_path / "out")
    assert not list((tmp_path / "out").glob("*"))


def test_a_sparse_tile_is_refused_not_zeroed(tmp_path):
    tifffile.imwrite(tmp_path / "a.ome.tif", np.ones((256, 256), np.uint16), tile=(64, 64), metadata={"axes": "YX"})
    with tifffile.TiffFile(tmp_path / "a.ome.tif", mode="r+") as tiff:
        counts = list(tiff.pages[0].tags["TileByteCounts"].value)
        offsets = list(tiff.pages[0].tags["TileOffsets"].value)
        counts[3] = offsets[3] = 0
        tiff.pages[0].tags["TileByteCounts"].overwrite(counts)
        tiff.pages[0].tags["TileOffsets"].overwrite(offsets)
    with pytest.raises(UnreadableImage, match="tiles or strips are absent"):
        convert_ome(tmp_path / "a.ome.tif", tmp_path / "out")


def test_a_plain_tiff_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.ones((8, 8), np.uint8))
    with pytest.raises(UnsupportedInput, match="only OME-TIFF"):
        convert_ome(tmp_path / "a.tif", tmp_path / "out")


def test_a_set_member_of_another_size_is_refused(data, tmp_path):
    shutil.copytree(data / "ome/tiff/companion_z5", tmp_path / "in")
    tifffile.imwrite(tmp_path / "in/multifile-Z2.ome.tiff", np.zeros((5, 5), np.uint8))
    report = convert(tmp_path / "in", tmp_path / "out")
    assert "another size" in report.refused[0].reason


def test_a_damaged_set_member_is_refused(data, tmp_path):
    shutil.copytree(data / "ome/tiff/companion_z5", tmp_path / "in")
    (tmp_path / "in/multifile-Z2.ome.tiff").write_bytes(b"neither fish nor fowl")
    report = convert(tmp_path / "in", tmp_path / "out")
    assert "cannot be read" in report.refused[0].reason


def test_a_companion_without_images_or_files_is_refused(tmp_path):
    (tmp_path / "a.companion.ome").write_text('<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"/>')
    (tmp_path / "b.companion.ome").write_text(XML.format(attributes="", channels=""))
    reasons = [refusal.reason for refusal in convert(tmp_path, tmp_path / "out").refused]
    assert any("describes no image" in reason for reason in reasons)
    assert any("does not name the file" in reason for reason in reasons)


def a_zarr(path: Path, *, axes: list[dict], array: np.ndarray, scale: list[float]) -> Path:
    """Write an OME-Zarr 0.5 by hand."""
    zarr.create_array(store=str(path / "0"), data=array, chunks=array.shape)
    image = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": scale}]}]}
    attributes = {"ome": {"version": "0.5", "multiscales": [image]}}
    (path / "zarr.json").write_text(json.dumps({"zarr_format": 3, "node_type": "group", "attributes": attributes}))
    return path


YX = [{"name": "y", "type": "space", "unit": "micrometer"}, {"name": "x", "type": "space", "unit": "micrometer"}]


@pytest.mark.parametrize(
    ("axes", "array", "scale", "reason"),
    [
        (YX[::-1], np.ones((4, 5), np.uint8), [1, 1], "in this order"),
        ([{"name": "q", "type": "space"}, *YX], np.ones((2, 4, 5), np.uint8), [1, 1, 1], "in this order"),
        (YX, np.ones((2, 4, 5), np.uint8), [1, 1], "name 2 axes, the array has 3"),
        (YX, np.ones((4, 5), np.complex64), [1, 1], "complex64"),
        (YX, np.ones((4, 5), np.uint8), [1, -1], "no positive number"),
    ],
)
def test_ome_zarr_that_does_not_hold_together_is_refused(tmp_path, axes, array, scale, reason):
    report = convert(a_zarr(tmp_path / "in.ome.zarr", axes=axes, array=array, scale=scale), tmp_path / "out")
    assert reason in report.refused[0].reason


def test_a_level_path_outside_the_store_is_refused(tmp_path):
    source = a_zarr(tmp_path / "in.ome.zarr", axes=YX, array=np.ones((4, 5), np.uint8), scale=[1, 1])
    text = (source / "zarr.json").read_text().replace('"path": "0"', '"path": "../secret"')
    (source / "zarr.json").write_text(text)
    assert "leads out of the store" in convert(source, tmp_path / "out").refused[0].reason


def test_a_damaged_chunk_is_refused(tmp_path):
    source = a_zarr(tmp_path / "in.ome.zarr", axes=YX, array=np.ones((40, 50), np.uint16), scale=[1, 1])
    (source / "0/c/0/0").write_bytes(b"no such chunk")
    assert "cannot be decoded" in convert(source, tmp_path / "out").refused[0].reason


def test_equal_file_names_in_two_folders_give_two_stores(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "in" / name).mkdir(parents=True)
        a_tiff(tmp_path / "in" / name / "x.ome.tif")
    named = convert(tmp_path / "in", tmp_path / "named", options=ConvertOptions(keep_names=True))
    assert [store.path for store in named.stores] == ["x.ome.zarr", "x-2.ome.zarr"]
    first, second = convert(tmp_path / "in", tmp_path / "out").stores
    assert second.path == first.path.replace(".ome.zarr", "-2.ome.zarr")


@pytest.mark.parametrize("version", ["0.5", "0.6"])
def test_names_of_files_are_in_no_store(tmp_path, version):
    file = a_tiff(tmp_path / "Mueller_Hans_19610503.ome.tif")
    zipped = a_zarr(tmp_path / "Mueller_Hans.ome.zarr", axes=YX, array=np.ones((4, 5), np.uint8), scale=[1, 1])
    for keep in (False, True):
        report = convert([file, zipped], tmp_path / str(keep), options=ConvertOptions(ngff=version, keep_names=keep))
        assert len(report.stores) == 2
        assert any("Mueller" in store.path for store in report.stores) is keep
        assert not [found for found in (tmp_path / str(keep)).rglob("*") if found.is_file() and b"Mueller" in found.read_bytes()]


def test_notes_of_finished_work_do_not_name_files(tmp_path):
    file = a_tiff(tmp_path / "Mueller_Hans.ome.tif")
    first, second = (convert(file, tmp_path / "out", options=ConvertOptions(resume=True)) for _ in range(2))
    assert not [found for found in (tmp_path / "out").rglob("*") if found.is_file() and b"Mueller" in found.read_bytes()]
    assert [store.source for store in second.stores] == [file.name]
    assert second.stores == first.stores


def test_a_stores_name_depends_on_what_the_file_holds_and_nothing_else(tmp_path):
    one, two = (a_tiff(tmp_path / f"{name}.ome.tif") for name in ("a", "b"))
    names = [convert(file, tmp_path / file.stem).stores[0].path for file in (one, two)]
    assert names[0] == names[1]
    assert re.fullmatch(r"ome-[0-9a-f]{16}\.ome\.zarr", names[0])


@pytest.mark.parametrize("place", ["pipe.ome.tif", "set.companion.ome", "a.zarr/.zattrs", "b.zarr/0/c/0/0"])
def test_pipes_are_refused_by_name_and_never_opened(tmp_path, place):
    source = tmp_path / "in"
    source.mkdir()
    a_tiff(source / "good.ome.tif")
    for name in ("a.zarr", "b.zarr"):
        a_zarr(source / name, axes=YX, array=np.ones((4, 5), np.uint8), scale=[1, 1])
    (source / place).unlink(missing_ok=True)
    os.mkfifo(source / place)
    report = convert(source, tmp_path / "out")
    assert [refusal.source for refusal in report.refused] == [place.split("/")[0]]
    assert "regular file" in report.refused[0].reason
    assert len(report.stores) == 3 - ("zarr" in place)
    (alone,) = convert(source / place.split("/")[0], tmp_path / "alone").refused
    assert "regular file" in alone.reason


def test_a_set_that_names_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "other.tif")
    named = XML.replace('<TiffData IFD="0"', '<TiffData IFD="0"><UUID FileName="other.tif">urn:uuid:1</UUID></TiffData><TiffData IFD="0"')
    a_tiff(tmp_path / "a.ome.tif", xml=named)
    (refusal,) = convert(tmp_path / "a.ome.tif", tmp_path / "out").refused
    assert "regular file" in refusal.reason


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/fairlead"])
def test_an_output_folder_that_cannot_be_is_refused_with_a_remedy(tmp_path, place):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidInput, match="output folder") as caught:
        convert(a_tiff(tmp_path / "a.ome.tif"), tmp_path / place)
    assert "permissions" in caught.value.remedy


def test_reasons_do_not_repeat_names_of_files(data, tmp_path):
    shutil.copytree(data / "ome/tiff/companion_z5", tmp_path / "in")
    damaged = tmp_path / "in/multifile-Z3.ome.tiff"
    damaged.write_bytes(damaged.read_bytes()[:300])
    (refusal,) = convert(tmp_path / "in", tmp_path / "out").refused
    assert "multifile" not in refusal.reason
