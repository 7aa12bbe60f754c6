"""Random criteria and random records over the small catalogue, for property tests on every engine."""

from __future__ import annotations

from hypothesis import strategies as st

from fairlead.index.criteria import (
    All,
    And,
    AtLeast,
    Criterion,
    Exists,
    Has,
    Latest,
    MembersOf,
    Missing,
    Not,
    OneOf,
    Or,
    Range,
    Tail,
    Term,
    Text,
)
from fairlead.records import ImagingRecord
from index.builders import a_series, an_image

VALUES = {
    "modality": ("CT", "MR", "SEG"),
    "body_part": ("CHEST", "HEAD"),
    "patient.sex": ("F", "M"),
    "series.slice_thickness_mm": (0.5, 1.25, 2.5, 5.0),
    "series.instances": (1, 10, 40),
    "study_date": ("1999-12-31", "2019-06-01", "2024-02-29"),
    "series.regular": (True, False),
    "ome.channel_name": ("DAPI", "GFP"),
    "organism": ("Mus musculus",),
}
TAILS = (
    None,
    {"00181030": {"vr": "LO", "Value": ["Thorax=1 (Adult)", "x"]}},
    {"00081140": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": ["1.2.3"]}}, {"00081155": {"vr": "UI", "Value": ["1.2.4"]}}]}},
    {"00181030": {"vr": "LO", "Value": ["other"]}, "00280301": {"vr": "CS", "Value": [True]}},
)
TEXTS = ("Chest CT thin", "LOCALIZER chest", "Thorax 1.0 B30f")


def _optional(field: str) -> st.SearchStrategy[object]:
    return st.none() | st.sampled_from(VALUES[field])


@st.composite
def series(draw: st.DrawFn, number: int) -> ImagingRecord:
    """Return one random series; few patients and studies, so that groups happen."""
    patient = draw(st.integers(0, 3))
    return a_series(
        str(number),
        patient=f"p{patient}",
        study=draw(st.sampled_from((f"{patient}.0", f"{patient}.1", "of-several"))),
        modality=draw(_optional("modality")),
        center=draw(st.sampled_from(("local", "other"))),
        instances=draw(st.sampled_from(VALUES["series.instances"])),
        body_part=draw(_optional("body_part")),
        study_date=draw(_optional("study_date")),
        patient__sex=draw(_optional("patient.sex")),
        series__slice_thickness_mm=draw(_optional("series.slice_thickness_mm")),
        series__regular=draw(_optional("series.regular")),
        tail=draw(st.sampled_from(TAILS)),
        series__frame_of_reference=draw(st.sampled_from((None, "1.3.1", "1.3.2"))),
        series__description=draw(st.none() | st.sampled_from(TEXTS)),
    )


@st.composite
def records(draw: st.DrawFn) -> list[ImagingRecord]:
    """Return up to a dozen random records of both kinds."""
    found = [draw(series(number)) for number in range(draw(st.integers(0, 9)))]
    channels = st.none() | st.lists(st.sampled_from(VALUES["ome.channel_name"]), min_size=1, unique=True).map(tuple)
    images = [
        an_image(f"image-{number}", patient=f"p{number}", organism=draw(_optional("organism")), ome__channel_name=draw(channels))
        for number in range(draw(st.integers(0, 3)))
    ]
    return found + images


@st.composite
def _leaf(draw: st.DrawFn) -> Criterion:
    field = draw(st.sampled_from(sorted(VALUES)))
    value, other = draw(st.sampled_from(VALUES[field])), draw(st.sampled_from(VALUES[field]))
    keep = draw(st.booleans())
    kinds: list[Criterion] = [Term(field, value, keep), OneOf(field, (value, other), keep), Exists(field), Missing(field)]
    if field in ("series.slice_thickness_mm", "series.instances", "study_date"):
        kinds += [Range(field, gte=value, lt=other, or_missing=keep), Range(field, gt=value, lte=other), Range(field, lte=value)]
    kinds += [Text("series.description", (draw(st.sampled_from(("chest", "CT", "b30f", "ches"))),), keep)]
    kinds += [Tail("dicom/00181030", "Thorax=1 (Adult)"), Tail("dicom/00081140/00081155", draw(st.sampled_from(("1.2.4", "1.2"))))]
    kinds += [MembersOf(frozenset({"local:default:1.2.3"}), patients=frozenset({"local:default:p1", "nowhere:x:p1"}))]
    kinds += [All(), MembersOf(frozenset({"local:default:1.2.1", "other:default:1.2.2", "nowhere:x:1"}))]
    return draw(st.sampled_from(kinds))


def _branch(inner: st.SearchStrategy[Criterion]) -> st.SearchStrategy[Criterion]:
    several = st.lists(inner, max_size=3).map(tuple)
    return st.one_of(
        st.builds(And, several),
        st.builds(Or, several),
        st.builds(Not, inner),
        st.builds(AtLeast, st.integers(1, 3), several),
        st.builds(Latest, inner),
        st.builds(
            Has,
            st.sampled_from(("study", "series", "image")),
            inner,
            st.integers(0, 3),
            st.none() | st.integers(0, 12),
            st.sampled_from(("patient", "study", "frameOfReference")),
        ),
    )


CRITERIA: st.SearchStrategy[Criterion] = st.recursive(_leaf(), _branch, max_leaves=8)
