"""Axes that OME's Modulo divides become images of their own, in every kind of OME file; or the file is refused with the reason."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr

from fairlead.convert import ConvertOptions, convert
from fairlead.deidentify import Deidentifier, load_profile
from fairlead.deidentify.ome import deidentify_ome

SPACE = "openmicroscopy.org/omero/dimension/modulo"
HEAD = '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
LIFETIMES = '<ModuloAlongT Type="lifetime" TypeDescription="by Zqmiller" Start="0" Step="2" End="4" Unit="ps"/>'


def annotation(name: str, along: str, space: str = SPACE) -> str:
    return f'<XMLAnnotation ID="{name}" Namespace="{space}"><Value><Modulo>{along}</Modulo></Value></XMLAnnotation>'


def a_document(shape: dict[str, int], blocks: str, annotations: str, refs: tuple[str, ...] = ("Annotation:0",)) -> str:
    sizes = " ".join(f'Size{name}="{shape.get(name, 1)}"' for name in "XYCZT")
    channels = "".join(f'<Channel ID="Channel:0:{number}" Name="c{number}" SamplesPerPixel="1"/>' for number in range(shape.get("C", 1)))
    referred = "".join(f'<AnnotationRef ID="{name}"/>' for name in refs)
    pixels = f'<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" {sizes}>{channels}{blocks}</Pixels>'
    return f'{HEAD}<Image ID="Image:0">{pixels}{referred}</Image><StructuredAnnotations>{annotations}</StructuredAnnotations></OME>'


def a_tiff(file: Path, values: np.ndarray[Any, Any], annotations: str, **stated: Any) -> Path:
    """Write planes in the order t, z, c, and say of them what is given."""
    shape = dict(zip("TZCYX", values.shape, strict=True))
    blocks = f'<TiffData IFD="0" PlaneCount="{values.shape[0] * values.shape[1] * values.shape[2]}"/>'
    file.parent.mkdir(parents=True, exist_ok=True)
    xml = a_document(shape, blocks, annotations, **stated)
    tifffile.imwrite(file, values.reshape(-1, *values.shape[3:]), photometric="minisblack", description=xml, metadata=None)
    return file


def a_set(folder: Path, values: np.ndarray[Any, Any], annotations: str) -> Path:
    """Write one file per time point, and a companion."""
    shape = dict(zip("TZCYX", values.shape, strict=True))
    folder.mkdir(parents=True)
    blocks = "".join(
        f'<TiffData FirstT="{time}" IFD="0" PlaneCount="{values.shape[1] * values.shape[2]}"><UUID FileName="t{time}.tif">'
        f"urn:uuid:00000000-0000-4000-8000-{time:012}</UUID></TiffData>"
        for time in range(len(values))
    )
    for time, volume in enumerate(values):
        tifffile.imwrite(folder / f"t{time}.tif", volume.reshape(-1, *values.shape[3:]), photometric="minisblack", metadata=None)
    (folder / "a.companion.ome").write_text(a_document(shape, blocks, annotations))
    return folder


@pytest.fixture(scope="module")
def values() -> np.ndarray[Any, Any]:
    """Six times (two, each of three lifetimes), four depths, two channels."""
    return np.random.default_rng(6).integers(0, 60000, (6, 4, 2, 5, 7), dtype=np.uint16)


def images(out: Path, report: Any) -> dict[str, np.ndarray[Any, Any]]:
    """Return the voxels of every store by what divides it, axes t, c, z, y, x."""
    found = {}
    for store in report.stores:
        suffix = re.fullmatch(r"ome-[0-9a-f]{16}(?:-(.+))?\.ome\.zarr", store.path)
        assert suffix, store.path
        array = np.asarray(zarr.open_array(str(out / store.path / "0"), mode="r")[:])
        missing = tuple(number for number, name in enumerate("tczyx") if name not in store.axes)
        found[suffix[1] or ""] = np.expand_dims(array, missing)
    return found


def test_more_than_five_axes_become_one_image_per_index(tmp_path: Path) -> None:
    values = np.random.default_rng(6).integers(0, 60000, (2, 3, 4, 2, 5, 8, 9), dtype=np.uint16)
    names = [f"DAPI {number}" for number in range(4)]  # tifffile names the undivided channels
    metadata = {"axes": "THCEZYX", "Channel": {"Name": names}, "PhysicalSizeX": 0.25}
    tifffile.imwrite(tmp_path / "a.ome.tif", values, photometric="minisblack", metadata=metadata)
    report = convert(tmp_path / "a.ome.tif", tmp_path / "out")
    assert not report.refused
    assert len(report.stores) == 6
    for store in report.stores:
        found = re.fullmatch(r"ome-[0-9a-f]{16}-lifetime([012])-lambda([01])\.ome\.zarr", store.path)
        assert found, store.path
        lifetime, colour = int(found[1]), int(found[2])
        array = zarr.open_array(str(tmp_path / "out" / store.path / "0"), mode="r")
        assert store.axes == ("t", "c", "z", "y", "x")
        assert np.array_equal(array[:], values[:, lifetime, :, colour])
        attributes = json.loads((tmp_path / "out" / store.path / "zarr.json").read_text())["attributes"]
        assert attributes["microscopy"]["part"] == {"lifetime": lifetime, "lambda": colour}
        assert [channel["label"] for channel in attributes["ome"]["omero"]["channels"]] == names
        assert store.image_index == 0


@pytest.mark.parametrize("kind", ["tiff", "companion"])
def test_a_file_and_a_set_divide_alike_and_say_what_each_part_is(tmp_path: Path, values: np.ndarray[Any, Any], kind: str) -> None:
    along = LIFETIMES + '<ModuloAlongZ Type="angle" Unit="degree"><Label>45</Label><Label>Zqmiller</Label></ModuloAlongZ>'
    annotations = annotation("Annotation:0", along)
    source = a_tiff(tmp_path / "a.ome.tif", values, annotations) if kind == "tiff" else a_set(tmp_path / "in", values, annotations)
    report = convert(source, tmp_path / "out", options=ConvertOptions(described=True))
    assert report.refused == ()
    found = images(tmp_path / "out", report)
    assert found.keys() == {f"lifetime{time}-angle{depth}" for time in range(3) for depth in range(2)}
    for time in range(3):
        for depth in range(2):
            expected = values[time::3, depth::2].transpose(0, 2, 1, 3, 4)
            assert np.array_equal(found[f"lifetime{time}-angle{depth}"], expected)
    store = next(store for store in report.stores if "lifetime1-angle0" in store.path)
    attributes = json.loads((tmp_path / "out" / store.path / "zarr.json").read_text())["attributes"]
    assert attributes["microscopy"] == {
        "part": {"lifetime": 1, "angle": 0},
        "values": {"lifetime": {"value": 2.0, "unit": "ps"}, "angle": {"value": 45.0, "unit": "degree"}},
    }
    assert not [file for file in (tmp_path / "out").rglob("*") if file.is_file() and b"Zqmiller" in file.read_bytes()]


@pytest.mark.parametrize("stated", ["second annotation", "all of an axis", "on the pixels"])
def test_divisions_are_found_wherever_ome_lets_them_stand(tmp_path: Path, values: np.ndarray[Any, Any], stated: str) -> None:
    """The reader of TIFF looks at the first annotation of an image, and takes a wholly divided axis for another one."""
    first = '<CommentAnnotation ID="Annotation:1"><Value>none</Value></CommentAnnotation>'
    along = LIFETIMES.replace('End="4"', 'End="10"') if stated == "all of an axis" else LIFETIMES
    file = a_tiff(tmp_path / "a.ome.tif", values, first + annotation("Annotation:0", along), refs=("Annotation:1", "Annotation:0"))
    if stated == "on the pixels":
        with tifffile.TiffFile(file) as tiff:
            xml = str(tiff.ome_metadata).replace('<AnnotationRef ID="Annotation:0"/>', "")
        tifffile.tiffcomment(file, xml.replace("</Pixels>", '<AnnotationRef ID="Annotation:0"/></Pixels>').encode())
    found = images(tmp_path / "out", convert(file, tmp_path / "out"))
    count = 6 if stated == "all of an axis" else 3
    assert found.keys() == {f"lifetime{number}" for number in range(count)}
    for number in range(count):
        assert np.array_equal(found[f"lifetime{number}"], values[number::count].transpose(0, 2, 1, 3, 4))


def test_divided_channels_keep_their_own_names(tmp_path: Path) -> None:
    values = np.arange(6 * 4 * 4, dtype=np.uint16).reshape(1, 1, 6, 4, 4)
    along = '<ModuloAlongC Type="lambda"><Label>488</Label><Label>561</Label><Label>640</Label></ModuloAlongC>'
    report = convert(a_tiff(tmp_path / "a.ome.tif", values, annotation("Annotation:0", along)), tmp_path / "out")
    store = next(store for store in report.stores if "lambda1" in store.path)
    ome = json.loads((tmp_path / "out" / store.path / "zarr.json").read_text())["attributes"]["ome"]
    assert [channel["label"] for channel in ome["omero"]["channels"]] == ["c1", "c4"]
    assert np.array_equal(images(tmp_path / "out", report)["lambda1"][0, :, 0], values[0, 0, [1, 4]])


@pytest.mark.parametrize("kind", ["tiff", "companion"])
def test_a_deidentified_file_divides_as_before(tmp_path: Path, values: np.ndarray[Any, Any], kind: str) -> None:
    words = '<ModuloAlongZ Type="angle"><Label>45</Label><Label>4711000815</Label></ModuloAlongZ>'
    annotations = annotation("Annotation:0", LIFETIMES + words) + annotation("Annotation:7", "<Zqmiller/>", "of/our/own")
    source = a_tiff(tmp_path / "in/a.ome.tif", values, annotations) if kind == "tiff" else a_set(tmp_path / "in", values, annotations)
    before = images(tmp_path / "before", convert(source, tmp_path / "before"))
    if kind == "companion":
        source = source / "a.companion.ome"
    outcome = deidentify_ome(source, Deidentifier(load_profile("basic"), b"k" * 32))
    if kind == "tiff":
        (tmp_path / "safe.ome.tif").write_bytes(b"".join(part if isinstance(part, bytes) else part.head(1 << 30) for part in outcome.parts))
        after = images(tmp_path / "after", convert(tmp_path / "safe.ome.tif", tmp_path / "after"))
        assert after.keys() == before.keys()
        assert all(np.array_equal(after[name], before[name]) for name in before)
    xml = b"".join(part for part in outcome.parts if isinstance(part, bytes))
    assert b"ModuloAlongT" in xml
    assert not [word for word in (b"Zqmiller", b"4711000815", b"of/our/own") if word in xml]


@pytest.mark.parametrize(
    ("along", "reason"),
    [
        (LIFETIMES.replace('End="4"', 'End="8"'), "parts that it does not have"),
        (LIFETIMES.replace("lifetime", "colour of the day"), "a type that OME does not have"),
        (LIFETIMES.replace('End="4"', 'End="1e300"'), "do not lead from its start to its end"),
        (LIFETIMES.replace('Step="2"', 'Step="0"'), "something that is no number"),
        (LIFETIMES.replace('Step="2"', 'Step="nan"'), "do not lead from its start to its end"),
        (LIFETIMES.replace('Start="0"', 'Start="inf"'), "do not lead from its start to its end"),
        (LIFETIMES.replace('End="4"', 'End="-4"'), "do not lead from its start to its end"),
        (LIFETIMES.replace('End="4"', 'End="5"'), "do not lead from its start to its end"),
        ('<ModuloAlongT Type="lifetime"/>', "into how many parts"),
        (LIFETIMES + LIFETIMES, "divides one axis twice"),
    ],
)
def test_a_division_that_makes_no_sense_is_refused(tmp_path: Path, values: np.ndarray[Any, Any], along: str, reason: str) -> None:
    report = convert(a_tiff(tmp_path / "a.ome.tif", values, annotation("Annotation:0", along)), tmp_path / "out")
    assert report.stores == ()
    assert reason in report.refused[0].reason


def test_too_many_further_axes_are_refused(tmp_path: Path) -> None:
    values = np.zeros((2, 257, 16, 16), np.uint8)
    tifffile.imwrite(tmp_path / "a.ome.tif", values, photometric="minisblack", metadata={"axes": "TPYX"})
    (refusal,) = convert(tmp_path / "a.ome.tif", tmp_path / "out").refused
    assert "at most 256 images along further axes" in refusal.reason
