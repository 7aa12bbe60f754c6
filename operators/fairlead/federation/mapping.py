"""A question in the words of the centre: aliases translated, what is unknown here named, what is closed here refused."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from fairlead.cohort import Definition, parse_definition
from fairlead.cohort.nodes import cohorts_used, fields_used, lists_used, tails_used
from fairlead.errors import CannotMap, FieldClosed, InvalidDefinition, UnknownField
from fairlead.extract import FieldCatalogue
from fairlead.federation.policy import Policy, Study
from fairlead.records import JsonObject

NO_VALUE: Final = " is no value of "
MOST_NAMES: Final = 50


@dataclass(frozen=True, slots=True)
class Mapped:
    """The definition for this centre's data, and which names it has here for what was asked."""

    definition: Definition
    translated: dict[str, str]


def mapped(document: JsonObject, *, catalogue: FieldCatalogue, policy: Policy, study: Study) -> Mapped:
    """Return the definition in the centre's own fields and terms, limited to the data of the project.

    Raises
    ------
    CannotMap : fields or terms are unknown here; FieldClosed : policy does not open a field; InvalidDefinition : it has no meaning.
    """
    names = sorted(set(_names(document)))[:MOST_NAMES]
    unknown = [name for name in names if not _is_known(catalogue, name)]
    if unknown:
        raise CannotMap(f"This centre has no field {', '.join(repr(name[:60]) for name in unknown)}.")
    try:
        definition = parse_definition({key: value for key, value in document.items() if key != "scope"}, catalogue)
    except UnknownField as error:
        raise CannotMap(error.message) from error
    except InvalidDefinition as error:
        if NO_VALUE in error.message:  # a closed vocabulary without the word
            raise CannotMap(error.message) from error
        raise
    _check_open(definition, catalogue, policy)
    translated = {name: catalogue.get(name).id for name in names if catalogue.get(name).id != name}
    return Mapped(replace(definition, projects=study.data), translated)


def open_facets(names: tuple[str, ...], *, catalogue: FieldCatalogue, policy: Policy) -> tuple[str, ...]:
    """Return the asked fields under the centre's names; without any asked, all that the policy opens."""
    if unknown := [name for name in names if not _is_known(catalogue, name)]:
        raise CannotMap(f"This centre has no field {', '.join(repr(name[:60]) for name in unknown)}.")
    wanted = tuple(dict.fromkeys(catalogue.get(name).id for name in names)) or policy.fields.facets
    if closed := [name for name in wanted if name not in policy.fields.facets]:
        raise FieldClosed(f"The field {closed[0]!r} is not open for tables.")
    return wanted


def _check_open(definition: Definition, catalogue: FieldCatalogue, policy: Policy) -> None:
    if cohorts_used(definition):
        raise FieldClosed("Members of frozen cohorts may not be asked about.", remedy="Ask with the definition of the cohort.")
    if lists_used(definition):  # who knows the UID of a series would learn whether, and with whom, it is here
        raise FieldClosed("Records may not be asked about by their ids.", remedy="Ask with fields.")
    if tails_used(definition):
        raise FieldClosed("What no field of the catalogue holds is not open for questions.", remedy="Ask with fields.")
    for name in fields_used(definition):
        field = catalogue.get(name)
        closed = name in policy.fields.closed or (field.type == "text" and not policy.fields.text)
        if closed or (field.sensitivity == "indirect" and not policy.fields.indirect and name not in policy.fields.facets):
            raise FieldClosed(f"The field {name!r} is not open for questions.")


def _is_known(catalogue: FieldCatalogue, name: str) -> bool:
    try:
        catalogue.get(name)
    except UnknownField:
        return False
    return True


def _names(document: Any) -> list[str]:
    """Return every ``field`` of a document, however wrong the rest of it may be."""
    found, waiting = [], [document]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            found += [one["field"]] if isinstance(one.get("field"), str) else []
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return found
