"""De-identification by DICOM PS3.15 Annex E: a table, one walk over the whole data set, keyed pseudonyms, and a gate at the end.

Front door: :func:`load_profile`, :class:`Deidentifier` for a data set in memory, :func:`deidentify_folder` for files,
:func:`deidentify_ome` for one OME file, :func:`clean_ome_xml` for OME-XML alone.
"""

from fairlead.deidentify.engine import Deidentifier, Person, Result
from fairlead.deidentify.folder import Plan, deidentify_folder
from fairlead.deidentify.instance import Outcome, deidentify_file
from fairlead.deidentify.lookup import read_lookup
from fairlead.deidentify.ome import deidentify_ome, files_of_set, require_no_label
from fairlead.deidentify.ome_kept import clean_ome_xml
from fairlead.deidentify.pixels import Decision, Verdict, judge
from fairlead.deidentify.profile import Profile, load_profile, profile_names
from fairlead.deidentify.traces import Traces
from fairlead.deidentify.words import clean_words

__all__ = [
    "Decision",
    "Deidentifier",
    "Outcome",
    "Person",
    "Plan",
    "Profile",
    "Result",
    "Traces",
    "Verdict",
    "clean_ome_xml",
    "clean_words",
    "deidentify_file",
    "deidentify_folder",
    "deidentify_ome",
    "files_of_set",
    "judge",
    "load_profile",
    "profile_names",
    "read_lookup",
    "require_no_label",
]
