"""How a dataset wants to be cited: BibTeX and CFF. Source: Citation File Format 1.2 (https://citation-file-format.github.io)."""

from __future__ import annotations

import json

from fairlead.publish.addresses import Site
from fairlead.records import DatasetRecord


def citation_bibtex(record: DatasetRecord, site: Site) -> str:
    """Return one BibTeX entry; braces of the title are left out, they would end it."""
    title = record.title.replace("{", "").replace("}", "")
    who = " and ".join(f"{{{creator.name}}}" for creator in record.creators)
    return (
        f"@misc{{{record.id}, title={{{title}}}, author={{{who}}}, year={{{record.issued.year}}}, version={{{record.version}}}, "
        f"publisher={{{record.publisher.name}}}, url={{{site.pid(record) or site.dataset(record.id)}}}}}"
    )


def citation_cff(record: DatasetRecord, site: Site) -> str:
    """Return a CITATION.cff; JSON strings are YAML strings, so no title can break out of its line."""
    lines = ["cff-version: 1.2.0", "message: Please cite this dataset as below.", "type: dataset", f"title: {json.dumps(record.title)}"]
    lines += [f"version: {json.dumps(str(record.version))}", f"date-released: {record.issued:%Y-%m-%d}"]
    lines += [f"url: {json.dumps(site.dataset(record.id))}", "authors:"]
    lines += [f"  - name: {json.dumps(creator.name)}" for creator in record.creators]
    if (pid := site.pid(record)) is not None and site.words.pid.kind == "doi":
        lines += [f"doi: {json.dumps(pid.removeprefix('https://doi.org/'))}"]
    return "\n".join(lines) + "\n"
