"""Documents are held against the XSD of their own schema version, and never against the network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from extract.builders import an_ome_xml
from fairlead.extract import ome_schema
from fairlead.extract.ome_schema import schema_finding
from fairlead.extract.ome_xml import parse_ome

OME = "http://www.openmicroscopy.org/Schemas/OME/2012-06"
MAIN = f"""<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:o="{OME}" xmlns:s="urn:sizes" targetNamespace="{OME}"
 elementFormDefault="qualified">
<xs:import namespace="urn:sizes" schemaLocation="http://www.openmicroscopy.org/Schemas/Sizes/2012-06/sizes.xsd"/>
<xs:import namespace="http://www.w3.org/XML/1998/namespace" schemaLocation="http://www.w3.org/2001/xml.xsd"/>
<xs:element name="OME"><xs:complexType><xs:sequence><xs:element name="Image" minOccurs="0"><xs:complexType>
<xs:attribute name="Size" type="s:size"/><xs:attribute ref="xml:lang"/></xs:complexType></xs:element></xs:sequence>
</xs:complexType></xs:element></xs:schema>"""
SIZES = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:sizes">
<xs:simpleType name="size"><xs:restriction base="xs:integer"><xs:minInclusive value="1"/></xs:restriction></xs:simpleType></xs:schema>"""


@pytest.fixture
def schemas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the folder where a centre puts the published schema of 2012-06."""
    folder = tmp_path / "schemas" / "ome" / "2012-06"
    folder.mkdir(parents=True)
    monkeypatch.setattr(ome_schema, "configs_folder", lambda: tmp_path)
    ome_schema._validator.cache_clear()
    yield folder
    ome_schema._validator.cache_clear()


def verdict(text: str) -> str | None:
    document = parse_ome(text.encode())
    return schema_finding(document.root, document.schema)


@pytest.mark.parametrize(
    ("inside", "expected"), [('<Image Size="1"/>', None), ('<Image Size="0"/>', "schema-invalid"), ("<Plate/>", "schema-invalid")]
)
def test_a_schema_that_a_centre_adds_is_used_with_what_lies_beside_it(schemas: Path, inside: str, expected: str | None) -> None:
    (schemas / "ome.xsd").write_text(MAIN)
    (schemas / "sizes.xsd").write_text(SIZES)
    assert verdict(f'<OME xmlns="{OME}">{inside}</OME>') == expected


@pytest.mark.parametrize("text", [MAIN, "<broken", "<no-schema/>"])
def test_a_schema_that_cannot_be_used_checks_nothing(schemas: Path, text: str) -> None:
    (schemas / "ome.xsd").write_text(text)  # MAIN without what it imports
    assert verdict(f'<OME xmlns="{OME}"/>') == "schema-unchecked"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (an_ome_xml(), None),
        (an_ome_xml(inside="<Chanel/>"), "schema-invalid"),
        (an_ome_xml(schema="2013-06"), "schema-unchecked"),
        *((an_ome_xml(schema=version), None) for version in ("2010-06", "2012-06", "2015-01")),
        *((an_ome_xml(schema=version, inside="<Chanel/>"), "schema-invalid") for version in ("2008-09", "2010-06", "2012-06", "2015-01")),
    ],
)
def test_the_versions_of_the_field_are_validated_out_of_the_box(text: str, expected: str | None) -> None:
    assert verdict(text) == expected


def test_a_document_too_large_for_its_constraints_is_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ome_schema, "LARGEST_ELEMENTS", 2)
    assert verdict(an_ome_xml()) == "schema-unchecked"


def test_every_published_sample_holds_against_its_own_schema(data: Path) -> None:
    samples = {
        version: sorted((data / "ome" / "xml" / version).glob("*.ome.xml")) for version in ("2008-09", "2010-06", "2012-06", "2015-01")
    }
    assert all(samples.values())
    for files in samples.values():
        assert {file.name: verdict(file.read_text("utf-8")) for file in files} == {file.name: None for file in files}
