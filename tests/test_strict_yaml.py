"""A key stands once in what people write to configure us; everything else is PyYAML's safe loader."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fairlead.strict_yaml import NOT_YAML, load_strict, told

SCALARS = st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=9)
DOCUMENTS = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCALARS, inner, max_size=4), max_leaves=9)


@given(DOCUMENTS)
def test_a_document_without_doubles_reads_as_the_safe_loader_reads_it(document: object) -> None:
    text = yaml.safe_dump(document, allow_unicode=True)
    assert load_strict(text) == yaml.safe_load(text) == document


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("a: 1\na: 2", " line 2", "'a' stands twice"),
        ("outer:\n  - {b: 1, c: 2, b: 3}", " line 2", "'b' stands twice"),
        ('a: 1\n"a": 2', " line 2", "'a' stands twice"),
        ("yes: 1\ntrue: 2", " line 2", "'true' stands twice"),
        ("16: 1\n0x10: 2", " line 2", "'0x10' stands twice"),
        ("a: &a {x: 1}\nb: {<<: *a, <<: *a}", " line 2", "'<<' stands twice"),
        ("a: {&k x: 1, *k : 2}", " line 1", "'x' stands twice"),
        ("? [1]\n: 2", " line 1", "found unhashable key"),
        ("!!seq k: 1", " line 1", "found unhashable key"),
        ("a: !!python/name:os.system x", " line 1", "could not determine a constructor"),
        ("a: !!timestamp x", "", "it cannot be parsed"),
        ("!!bool x: 1", "", "it cannot be parsed"),
        ("!!int '': 1", "", "it cannot be parsed"),
        ("a: 2026-99-99", "", "it cannot be parsed"),
        ("{a: " * 5000, "", "it cannot be parsed"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, where: str, what: str) -> None:
    with pytest.raises(NOT_YAML) as caught:
        load_strict(text)
    place, problem = told(caught.value)
    assert (place, problem[: len(what)]) == (where, what)


def test_merged_keys_may_be_overridden_more_than_once() -> None:
    text = "base: &base {a: 1, b: 2}\nnext: &next {<<: *base, a: 3}\nlast: {<<: *next, a: 4}"
    assert load_strict(text)["last"] == {"a": 4, "b": 2}


def test_many_keys_are_looked_at_once_each() -> None:
    names = [f"k{number}" for number in range(20_000)]
    assert list(load_strict("\n".join(f"{name}: 0" for name in names))) == names
