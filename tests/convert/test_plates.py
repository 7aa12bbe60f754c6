"""Plates of OME-XML: the images of an OME-TIFF go to their wells."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from ome_zarr_models import open_ome_zarr

from fairlead.convert import ConvertOptions, convert, render_preview, validate_store

whole = partial(convert, options=ConvertOptions(whole_plates=True))

IMAGE = """<Image ID="Image:{n}" Name="Doe"><Pixels ID="Pixels:{n}" DimensionOrder="XYCZT" Type="uint8" SizeX="8" SizeY="6"
SizeC="1" SizeZ="1" SizeT="1" PhysicalSizeX="0.5" PhysicalSizeY="0.5"><Channel ID="Channel:{n}:0"/>
<TiffData IFD="{n}" PlaneCount="1"/></Pixels></Image>"""


def ome(group: Path) -> dict[str, Any]:
    return json.loads((group / "zarr.json").read_text())["attributes"]["ome"]


def plane(number: int) -> np.ndarray:
    return np.full((6, 8), number + 1, np.uint8)


def a_plate(path: Path, wells: list[tuple[int, int, list[str]]], *, images: int, naming: str = "") -> Path:
    """Write an OME-TIFF with a plate; each well is (row, column, image ids)."""
    drawn = "".join(
        f'<Well ID="Well:{row}:{column}" Row="{row}" Column="{column}">'
        + "".join(
            f'<WellSample ID="WellSample:{image}" Index="{number}"><ImageRef ID="{image}"/></WellSample>'
            for number, image in enumerate(fields)
        )
        + "</Well>"
        for row, column, fields in wells
    )
    xml = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        f'<Plate ID="Plate:0" Name="of Dr Who" {naming}>{drawn}</Plate>{"".join(IMAGE.format(n=n) for n in range(images))}</OME>'
    )
    with tifffile.TiffWriter(path) as tiff:
        for number in range(images):
            tiff.write(plane(number), description=xml if number == 0 else None, contiguous=False, metadata=None)
    return path


def test_images_of_wells_become_a_plate(tmp_path):
    wells = [(0, 1, ["Image:2", "Image:0"]), (1, 0, ["Image:1"])]
    (store,) = whole(
        a_plate(tmp_path / "a.ome.tif", wells, images=3), tmp_path / "out", options=ConvertOptions(whole_plates=True, keep_names=True)
    ).stores
    path = tmp_path / "out" / store.path
    assert (store.kind, store.instances, store.path) == ("HCS", 3, "a.ome.zarr")
    plate = ome(path)["plate"]
    assert [row["name"] for row in plate["rows"]] == ["A", "B"]
    assert plate["wells"] == [{"path": "A/2", "rowIndex": 0, "columnIndex": 1}, {"path": "B/1", "rowIndex": 1, "columnIndex": 0}]
    assert plate["field_count"] == 2
    for place, number in (("A/2/0", 2), ("A/2/1", 0), ("B/1/0", 1)):
        assert np.array_equal(np.asarray(zarr.open_array(str(path / place / "0"), mode="r")[:]), plane(number))
    assert type(open_ome_zarr(zarr.open_group(str(path), mode="r"))).__name__ == "HCS"
    assert validate_store(path).findings == ()
    assert b"Who" not in (path / "zarr.json").read_bytes()


@pytest.mark.parametrize("alone", [False, True])
def test_a_field_of_more_axes_is_no_absent_one_but_an_image_of_its_own(tmp_path, alone):
    """Two lifetimes in the second well: a field cannot hold them, and the plate and the images say where they are."""
    modulo = '<Value><Modulo><ModuloAlongT Type="lifetime"><Label>1</Label><Label>2</Label></ModuloAlongT></Modulo></Value>'
    annotation = f'<XMLAnnotation ID="Annotation:0" Namespace="openmicroscopy.org/omero/dimension/modulo">{modulo}</XMLAnnotation>'
    divided = IMAGE.format(n=1).replace('SizeT="1"', 'SizeT="2"').replace('PlaneCount="1"', 'PlaneCount="2"')
    wells = "".join(
        f'<Well ID="Well:{n}" Row="0" Column="{n}"><WellSample ID="WellSample:{n}"><ImageRef ID="Image:{n}"/></WellSample></Well>'
        for n in ([1] if alone else [0, 1])
    )
    xml = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        f'<Plate ID="Plate:0">{wells}</Plate>{IMAGE.format(n=0)}{divided.replace("</Image>", "")}<AnnotationRef ID="Annotation:0"/></Image>'
        f"<StructuredAnnotations>{annotation}</StructuredAnnotations></OME>"
    )
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as tiff:
        for number in range(3):
            tiff.write(plane(number), description=xml if number == 0 else None, contiguous=False, metadata=None)
    report = whole(tmp_path / "a.ome.tif", tmp_path / "out", options=ConvertOptions(whole_plates=True, keep_names=True))
    stores = {store.path: (store.kind, store.dropped) for store in report.stores}
    off = ("its well and field of the plate: a field has at most five axes",)
    assert stores["a-1-lifetime0.ome.zarr"] == stores["a-1-lifetime1.ome.zarr"] == ("OME", off)
    first = (
        ("a-0.ome.zarr", "OME", ())
        if alone
        else ("a.ome.zarr", "HCS", ("1 fields of the plate have more than five axes and are images of their own",))
    )
    assert stores[first[0]] == first[1:]


def test_images_of_one_id_are_refused_not_lost(tmp_path):
    xml = a_plate(tmp_path / "a.ome.tif", [], images=2)
    with tifffile.TiffFile(xml) as tiff:
        text = str(tiff.ome_metadata)
    tifffile.tiffcomment(xml, text.replace('ID="Image:1"', 'ID="Image:0"').encode())
    report = convert(xml, tmp_path / "out")
    assert (report.stores, "one ID" in report.refused[0].reason) == ((), True)


def test_a_plate_is_drawn_by_its_first_field(tmp_path):
    (store,) = whole(a_plate(tmp_path / "a.ome.tif", [(0, 0, ["Image:0"])], images=1), tmp_path / "out").stores
    render_preview(tmp_path / "out" / store.path, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_fields_can_be_stores_of_their_own_numbered_as_the_index_does(tmp_path):
    wells = [(0, 1, ["Image:2", "Image:0"]), (1, 0, ["Image:1"])]
    report = convert(a_plate(tmp_path / "a.ome.tif", wells, images=3), tmp_path / "out", options=ConvertOptions(keep_names=True))
    assert {store.image_index: store.path for store in report.stores} == {number: f"a-{number}.ome.zarr" for number in range(3)}
    for number in range(3):
        assert np.array_equal(np.asarray(zarr.open_array(str(tmp_path / f"out/a-{number}.ome.zarr/0"), mode="r")[:]), plane(number))


def test_images_outside_the_plate_are_stores_of_their_own(tmp_path):
    report = whole(
        a_plate(tmp_path / "a.ome.tif", [(0, 0, ["Image:1"])], images=2),
        tmp_path / "out",
        options=ConvertOptions(whole_plates=True, keep_names=True),
    )
    assert [(store.path, store.kind, store.image_index) for store in report.stores] == [
        ("a.ome.zarr", "HCS", None),
        ("a-0.ome.zarr", "OME", 0),
    ]


def test_fields_that_are_not_there_are_counted(tmp_path):
    (store,) = whole(a_plate(tmp_path / "a.ome.tif", [(0, 0, ["Image:0", "Image:7"])], images=1), tmp_path / "out").stores
    assert store.dropped == ("1 fields of the plate are not among the sources",)


def test_naming_conventions_are_kept(tmp_path):
    naming = 'RowNamingConvention="number" ColumnNamingConvention="letter"'
    (store,) = whole(a_plate(tmp_path / "a.ome.tif", [(1, 2, ["Image:0"])], images=1, naming=naming), tmp_path / "out").stores
    assert ome(tmp_path / "out" / store.path)["plate"]["wells"][0]["path"] == "2/C"


@pytest.mark.parametrize(
    ("wells", "reason"),
    [([(0, 0, ["Image:0"]), (1, 1, ["Image:0"])], "in two wells"), ([(99999, 0, ["Image:0"])], "does not say its row")],
)
def test_a_plate_that_contradicts_itself_is_refused(tmp_path, wells, reason):
    assert reason in whole(a_plate(tmp_path / "a.ome.tif", wells, images=1), tmp_path / "out").refused[0].reason
