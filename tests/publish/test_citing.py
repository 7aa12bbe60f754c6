"""Citations that other programs read: BibTeX by its grammar, CFF by a YAML parser."""

from __future__ import annotations

import re

import pytest
import yaml

from fairlead.publish.addresses import Site
from fairlead.publish.citing import citation_bibtex, citation_cff
from fairlead.records import Agent
from fairlead.settings import CatalogSettings
from publish.samples import a_record

SITE = Site("https://fdp.example.org", "local", CatalogSettings())
ODD = [
    'Chest "CT": a\nb',
    "R&D {50 %} of C:\\x_1 #2 $3 ~ ^",
    "Lunge \U0001fac1 größer",
    "next\x85line \u2028 sep \ufeff",
    "- a: [b, {c",
    "}} @misc{x,",
]


def fields(entry: str) -> dict[str, str]:
    """Read one BibTeX entry as its grammar has it: balanced braces, fields apart by commas at depth one."""
    found = re.fullmatch(r"@misc\{([^,{}]+), (.*)\}", entry, re.DOTALL)
    assert found is not None, entry
    depth, parts, last = 0, [""], ""
    for character in found.group(2):
        depth += (character == "{") - (character == "}")
        assert depth >= 0
        if character == "," and depth == 0 and last != "\\":
            parts.append("")
        else:
            parts[-1] += character
        last = character
    assert depth == 0
    return {name.strip(): value.strip()[1:-1] for name, _, value in (part.partition("=") for part in parts)}


@pytest.mark.parametrize("text", ODD)
def test_no_title_or_name_breaks_a_citation(text: str):
    record = a_record(title=text, creators=(Agent(name=text), Agent(name="Ada")), publisher=Agent(name=text))
    entry = fields(citation_bibtex(record, SITE))
    assert list(entry) == ["title", "author", "year", "version", "publisher", "url"]
    assert not re.search(r"(?<!\\)[&%$#_]", entry["title"] + entry["publisher"])
    found = yaml.safe_load(citation_cff(record, SITE))
    assert (found["title"], [author["name"] for author in found["authors"]]) == (text, [text, "Ada"])
    assert {"cff-version", "message", "title", "authors"} <= set(found)
    assert (found["cff-version"], found["type"], str(found["date-released"])) == ("1.2.0", "dataset", f"{record.issued:%Y-%m-%d}")
