"""Cohorts: a definition language, exact counts, frozen versions that never change, and differences that explain themselves."""

from __future__ import annotations

from fairlead.cohort.audit import AuditEntry, AuditTrail
from fairlead.cohort.compile import compile_definition
from fairlead.cohort.counting import (
    Attrition,
    CohortCount,
    CohortFacets,
    attrition,
    attrition_by_center,
    attrition_lines,
    count_definition,
    facet_definition,
    narrowed,
)
from fairlead.cohort.diff import CohortDiff, changes_in_words, diff_versions
from fairlead.cohort.doubting import Doubt, doubts
from fairlead.cohort.drafts import Draft, DraftChanged, DraftStore
from fairlead.cohort.explaining import Judged, explain
from fairlead.cohort.export import export_members, members_parquet, parquet_parts
from fairlead.cohort.importing import (
    Imported,
    import_addresses,
    import_list,
    import_series,
    listed_addresses,
    listed_ids,
    listed_uids,
    read_list,
)
from fairlead.cohort.manifest import dicomweb_manifest, present_members, s5cmd_manifest
from fairlead.cohort.nodes import Definition
from fairlead.cohort.normal import definition_sha256, normal_form
from fairlead.cohort.operations import Drift, Region, SetOperation, combine, drift, rerun, venn
from fairlead.cohort.parse import parse_definition
from fairlead.cohort.reading import read_definition
from fairlead.cohort.sentence import phrase, public_sentence
from fairlead.cohort.sentence import sentence as sentence_of
from fairlead.cohort.store import CohortStore
from fairlead.cohort.texts import in_one_line
from fairlead.cohort.to_beacon import beacon_request
from fairlead.cohort.to_fhir import fhir_group, fhir_members
from fairlead.cohort.to_lens import lens_tree
from fairlead.cohort.withdrawing import Withdrawn, require_known, subject_records, withdraw_consent

__all__ = [
    "Attrition",
    "AuditEntry",
    "AuditTrail",
    "CohortCount",
    "CohortDiff",
    "CohortFacets",
    "CohortStore",
    "Definition",
    "Doubt",
    "Draft",
    "DraftChanged",
    "DraftStore",
    "Drift",
    "Imported",
    "Judged",
    "Region",
    "SetOperation",
    "Withdrawn",
    "attrition",
    "attrition_by_center",
    "attrition_lines",
    "beacon_request",
    "changes_in_words",
    "combine",
    "compile_definition",
    "count_definition",
    "definition_sha256",
    "dicomweb_manifest",
    "diff_versions",
    "doubts",
    "drift",
    "explain",
    "export_members",
    "facet_definition",
    "fhir_group",
    "fhir_members",
    "import_addresses",
    "import_list",
    "import_series",
    "in_one_line",
    "lens_tree",
    "listed_addresses",
    "listed_ids",
    "listed_uids",
    "members_parquet",
    "narrowed",
    "normal_form",
    "parquet_parts",
    "parse_definition",
    "phrase",
    "present_members",
    "public_sentence",
    "read_definition",
    "read_list",
    "require_known",
    "rerun",
    "s5cmd_manifest",
    "sentence_of",
    "subject_records",
    "venn",
    "withdraw_consent",
]
