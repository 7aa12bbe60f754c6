"""Whether an OME-XML document holds against the XSD of the schema version it states.

The ome-types package brings the XSD of 2016-06. Older versions have none in an installed package: their documents are read by local
names and checked for what a record needs, and the record says that nobody validated them. A document that the XSD rejects but that
says all a record needs is read, and flagged: real files of the field break the schema in places that mislead nobody.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from lxml import etree

PACKAGED: Final = {"2016-06": ("ome_types", "ome-2016-06.xsd")}
"""Schema version -> package and file of its XSD."""

UNCHECKED: Final = "schema-unchecked"
INVALID: Final = "schema-invalid"
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
    if schema not in PACKAGED:
        return None
    package, name = PACKAGED[schema]
    found = find_spec(package)  # the folder is enough: importing the package would build all of its models
    folders = found.submodule_search_locations if found is not None else None
    file = Path(folders[0], name) if folders else None
    if file is None or not file.is_file():
        return None
    return etree.XMLSchema(etree.fromstring(file.read_bytes(), etree.XMLParser(no_network=True, resolve_entities=False)))
