"""The question that OpenSearch would be asked, to be read by people: no server is asked, and no engine needs to be there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Never

from fairlead.errors import UnsupportedInput
from fairlead.extract import FieldCatalogue
from fairlead.index.criteria import Criterion
from fairlead.index.opensearch_query import Compiler
from fairlead.records import JsonObject


def opensearch_body(criterion: Criterion, catalogue: FieldCatalogue) -> JsonObject:
    """Return the body of the search whose hits are the members.

    Raises
    ------
    UnsupportedInput : the criterion needs numbers per patient or study, for which the server is asked before.
    """
    return {"query": Compiler(catalogue, _counted_first, _counted_first).filters(criterion).sure}


def _counted_first(_query: Mapping[str, Any], _node: object) -> Never:
    raise UnsupportedInput(
        "What concerns several series of one patient or study is two questions: who has them is counted first, "
        "and handed to the second question as a bitmap.",
        remedy="Ask for any of the values to see one question.",
    )
