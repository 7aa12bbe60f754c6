from __future__ import annotations

import pytest

from fairlead.errors import InvalidInput
from fairlead.publish import AccessRights, read_parameters


def test_an_empty_form_field_counts_as_not_given():
    assert read_parameters({"cohort": "c@1", "title": "", "license": None}).title is None


def test_a_licence_may_be_given_by_its_spdx_name():
    assert read_parameters({"cohort": "c@1", "license": "CC0-1.0"}).license == "https://creativecommons.org/publicdomain/zero/1.0/"


def test_the_view_that_the_catalogue_serves_is_always_rendered():
    assert read_parameters({"cohort": "c@1", "views": ("health-ri",)}).views == ("fdp", "health-ri")


def test_access_rights_become_the_concept_of_the_eu_table():
    parameters = read_parameters({"cohort": "c@1", "access_rights": "non-public"})
    assert parameters.access_rights.iri == "http://publications.europa.eu/resource/authority/access-right/NON_PUBLIC"
    assert AccessRights.PUBLIC.iri.endswith("/PUBLIC")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("cohort", "chest", "ID@N"),
        ("cohort", "../chest@1", "ID@N"),
        ("cohort", "chest@0", "ID@N"),
        ("license", "my own", "a licence is an http"),
        ("license", "file:///etc/passwd", "a licence is an http"),
        ("license", "https://x/<script>", "a licence is an http"),
        ("access_rights", "open", "'public', 'restricted' or 'non-public'"),
        ("profile", "../../etc/passwd", "profile"),
        ("title", "a\x00b", "title"),
        ("title", "x" * 301, "title"),
        ("geometry", "guess", "'strict', 'split' or 'annotate'"),
        ("ngff", "0.4", "'0.5' or '0.6'"),
        ("views", ("croissant",), "profiles are among"),
        ("colour", "red", "colour"),
    ],
)
def test_a_parameter_that_does_not_hold_is_named(field: str, value: object, words: str):
    with pytest.raises(InvalidInput, match="parameters do not hold") as caught:
        read_parameters({"cohort": "c@1"} | {field: value})
    assert words in caught.value.message
