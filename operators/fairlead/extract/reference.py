"""docs/fields.md, written from the catalogue so that it can never say anything else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from fairlead.extract.catalogue import FieldCatalogue
from fairlead.extract.declarations import FieldDeclaration
from fairlead.extract.findings import MESSAGES, kind_of_finding

INTRODUCTION: Final = """# Fields

This page is generated from `configs/fields.yaml` (`python -m fairlead.extract.reference > docs/fields.md`); a test keeps it current.

Every field of a record is declared once in the catalogue. Extraction reads what is declared there, the index stores it, facets and
filter terms show it. Definitions use the id or an alias. A value that the source does not state is absent, and the column *Missing*
says what that means. Identity is never a field: records carry a keyed patient key, and a text that repeats an identity of its
source is dropped.

Body regions and imaging methods have a hierarchy (`parents` in `configs/vocabularies/*.yaml`): a region covers its parts, a method its
kinds. The JSON Schema of a record, `configs/schemas/imaging-record-v1.schema.json`, is generated from the same catalogue.

OME-XML is validated by the XSD of its own schema version: 2008-09, 2010-06, 2012-06, 2015-01 and 2016-06, and each other whose
published files you put into `configs/schemas/ome/<version>/` (`ome.xsd` and what it imports). A document that its XSD
rejects, but that says all a record needs, is read and flagged `schema-invalid`; other versions are read and flagged
`schema-unchecked`. A document without sizes, dimension order or pixel type is refused.

A centre or project adds fields in a file of its own, without code, and points `index.fields` (`FAIRLEAD_INDEX__FIELDS`) at it:

```yaml
include: [default]
fields:
  - id: lung.kernel_group
    title: Kernel group
    help: The reconstruction group of our protocol.
    type: keyword
    grain: series
    missing: Another scanner.
    module: "custom:lung"
    source: {dicom: ["(0019,xx10)@MY CREATOR"]}
```
"""


def render_fields(catalogue: FieldCatalogue) -> str:
    """Return the page as Markdown, fields in the order of the catalogue, grouped by module."""
    modules = list(dict.fromkeys(declared.module for declared in catalogue.fields.values()))
    tables = (_table(module, catalogue) for module in modules)
    parts = [INTRODUCTION.rstrip(), *("\n".join(lines) for lines in (*tables, _findings()))]
    return "\n\n".join(parts) + "\n"


def _table(module: str, catalogue: FieldCatalogue) -> Iterator[str]:
    yield f"## {module}\n"
    yield "| Field | Title | Type | Grain | Facet | Source | Meaning | Missing |"
    yield "|---|---|---|---|---|---|---|---|"
    yield from (_row(one) for one in catalogue.fields.values() if one.module == module)


def _row(field: FieldDeclaration) -> str:
    names = f"`{field.id}`" + "".join(f" / `{alias}`" for alias in field.aliases)
    kind = f"{field.type}, {field.unit}" if field.unit and field.unit != "1" else field.type
    meaning = field.help + (" *May help to single somebody out.*" if field.sensitivity == "indirect" else "")
    cells = (names, field.title, kind, field.grain.value, "yes" if field.facetable else "", _source(field), meaning, field.missing)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _source(field: FieldDeclaration) -> str:
    stated = [f"{name}: {', '.join(f'`{path}`' for path in paths)}" for name, paths in _paths(field) if paths]
    return "; ".join([*stated, *([f"derived: {field.source.derived}"] if field.source.derived else [])])


def _paths(field: FieldDeclaration) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple((kind, getattr(field.source, kind.lower())) for kind in ("DICOM", "OME", "NGFF", "measurement"))


def _findings() -> Iterator[str]:
    yield "## Findings\n"
    yield "Values of `quality.finding`: what is missing, odd or contradictory in a source. `quality.verdict` says which kinds there are.\n"
    yield "| Code | Kind | Message |"
    yield "|---|---|---|"
    yield from (f"| `{code}` | {kind_of_finding(code)} | {MESSAGES[code].replace('{count}', '*n*')} |" for code in sorted(MESSAGES))


if __name__ == "__main__":
    import sys

    from fairlead.extract.catalogue import load_catalogue
    from fairlead.extract.schema import render_schema
    from fairlead.resources import configs_folder

    render = render_schema if sys.argv[1:] == ["schema"] else render_fields
    sys.stdout.write(render(load_catalogue(configs_folder() / "fields.yaml")))
