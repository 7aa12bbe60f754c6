"""HTML pages: views of the same nodes that the RDF answers describe. No script, no third party, everything escaped."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from rdflib import Graph

from fairlead.catalog.corpus import Hit
from fairlead.catalog.entries import Entry
from fairlead.catalog.viewing import VIEWER_PAGE, viewer_folder
from fairlead.catalog.written_page import written_page
from fairlead.publish import (
    AccessRights,
    CatalogNode,
    DatasetNode,
    DistributionNode,
    Node,
    RootNode,
    SeriesNode,
    Site,
    Tombstone,
    datasheet,
)
from fairlead.publish.citing import citation_bibtex, citation_cff
from fairlead.publish.counting import how_many, left_behind
from fairlead.publish.graph import Child
from fairlead.publish.model import plural
from fairlead.publish.schemaorg import schema_org
from fairlead.publish.vocabulary import LICENCES, NGFF, concept_iri
from fairlead.records import Concept, DatasetRecord, Distribution, JsonObject

HERE: Final = Path(__file__).parent
POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Content security policy of every page: our own style sheet, our own pictures, and the viewer in a frame of its own."""
SHOWN: Final = 60
"""Pictures on a dataset's page; the table below them lists every distribution."""


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"size": human_size, "licence": licence_name, "known": known_concepts, "how_many": how_many}
    return environment


def human_size(size_bytes: int) -> str:
    """Return a size for people, in decimal units.

    >>> human_size(999), human_size(1_530_000)
    ('999 bytes', '1.5 MB')
    """
    if size_bytes < 1000:
        return f"{size_bytes} bytes"
    value, unit = float(size_bytes), ""
    for name in ("kB", "MB", "GB", "TB", "PB"):
        value, unit = value / 1000, name
        if value < 1000:
            break
    return f"{value:.1f} {unit}"


def licence_name(iri: str) -> str:
    """Return the short name of a licence, its IRI when it has none.

    >>> licence_name("https://creativecommons.org/licenses/by/4.0/")
    'CC-BY-4.0'
    """
    return next((name for name, known in LICENCES.items() if known == iri), iri)


