"""Build the one internal model from what was really made: counts, concepts and distributions of the published stores only."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fairlead.publish.addresses import Site
from fairlead.publish.counting import hidden_below, how_many
from fairlead.publish.members import PARQUET, TABLE
from fairlead.publish.parameters import ExportParameters
from fairlead.publish.reasons import public
from fairlead.publish.staging import StagedStore
from fairlead.publish.tallies import tallies
from fairlead.publish.vocabulary import HEALTH_THEME, NGFF, ZARR_MEDIA_TYPE, concept_iri
from fairlead.records import Approval, CohortVersion, Concept, Counts, DatasetRecord, Distribution, ImagingRecord, Refusal

DATE: Final = re.compile(r"\b\d{4}-\d{2}-\d{2}\b|\b(?:19|20)\d{6}\b")
UID: Final = re.compile(r"\b\d+(?:\.\d+){4,}\b")
KEY: Final = re.compile(r"\bp[0-9a-f]{24}\b")
TABLES: Final = (
    ("members", TABLE, "CSV", "text/csv"),
    ("members-parquet", PARQUET, "Parquet", "application/vnd.apache.parquet"),
)
"""Id, path, form and media type of the members table."""


def dataset_id(reference: str) -> str:
    """Return the deterministic id of a cohort version's dataset; it opens no way back to the cohort.

    >>> dataset_id("chest@2") == dataset_id("chest@2") != dataset_id("chest@3")
    True
    """
    return "ds-" + hashlib.sha256(reference.encode()).hexdigest()[:16]


def public_text(text: str) -> str:
    """Return a cohort's sentence without dates, UIDs and patient keys: it may quote what a patient could be found by.

    >>> public_text("Series from 2019-01-31 of 1.2.840.113619.2.1")
    'Series from (date) of (identifier)'
    """
    return KEY.sub("(identifier)", DATE.sub("(date)", UID.sub("(identifier)", text)))


def without_keys(text: str) -> str:
    """Return a text without whole dates, UIDs and patient keys, before its words are looked at one by one.

    >>> without_keys("GFP 1957-03-14")
    'GFP  '
    """
    return KEY.sub(" ", DATE.sub(" ", UID.sub(" ", text)))


@dataclass(frozen=True, slots=True)
class Ingredients:
    """Everything a record is built from."""

    site: Site
    parameters: ExportParameters
    cohort: CohortVersion
    sentence: str
    """What the cohort selects, in words that may be published."""
    approval: Approval
    stores: Sequence[StagedStore]
    records: Mapping[str, ImagingRecord]
    refused: tuple[Refusal, ...]
    codes: tuple[str, ...]
    made: Mapping[str, tuple[int, str]]
    """Size and sha256 of each distribution by its path."""
    threshold: int = 0
    """Patients below which a dataset that is not public does not say how many there are."""


def build_record(given: Ingredients, *, version: int, now: datetime, issued: datetime | None = None) -> DatasetRecord:
    """Return the record of version ``version``; ``issued`` is the time of version 1, when there is one."""
    records = [given.records[record_id] for record_id in sorted({item.record_id for item in given.stores})]
    publisher = given.site.publisher
    modalities = distinct(concept for record in records for concept in (record.core.modality, record.core.imaging_method))
    body_parts = distinct(record.core.body_part for record in records)
    organisms = distinct(record.core.organism for record in records)
    instances = {item.record_id: item.instances for item in given.stores}
    counts = count(records, images=sum(instances.values()), size_bytes=sum(given.made[item.store.path][0] for item in given.stores))
    below = hidden_below(counts, rights=given.parameters.access_rights, threshold=given.threshold)
    words = Selected(given.sentence, members=len(given.cohort.members), below=below)
    return DatasetRecord(
        id=dataset_id(given.cohort.ref),
        version=version,
        cohort=given.cohort.ref,
        title=title_of(given.parameters, given.cohort),
        description=describe(given.parameters, words, counts=counts, codes=given.codes),
        publisher=publisher,
        creators=(publisher,),
        contact=publisher,
        license=given.parameters.license or given.site.words.license,
        access_rights=given.parameters.access_rights.value,
        keywords=keywords((*modalities, *body_parts, *organisms)),
        themes=(HEALTH_THEME,),
        language=given.site.words.language,
        issued=issued or now,
        modified=now,
        counts=counts,
        modalities=modalities,
        body_parts=body_parts,
        organisms=organisms,
        sentence=public_text(given.sentence),
        definition_sha256=given.cohort.definition_sha256,
        members_sha256=given.cohort.members_sha256,
        deidentification=given.codes,
        provenance=provenance(given),
        approval=given.approval,
        distributions=distributions(given),
        refused=public(given.refused),
        series=given.parameters.series or "",
        counts_below=below,
        tallies=tallies(records, threshold=given.threshold),
    )


def title_of(parameters: ExportParameters, cohort: CohortVersion) -> str:
    """Return the title the dataset will have: the one asked for, else the cohort's."""
    return public_text(parameters.title or cohort.title or "Imaging cohort")


