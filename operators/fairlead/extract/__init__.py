"""The front door: a received series or OME file in, one ``ImagingRecord`` per series or image out, by the field catalogue."""

from fairlead.extract.catalogue import FieldCatalogue, load_catalogue
from fairlead.extract.declarations import FieldDeclaration, FieldSource
from fairlead.extract.dicom_series import read_series
from fairlead.extract.kaapana import read_kaapana
from fairlead.extract.loose import DUPLICATE, read_paths
from fairlead.extract.ome_file import read_file
from fairlead.extract.readings import as_age_years, as_date, as_integer, as_text
from fairlead.extract.schema import filtering_terms, record_schema
from fairlead.extract.vocabulary import Vocabulary, concept_label, folded, vocabulary

__all__ = [
    "DUPLICATE",
    "FieldCatalogue",
    "FieldDeclaration",
    "FieldSource",
    "Vocabulary",
    "as_age_years",
    "as_date",
    "as_integer",
    "as_text",
    "concept_label",
    "filtering_terms",
    "folded",
    "load_catalogue",
    "read_file",
    "read_kaapana",
    "read_paths",
    "read_series",
    "record_schema",
    "vocabulary",
]
