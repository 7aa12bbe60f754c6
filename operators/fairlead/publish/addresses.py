"""Where everything is: the one place that makes IRIs and byte addresses from the catalogue's base."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from urllib.parse import quote

from fairlead.errors import InvalidConfiguration
from fairlead.publish.vocabulary import EMAIL, is_iri
from fairlead.records import Agent, DatasetRecord, Distribution
from fairlead.settings import CatalogSettings, Settings


@dataclass(frozen=True, slots=True)
class Site:
    """The FAIR Data Point as it presents itself: its base address and its words about the publisher."""

    base: str
    catalog_id: str
    words: CatalogSettings

    @classmethod
    def of(cls, settings: Settings) -> Site:
        """Return the site that the settings describe; the centre's name is the id of its catalogue.

        Raises
        ------
        InvalidConfiguration : an address or e-mail that could not be written into a record.
        """
        _check(settings.catalog)
        return cls(settings.catalog.base_url.rstrip("/"), settings.center, settings.catalog)

    @property
    def root(self) -> str:
        """IRI of the FAIR Data Point."""
        return f"{self.base}/"

    @property
    def catalog(self) -> str:
        """IRI of the catalogue."""
        return f"{self.base}/catalog/{self.catalog_id}"

    @property
    def catalog_title(self) -> str:
        """Title of the catalogue."""
        return f"Imaging datasets of {self.words.publisher_name}"

    def pid(self, record: DatasetRecord, item: Distribution | None = None) -> str | None:
        """Return the registered identifier of a dataset's version, or of one of its images; None where the centre has none."""
        words = self.words.pid
        if words.kind == "none" or not words.prefix:
            return None
        name = f"{record.id}.v{record.version}" + (f".{item.id}" if item is not None else "")
        resolver = {"doi": "https://doi.org/", "handle": "https://hdl.handle.net/", "ark": "https://n2t.net/ark:/"}[words.kind]
        return f"{resolver}{words.prefix}/{name}"

    @property
    def publisher(self) -> Agent:
        """The organisation that publishes."""
        words = self.words
        return Agent(name=words.publisher_name, iri=words.publisher_iri, email=words.contact_email, homepage=words.publisher_iri)

    def profile(self, profile: str) -> str:
        """IRI of a profile; it answers with the profile's SHACL shapes."""
        return f"{self.base}/profile/{profile}"

    def dataset(self, dataset: str) -> str:
        """IRI of a dataset; it stays the same for every version."""
        return f"{self.base}/dataset/{quote(dataset)}"

    def datasheet(self, dataset: str) -> str:
        """IRI of a dataset's AI-readiness datasheet."""
        return f"{self.dataset(dataset)}/datasheet"

    def series(self, record: DatasetRecord) -> str:
        """IRI of the series of a cohort's versions; like a dataset's, it opens no way back to the cohort."""
        cohort = record.cohort.partition("@")[0]
        return f"{self.base}/series/se-{hashlib.sha256(cohort.encode()).hexdigest()[:16]}"

    def distribution(self, record: DatasetRecord, distribution: Distribution) -> str:
        """IRI of a distribution."""
        return f"{self.base}/distribution/{quote(record.id)}.{quote(distribution.id)}"

    def data(self, record: DatasetRecord, path: str = "") -> str:
        """Address of bytes; ``path`` is relative to the dataset's published folder."""
        return f"{self.base}/data/{quote(record.id)}/v{record.version}/{quote(path)}"


def _check(words: CatalogSettings) -> None:
    wrong = [f"catalog.{name}" for name in ("base_url", "publisher_iri", "license") if not is_iri(getattr(words, name))]
    if EMAIL.fullmatch(words.contact_email) is None:
        wrong.append("catalog.contact_email")
    if not words.publisher_name.strip():
        wrong.append("catalog.publisher_name")
    if words.health.access_body and EMAIL.fullmatch(words.health.access_body_email) is None:
        wrong.append("catalog.health.access_body_email")
    if (words.pid.kind == "none") != (words.pid.prefix == ""):
        wrong.append("catalog.pid")
    if wrong:
        raise InvalidConfiguration(
            f"These settings cannot stand in a record: {', '.join(wrong)}.",
            remedy="Addresses are http(s) IRIs, the contact is one e-mail address, the publisher has a name.",
        )