def count(records: Sequence[ImagingRecord], *, images: int, size_bytes: int) -> Counts:
    """Count what is published, at the four grains; ``images`` are the instances that passed, ``size_bytes`` the published bytes."""
    return Counts(
        patients=len({(record.core.center, record.core.project, record.core.patient_key) for record in records}),
        studies=len({record.core.study_uid for record in records}),
        series=len(records),
        images=images,
        size_bytes=size_bytes,
    )


def distinct(found: Iterable[Concept | None]) -> tuple[Concept, ...]:
    """Return each concept once, sorted by meaning. A word of a header that has no meaning yet may be anything, so it stays in the house."""
    known = {item.curie: item for item in found if item is not None and item.curie and concept_iri(item.curie)}
    return tuple(known[key] for key in sorted(known))


def keywords(concepts: Iterable[Concept]) -> tuple[str, ...]:
    """Return the words to search by: the concepts' labels, and always ``OME-Zarr``."""
    return tuple(sorted({"OME-Zarr", *(concept.label or concept.raw for concept in concepts)}))


@dataclass(frozen=True, slots=True)
class Selected:
    """What a cohort selects: its public sentence, how many members, and below which number of patients nothing is said (0: never)."""

    sentence: str
    members: int
    below: int = 0


def describe(parameters: ExportParameters, selected: Selected, *, counts: Counts, codes: Sequence[str]) -> str:
    """Return the description in plain sentences, from counts and the public sentence; the steward has read it for all members."""
    sentence = selected.sentence
    series = plural(counts.series, "image series", "image series")
    subjects = f"{how_many(counts.patients, selected.below)} subjects" if selected.below else plural(counts.patients, "subject")
    parts = [f"{series} of {subjects} as OME-Zarr {parameters.ngff}."]
    if sentence:
        parts.append(f"Selection: {public_text(sentence).rstrip('.')}.")
    if codes:
        parts.append("De-identified by DICOM PS3.15 Annex E.")
    if missing := selected.members - counts.series:
        parts.append(f"{plural(missing, 'member')} of the cohort could not be published.")
    return " ".join(parts)


def plural(number: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun.

    >>> plural(1, "subject"), plural(2, "subject")
    ('1 subject', '2 subjects')
    """
    return f"{number} {one if number == 1 else many or one + 's'}"


def provenance(given: Ingredients) -> tuple[str, ...]:
    """Return how the dataset came to be, step by step; nobody's name, no date of care."""
    cohort = given.cohort
    steps = [
        f"Selected as cohort {cohort.id}, version {cohort.version} (definition sha256 {cohort.definition_sha256}).",
        f"Approved by a data steward on {given.approval.decided_at:%Y-%m-%d}.",
    ]
    if any(given.records[item.record_id].core.kind == "ome-image" for item in given.stores):
        steps.append("Microscopy: pixels, sampling and channels were taken over, no other metadata of the files.")
    if given.codes:
        steps.append(f"De-identified by DICOM PS3.15 Annex E, codes {', '.join(given.codes)}.")
    steps.append(
        f"Converted to OME-Zarr {given.parameters.ngff}, geometry policy {given.parameters.geometry}; voxels compared with their source."
    )
    return tuple(steps)


def kind_of(record: ImagingRecord) -> str:
    """Return what an image is in a word or two: its modality when that has a meaning, else "Image"."""
    concept = record.core.modality or record.core.imaging_method
    return (concept.label or concept.raw) if concept and concept_iri(concept.curie) else "Image"


def shape_of(item: StagedStore) -> str:
    """Return size and data type of a store for its title."""
    return f"{'×'.join(map(str, item.store.shape))} {item.store.dtype}"


def distributions(given: Ingredients) -> tuple[Distribution, ...]:
    """Return one distribution a store, and the members table."""
    found = [
        Distribution(
            id=f"image-{item.store.path.removeprefix('images/').removesuffix('.ome.zarr')}",
            title=f"{kind_of(given.records[item.record_id])} {number}, {shape_of(item)}, OME-Zarr {given.parameters.ngff}",
            path=item.store.path,
            media_type=ZARR_MEDIA_TYPE,
            conforms_to=NGFF[given.parameters.ngff],
            size_bytes=given.made[item.store.path][0],
            sha256=given.made[item.store.path][1],
            store=item.store.model_copy(update={"manifest_sha256": given.made[item.store.path][1]}),
        )
        for number, item in enumerate(given.stores, start=1)
    ]
    return (*found, *tables(given.made))


def tables(made: Mapping[str, tuple[int, str]]) -> Iterator[Distribution]:
    """Return the members table in each form that was written."""
    for identifier, path, form, media_type in TABLES:
        if path in made:
            size, sha256 = made[path]
            yield Distribution(
                id=identifier,
                title=f"Table of images and subjects, {form}",
                path=path,
                media_type=media_type,
                size_bytes=size,
                sha256=sha256,
            )
