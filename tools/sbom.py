"""Write what an environment is made of: a CycloneDX 1.6 bill of materials, or with ``--licences`` a list for people.

Run it with the Python of the environment. The same environment gives the same bytes: there is no time and no random serial in it.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from importlib.metadata import Distribution, distributions
from typing import Any, Final
from uuid import UUID

MAIN: Final = "fairlead"
LONGEST: Final = 100
"""Some packages put the whole text of their licence where its name belongs."""


def normal(name: str) -> str:
    """Return the name as package indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def licence_of(found: Distribution) -> str:
    """Return the licence: the SPDX expression (PEP 639), else the short licence field, else the classifiers."""
    expression = found.metadata.get("License-Expression")
    if expression:
        return expression
    classifiers = [row.rpartition(" :: ")[2] for row in found.metadata.get_all("Classifier") or () if row.startswith("License ::")]
    stated = (found.metadata.get("License") or "").strip()
    if stated and len(stated) <= LONGEST and "\n" not in stated:
        return stated
    return " AND ".join(sorted(set(classifiers))) or "not stated"


def packages() -> list[tuple[str, str, str]]:
    """Return (name, version, licence) of everything installed, by name."""
    return sorted({(normal(found.metadata["Name"]), found.version, licence_of(found)) for found in distributions()})


def component(name: str, version: str, licence: str) -> dict[str, Any]:
    """Return one component; its licence is given as a name, which is always valid, because few packages state SPDX."""
    purl = f"pkg:pypi/{name}@{version}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "purl": purl,
        "licenses": [{"license": {"name": licence}}],
    }


def bill(rows: list[tuple[str, str, str]]) -> dict[str, Any]:
    """Return the CycloneDX document; its serial number is made from its content."""
    main = [component(*row) | {"type": "application"} for row in rows if row[0] == MAIN]
    digest = hashlib.sha256(json.dumps(rows).encode()).digest()
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{UUID(bytes=digest[:16], version=4)}",
        "version": 1,
        "metadata": {"component": main[0]} if main else {},
        "components": [component(*row) for row in rows if row[0] != MAIN],
    }


def main(arguments: list[str]) -> int:
    """Print one of the two."""
    rows = packages()
    if "--licences" in arguments:
        sys.stdout.write("".join(f"{name} {version}: {licence}\n" for name, version, licence in rows))
    else:
        sys.stdout.write(json.dumps(bill(rows), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