def as_script(document: JsonObject) -> Markup:
    r"""Return JSON that may stand inside a script element: nothing in it can end the element or begin another.

    >>> as_script({"name": "</script><b>"})
    Markup('{"name": "\\u003c/script\\u003e\\u003cb\\u003e"}')
    """
    text = json.dumps(document, ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704  (escaped above, for the place where it stands)


def steps_of(record: DatasetRecord) -> list[tuple[str, str]]:
    """Return the boxes of the picture of a dataset's way: what happened, and the one thing to know of it."""
    version = next((item.conforms_to or "" for item in record.distributions if item.store), "").rstrip("/").rpartition("/")[2]
    deidentified = ("De-identified", f"PS3.15, {plural(len(record.deidentification), 'method')}") if record.deidentification else None
    selected = ("Selected", f"cohort, {record.counts.series} series")
    converted = ("Converted", f"OME-Zarr {version}")
    approved = ("Approved", f"{record.approval.decided_at:%Y-%m-%d}")
    published = ("Published", f"version {record.version}, {record.modified:%Y-%m-%d}")
    return [("Acquired", "in care or research"), *filter(None, (selected, approved, deidentified, converted)), published]


def known_concepts(concepts: tuple[Concept, ...]) -> list[dict[str, str]]:
    """Return label and IRI of the concepts that have a meaning; words of headers without one are not shown."""
    return [{"label": item.label or item.raw, "iri": iri} for item in concepts if (iri := concept_iri(item.curie))]


def unseen(item: Distribution) -> str:
    """Return why the viewer cannot show an image, and what can; empty when it can."""
    if item.store is None:
        return ""
    if item.conforms_to != NGFF["0.5"]:
        version = (item.conforms_to or "").rstrip("/").rpartition("/")[2]
        return f"The viewer here shows OME-Zarr 0.5, and this image is OME-Zarr {version}: open its address in a program that reads that."
    if item.store.kind == "plate":
        return "The viewer here shows single images, no plates: open the address in a program that reads OME-Zarr plates."
    return ""


@dataclass(frozen=True, slots=True)
class Search:
    """What was asked and what was found: words, chosen facets, the hits of this page, how many there are, and what to narrow by."""

    query: str
    chosen: tuple[tuple[str, str], ...]
    hits: Sequence[Hit]
    total: int
    facets: Mapping[str, list[tuple[str, int]]]

    def address(self, *, more: tuple[str, str] | None = None, less: tuple[str, str] | None = None) -> str:
        """Return the query of the same search with one facet more, or less."""
        chosen = [facet for facet in self.chosen if facet != less] + ([more] if more else [])
        return "?" + urlencode([("q", self.query), *(("facet", f"{name}:{value}") for name, value in chosen)])


@dataclass(frozen=True, slots=True)
class Pages:
    """Renders every page of one site."""

    site: Site

    def page(self, node: Node, records: tuple[DatasetRecord, ...] = (), written: Sequence[Child] = ()) -> bytes:
        """Return the page of a node; the root and the catalogue list ``records`` and the ``written`` records below them."""
        match node:
            case RootNode():
                return self._render("root.html", node.software_version, here=self.site.root, records=records, written=written)
            case CatalogNode():
                return self._render("catalog.html", here=self.site.catalog, records=node.records, series=node.series, written=written)
            case SeriesNode():
                return self._render("series.html", here=node.iri, node=node)
            case DatasetNode():
                return self.dataset(node.record)
            case DistributionNode():
                here = self.site.distribution(node.record, node.distribution)
                return self._render("distribution.html", here=here, record=node.record, item=self._item(node.record, node.distribution))

    def dataset(self, record: DatasetRecord, *, tier: str = "") -> bytes:
        """Return the page of a dataset; ``tier`` is the access-labour tier that its record allows, when it was computed."""
        return self._render("dataset.html", here=self.site.dataset(record.id), tier=tier, **self._dataset(record))

    def tombstone(self, stone: Tombstone, iri: str) -> bytes:
        """Return the page that stands where a dataset was withdrawn."""
        return self._render("tombstone.html", here=iri, stone=stone)

    def datasheet(self, record: DatasetRecord) -> bytes:
        """Return the page of a dataset's datasheet, with its plots drawn here."""
        return self._render("datasheet.html", here=self.site.datasheet(record.id), record=record, sheet=datasheet(record, site=self.site))

    def search(self, found: Search) -> bytes:
        """Return the page of a search."""
        return self._render("search.html", here=f"{self.site.base}/search", found=found, query=found.query, hits=found.hits)

    def entry(self, entry: Entry, graph: Graph, iri: str) -> bytes:
        """Return the page of a written record: what it says, and what is below it."""
        return self._render("entry.html", here=iri, entry=entry, **written_page(graph, iri))

    def problem(self, status: int, title: str, detail: str) -> bytes:
        """Return the page that says in a browser what went wrong, and what to do."""
        return self._render("problem.html", here=self.site.root, status=status, title=title, detail=detail)

    def _dataset(self, record: DatasetRecord) -> dict[str, Any]:
        items = [self._item(record, item) for item in record.distributions]
        stores = [item for item in items if item["distribution"].store is not None]
        data = as_script(schema_org(record, site=self.site))
        return {
            "record": record,
            "items": items,
            "pictures": stores[:SHOWN],
            "first": stores[0] if stores else None,
            "data": data,
            "pid": self.site.pid(record) or self.site.dataset(record.id),
            "bibtex": citation_bibtex(record, self.site),
            "cff": citation_cff(record, self.site),
            "steps": steps_of(record),
            "behind": plural(left_behind(record), "member"),
            "series": record.series or self.local(self.site.series(record)),
        }

    def _item(self, record: DatasetRecord, item: Distribution) -> dict[str, Any]:
        public = record.access_rights == AccessRights.PUBLIC
        preview = item.store.preview if item.store is not None else None
        return {
            "distribution": item,
            "page": self.local(self.site.distribution(record, item)),
            "url": self.site.data(record, item.path),
            "picture": self.local(self.site.data(record, preview)) if public and preview else None,
            "public": public,
            "viewer": self._viewer(record, item) if public else None,
            "unseen": unseen(item) if public else "",
        }

    def _viewer(self, record: DatasetRecord, item: Distribution) -> str | None:
        """Return the address of the viewer for an image that it can show, and only where the viewer was built."""
        if item.store is None or unseen(item) or viewer_folder() is None:
            return None
        source = quote(self.local(self.site.data(record, item.path)))
        return f"{urlsplit(self.site.base).path}/viewer/{VIEWER_PAGE}?source={source}"

    def local(self, iri: str) -> str:
        """Return an address of ours without scheme and host, so that pages work behind any proxy."""
        parts = urlsplit(iri)
        return parts.path + (f"?{parts.query}" if parts.query else "")

    def _render(self, template: str, software: str = "", **values: Any) -> bytes:
        words = self.site.words
        base = urlsplit(self.site.base).path
        text = (
            _environment()
            .get_template(template)
            .render(site=self.site, words=words, base=base, local=self.local, software=software, **values)
        )
        return text.encode()
