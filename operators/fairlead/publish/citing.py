"""How a dataset wants to be cited: BibTeX and CFF. Source: Citation File Format 1.2 (https://citation-file-format.github.io)."""

from __future__ import annotations

import json
from typing import Final

from fairlead.publish.addresses import Site
from fairlead.records import DatasetRecord

TEX: Final = {"\\": "\\textbackslash ", "~": "\\textasciitilde ", "^": "\\textasciicircum "} | {mark: f"\\{mark}" for mark in "&%$#_"}
HIDDEN: Final = frozenset(map(chr, (*range(0x7F, 0xA0), 0x2028, 0x2029, 0xFEFF)))


def citation_bibtex(record: DatasetRecord, site: Site) -> str:
    """Return one BibTeX entry; what TeX would take for a command is written so that it is a character."""
    who = " and ".join(f"{{{_tex(creator.name)}}}" for creator in record.creators)
    return (
        f"@misc{{{record.id}, title={{{_tex(record.title)}}}, author={{{who}}}, year={{{record.issued.year}}}, "
        f"version={{{record.version}}}, publisher={{{_tex(record.publisher.name)}}}, "
        f"url={{{site.pid(record) or site.dataset(record.id)}}}}}"
    )


def _tex(text: str) -> str:
    r"""Return text for a BibTeX field; braces are left out, they would end it.

    >>> _tex("R&D {50 %} of C:/x")
    'R\\&D 50 \\% of C:/x'
    """
    bare = " ".join(text.replace("{", "").replace("}", "").split())
    return "".join(TEX.get(character, character) for character in bare)


def _yaml(text: str) -> str:
    r"""Return text as a YAML string in double quotes, which JSON strings are but for what YAML does not print (YAML 1.2 section 5.1).

    >>> _yaml('a "b"\x85\u2028c')
    '"a \\"b\\"\\u0085\\u2028c"'
    """
    return "".join(f"\\u{ord(one):04x}" if one in HIDDEN else one for one in json.dumps(text, ensure_ascii=False))


def citation_cff(record: DatasetRecord, site: Site) -> str:
    """Return a CITATION.cff; JSON strings are YAML strings, so no title can break out of its line."""
    lines = ["cff-version: 1.2.0", "message: Please cite this dataset as below.", "type: dataset", f"title: {_yaml(record.title)}"]
    lines += [f"version: {json.dumps(str(record.version))}", f"date-released: {record.issued:%Y-%m-%d}"]
    lines += [f"url: {json.dumps(site.dataset(record.id))}", "authors:"]
    lines += [f"  - name: {_yaml(creator.name)}" for creator in record.creators]
    if (pid := site.pid(record)) is not None and site.words.pid.kind == "doi":
        lines += [f"doi: {json.dumps(pid.removeprefix('https://doi.org/'))}"]
    return "\n".join(lines) + "\n"
