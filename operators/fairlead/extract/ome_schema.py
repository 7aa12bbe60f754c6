"""Whether an OME-XML document holds against the XSD of the schema version it states.

The ome-types package brings the XSD of 2016-06; those of 2008-09, 2010-06, 2012-06 and 2015-01 lie in ``configs/schemas/ome/<version>/``
(``ome.xsd`` and what it imports, as the Open Microscopy Environment published them, CC BY 3.0). Whoever puts another version there has
it validated too. Other documents are read by local names
and checked for what a record needs, and the record says that nobody validated them. A document that the XSD rejects but that
says all a record needs is read, and flagged: real files of the field break the schema in places that mislead nobody.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from lxml import etree

from fairlead.resources import configs_folder

PACKAGED: Final = {"2016-06": ("ome_types", "ome-2016-06.xsd")}
"""Schema version -> package and file of its XSD."""

UNCHECKED: Final = "schema-unchecked"
INVALID: Final = "schema-invalid"
XML_XSD: Final = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="http://www.w3.org/XML/1998/namespace">
<xs:attribute name="lang" type="xs:string"/><xs:attribute name="space" type="xs:NCName"/><xs:attribute name="base" type="xs:anyURI"/>
</xs:schema>"""
"""The attributes of the XML namespace (XML 1.0), which every published OME schema imports from the web."""

LARGEST_ELEMENTS: Final = 500_000
"""Identity constraints are checked over the whole document; beyond this it would take longer than reading the images."""


def schema_finding(root: Any, schema: str) -> str | None:
    """Return the code of the finding about a document's schema, None when its own XSD accepts it."""
    validator = _validator(schema)
    if validator is None or sum(1 for _, _ in zip(range(LARGEST_ELEMENTS + 1), root.iter(), strict=False)) > LARGEST_ELEMENTS:
        return UNCHECKED
    try:
        return None if validator.validate(root) else INVALID
    except etree.LxmlError:  # the validator itself gave up: nobody knows
        return UNCHECKED


@cache
def _validator(schema: str) -> Any | None:
    file = _xsd_of(schema)
    if file is None:
        return None
    parser = etree.XMLParser(no_network=True, resolve_entities=False)
    parser.resolvers.add(_Beside(file.parent))
    try:
        return etree.XMLSchema(etree.parse(file, parser))
    except etree.LxmlError:  # no schema, or one that imports what is not there
        return None


def _xsd_of(schema: str) -> Path | None:
    local = configs_folder() / "schemas" / "ome" / schema / "ome.xsd"
    if local.is_file():
        return local
    package, name = PACKAGED.get(schema, ("", ""))
    found = find_spec(package) if package else None  # the folder is enough: importing the package would build all of its models
    folders = found.submodule_search_locations if found is not None else None
    file = Path(folders[0], name) if folders else None
    return file if file is not None and file.is_file() else None


class _Beside(etree.Resolver):  # type: ignore[misc]  # lxml has no types
    """Finds what a schema imports beside it, by its last name: the published ones import each other by their web addresses."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def resolve(self, system_url: str, public_id: str | None, context: Any) -> Any:
        """Return the file of that name, or nothing at all: the network is never asked."""
        file = self._folder / system_url.rpartition("/")[2]
        if file.is_file():
            return self.resolve_filename(str(file), context)
        return self.resolve_string(XML_XSD, context) if file.name == "xml.xsd" else self.resolve_empty(context)
