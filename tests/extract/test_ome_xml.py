from __future__ import annotations

import pytest

from extract.builders import an_ome_xml
from fairlead.errors import UnreadableImage, UnsupportedInput
from fairlead.extract.ome_image import OmeImage
from fairlead.extract.ome_xml import check_pixels, parse_ome, stated

BOMB = (
    '<?xml version="1.0"?><!DOCTYPE OME [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0" Name="&b;"/></OME>'
)


def the_image(text: str) -> OmeImage:
    document = parse_ome(text.encode())
    return OmeImage(document, document.images[0], check_pixels(document.images[0], 0))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_document_type_is_refused_before_anything_is_expanded(encoding: str) -> None:
    with pytest.raises(UnreadableImage, match="declares a document type"):
        parse_ome(BOMB.replace("1.0", f'1.0" encoding="{encoding}').encode(encoding))


def test_an_external_entity_is_refused() -> None:
    text = '<!DOCTYPE OME SYSTEM "http://127.0.0.1:9/x.dtd"><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"/>'
    with pytest.raises(UnreadableImage, match="document type"):
        parse_ome(text.encode())


@pytest.mark.parametrize("content", [b"<OME", b"", b"<a></b>", b"\xff\xff\xff", b"<OME>&undefined;</OME>"])
def test_what_is_not_well_formed_is_refused(content: bytes) -> None:
    with pytest.raises(UnreadableImage, match="not well formed"):
        parse_ome(content)


def test_too_much_xml_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairlead.extract.ome_xml.XML_LIMIT_BYTES", 100)
    with pytest.raises(UnreadableImage, match="larger than"):
        parse_ome(an_ome_xml().encode())


@pytest.mark.parametrize("namespace", ["http://example.org/not-ome", "http://www.openmicroscopy.org/Schemas/ROI/2016-06", ""])
def test_another_namespace_is_refused_by_name(namespace: str) -> None:
    with pytest.raises(UnsupportedInput, match="not OME-XML of a known namespace"):
        parse_ome(f'<OME xmlns="{namespace}"/>'.encode())


@pytest.mark.parametrize("schema", ["2008-09", "2010-06", "2012-06", "2015-01", "2016-06", "2003-FC"])
def test_every_schema_version_is_read_by_its_local_names(schema: str) -> None:
    document = parse_ome(an_ome_xml(schema=schema).encode())
    assert (document.schema, len(document.images)) == (schema, 1)


GOOD = 'SizeX="8" SizeY="6" SizeZ="1" SizeC="1" SizeT="1" DimensionOrder="XYZCT" Type="uint8"'


@pytest.mark.parametrize(
    ("pixels", "missing"),
    [
        (GOOD.replace('SizeZ="1"', ""), "Pixels SizeZ"),
        (GOOD.replace('SizeX="8"', 'SizeX="0"'), "Pixels SizeX"),
        (GOOD.replace('SizeX="8"', 'SizeX="-8"'), "Pixels SizeX"),
        (GOOD.replace('SizeT="1"', 'SizeT="99999999999999999999"'), "Pixels SizeT"),
        (GOOD.replace("XYZCT", "XYQZT"), "Pixels DimensionOrder"),
        (GOOD.replace("uint8", "uint12"), "Pixels Type"),
    ],
)
def test_pixels_without_a_needed_fact_are_refused_by_name(pixels: str, missing: str) -> None:
    with pytest.raises(UnreadableImage, match=f"Image 0 of the OME-XML has no valid {missing}"):
        the_image(an_ome_xml(pixels=pixels))


def test_an_image_without_pixels_is_refused() -> None:
    document = parse_ome(an_ome_xml().replace("Pixels", "Dots").encode())
    with pytest.raises(UnreadableImage, match="has no Pixels"):
        check_pixels(document.images[0], 3)


@pytest.mark.parametrize(
    ("stated_as", "expected_mm"),
    [
        ('PhysicalSizeX="0.65"', [0.00065]),
        ('PhysicalSizeX="650" PhysicalSizeXUnit="nm"', [0.00065]),
        ('PhysicalSizeX="650" PhysicalSizeXUnit="µm"', [0.65]),
        ('PhysicalSizeX="0.5" PhysicalSizeXUnit="mm"', [0.5]),
        ('PhysicalSizeX="2" PhysicalSizeXUnit="pixel"', []),
        ('PhysicalSizeX="0"', []),
        ('PhysicalSizeX="-1"', []),
        ('PhysicalSizeX="wide"', []),
    ],
)
def test_physical_sizes_are_millimetres_whatever_their_unit(stated_as: str, expected_mm: list[float]) -> None:
    assert the_image(an_ome_xml(pixels=f"{GOOD} {stated_as}")).values("Pixels@PhysicalSizeX", "mm") == expected_mm


def test_an_attribute_of_today_and_a_child_of_yesterday_say_the_same() -> None:
    (old,) = parse_ome(an_ome_xml(image="<CreationDate>2010-02-23T12:51:30</CreationDate>").encode()).images
    assert stated(old, "CreationDate") == "2010-02-23T12:51:30"
    assert stated(old, "Name") == "sample"
    assert stated(old, "Nothing") is None


def test_the_objective_is_the_one_the_image_refers_to() -> None:
    instrument = (
        '<Instrument ID="Instrument:0"><Objective ID="Objective:0" NominalMagnification="10"/>'
        '<Objective ID="Objective:1" NominalMagnification="63" LensNA="1.4"/></Instrument>'
    )
    linked = an_ome_xml(image='<InstrumentRef ID="Instrument:0"/><ObjectiveSettings ID="Objective:1"/>', after=instrument)
    assert the_image(linked).values("Objective@NominalMagnification") == ["63"]
    unlinked = an_ome_xml(image='<InstrumentRef ID="Instrument:0"/>', after=instrument)
    assert the_image(unlinked).values("Objective@NominalMagnification") == []
    assert the_image(an_ome_xml(image='<InstrumentRef ID="Instrument:9"/>', after=instrument)).values("Objective@LensNA") == []


def test_the_well_of_an_image_has_a_name() -> None:
    plate = (
        '<Plate ID="Plate:0" Name="Screen one"><Well ID="Well:0" Row="{row}" Column="{column}">'
        '<WellSample ID="WellSample:0" Index="0"><ImageRef ID="Image:0"/></WellSample></Well></Plate>'
    )
    for row, column, name in ((0, 0, ["A1"]), (1, 11, ["B12"]), (26, 0, ["AA1"]), (-1, 0, []), (9999, 0, [])):
        found = the_image(an_ome_xml(after=plate.format(row=row, column=column)))
        assert (found.values("Well"), found.values("Plate@Name")) == (name, ["Screen one"])
