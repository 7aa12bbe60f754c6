from __future__ import annotations

from pathlib import Path

from fairlead.extract import FieldCatalogue
from fairlead.extract.reference import render_fields

PAGE = Path(__file__).parents[2] / "docs" / "fields.md"


def test_the_fields_page_is_current(catalogue: FieldCatalogue) -> None:
    assert PAGE.read_text(encoding="utf-8") == render_fields(catalogue), "run: python -m fairlead.extract.reference > docs/fields.md"


def test_the_page_names_every_field_and_alias(catalogue: FieldCatalogue) -> None:
    page = render_fields(catalogue)
    names = [name for one in catalogue.fields.values() for name in (one.id, *one.aliases)]
    assert [name for name in names if f"`{name}`" not in page] == []
