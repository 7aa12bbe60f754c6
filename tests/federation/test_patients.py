"""Who matches is put together from parts that come again; the index itself is the judge."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead.federation.patients import PatientSets
from fairlead.index import All, And, AtLeast, Has, Missing, Not, Or, Term
from federation.idc_split import records

LEAVES = [
    All(), Term("modality", "DCM:CT"), Term("patient.sex", "F"), Term("patient.sex", "F", or_missing=True), Missing("study_date"),
    Term("center", "cmb_lca"), Term("center", "tcga_read"), Term("model", "Discovery CT750 HD"),
]  # fmt: skip


def _grown(parts):
    return st.one_of(
        parts.map(Not),
        parts.map(lambda where: Has("series", where)),
        st.lists(parts, min_size=1, max_size=3).map(lambda of: And(tuple(of))),
        st.lists(parts, min_size=1, max_size=3).map(lambda of: Or(tuple(of))),
        st.lists(parts, min_size=2, max_size=3).map(lambda of: AtLeast(2, tuple(of))),
    )


@pytest.fixture(scope="module")
def sets(north):
    """Return the sets of one centre, a part of the IDC split."""
    gateway, _ = north
    gateway.index.put(record for record in records() if record.core.center in ("cmb_lca", "tcga_read"))
    return gateway, PatientSets(gateway.index, gateway.releases)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(criterion=st.recursive(st.sampled_from(LEAVES), _grown, max_leaves=6))
def test_sets_put_together_from_parts_are_those_that_the_index_finds(sets, criterion):
    gateway, found = sets
    assert found.of(criterion) == gateway.releases.bitmap(gateway.index.patients(criterion))
