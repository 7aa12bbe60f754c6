"""Fingerprints answer the same as sets of names."""

from __future__ import annotations

import hashlib
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.cohort.members import Fingerprints, moved, pack_names, prints_of, regions, unpack_names

names = st.text("abc:.1", min_size=1, max_size=6)
versions = st.dictionaries(names, st.integers(0, 3), max_size=12)


def prints(version: dict[str, int]) -> Fingerprints:
    return Fingerprints.of(sorted(version), [sha(version[name]) for name in sorted(version)], [name[0] for name in sorted(version)])


def sha(content: int) -> str:
    return hashlib.sha256(str(content).encode()).hexdigest()


@given(versions, versions)
def test_who_joined_left_and_was_revised_is_what_sets_say(a: dict[str, int], b: dict[str, int]) -> None:
    before, after = prints(a), prints(b)
    found = moved(before, after)
    assert {sorted(b)[place] for place in after.places[found.joined]} == set(b) - set(a)
    assert {sorted(a)[place] for place in before.places[found.left]} == set(a) - set(b)
    assert {sorted(a)[place] for place in before.places[found.revised]} == {name for name in set(a) & set(b) if a[name] != b[name]}


@given(versions)
def test_what_is_packed_comes_back(version: dict[str, int]) -> None:
    before = prints(version)
    after = Fingerprints.unpack(before.pack(), len(version))
    for column in ("ids", "revisions", "patients", "places"):
        assert (getattr(before, column) == getattr(after, column)).all()


@given(st.lists(st.sets(names, min_size=1), min_size=2, max_size=3))
def test_the_regions_of_a_venn_diagram_are_what_sets_say(sets: list[set[str]]) -> None:
    found = regions([prints_of(sorted(one)) for one in sets])
    for bits, number in found.items():
        inside = [one for place, one in enumerate(sets) if bits >> place & 1]
        outside = [one for place, one in enumerate(sets) if not bits >> place & 1]
        assert number == len(set.intersection(*inside).difference(*outside))


@pytest.mark.parametrize("form", ["now", "before fingerprints"])
def test_names_are_read_in_both_forms(form: str) -> None:
    ids, revisions = ("a:b:1", "a:b:2"), (sha(1), sha(2))
    lines = "\n".join(f"{one}\t{revision}" for one, revision in zip(ids, revisions, strict=True))
    packed = pack_names(ids, revisions) if form == "now" else zlib.compress(lines.encode())
    assert unpack_names(packed) == (ids, revisions)
