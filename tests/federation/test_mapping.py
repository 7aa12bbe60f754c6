"""A centre is asked by fields that its policy opens, never about single records."""

from __future__ import annotations

import pytest

from federation.builders import definition

NAMED = {"ids": ["north:default:1.2.1"], "reason": "r"}


@pytest.mark.parametrize("where", [NAMED, {"not": NAMED}, {"has": "series", "where": NAMED}])
def test_a_record_may_not_be_asked_about_by_its_id(open_center, where):
    _, asker = open_center()
    answer = asker.answer(definition(where))
    assert (answer["state"], answer["code"]) == ("refused", "field-closed")
