"""The tree of a definition, read by node key; each kind says what else may stand beside its key."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from fairlead.cohort.leaves import Reading, read_cohort, read_concept, read_field, read_listed, read_tail
from fairlead.cohort.nodes import (
    AllOf,
    AnyOf,
    AtLeastOf,
    Compare,
    Counted,
    Group,
    HasWhere,
    LatestWhere,
    Node,
    NotOf,
)
from fairlead.cohort.values import spelling
from fairlead.errors import InvalidDefinition
from fairlead.index import FRAME
from fairlead.records import Grain

MAX_DEPTH: Final = 8
MAX_LEAVES: Final = 200
NODE_KEYS: Final = ("all", "any", "not", "atLeast", "has", "latest", "concept", "set", "field", "cohort", "ids", "tail")
LEAVES: Final = frozenset({"concept", "set", "field", "cohort", "ids", "tail"})
ANNOTATIONS: Final = ("ANN", "AU", "KO", "PR", "RTSTRUCT", "SEG", "SR")
"""Modalities whose series annotate other series (PS3.16 CID 33)."""


def read_node(given: Any, reading: Reading, *, where: str, depth: int = 1) -> Node:
    """Return one node; the key that names its kind decides what else it may hold."""
    if depth > MAX_DEPTH:
        raise InvalidDefinition(
            f"At {where}: deeper than {MAX_DEPTH} levels.", remedy="Split it into named rules, or freeze a part as a cohort."
        )
    if not isinstance(given, Mapping):
        raise InvalidDefinition(f"At {where}: a criterion is a mapping.", remedy=f"It begins with one of: {', '.join(NODE_KEYS)}.")
    kind = _kind(given, where)
    allowed, read = KINDS[kind]
    for key in given:
        if key not in allowed:
            raise InvalidDefinition(
                f"At {where}: {str(key)[:60]!r} does not go with {kind!r}.", remedy=f"Known here: {', '.join(allowed)}."
            )
    if kind in LEAVES:
        reading.leaves += 1
        if reading.leaves > MAX_LEAVES:
            raise InvalidDefinition(f"The definition has more than {MAX_LEAVES} criteria.", remedy="Use `in` with a list of values.")
    return read(given, reading, where, depth)


def _kind(given: Mapping[str, Any], where: str) -> str:
    if "concept" in given or "set" in given:
        return "concept" if "concept" in given else "set"
    kinds = [key for key in NODE_KEYS if key in given]
    if len(kinds) == 1:
        return kinds[0]
    if kinds:
        raise InvalidDefinition(f"At {where}: {' and '.join(kinds)} stand in one criterion.", remedy="Put each in its own, under `all`.")
    close = [near for key in given for near in difflib.get_close_matches(str(key), NODE_KEYS, n=1)]
    hint = f"Did you mean {close[0]!r}?" if close else f"It begins with one of: {', '.join(NODE_KEYS)}."
    raise InvalidDefinition(f"At {where}: no criterion is recognised.", remedy=hint)


def _parts(given: Any, reading: Reading, where: str, depth: int) -> tuple[Node, ...]:
    if not isinstance(given, list | tuple) or not given:
        raise InvalidDefinition(f"At {where}: a list with at least one criterion is expected.")
    return tuple(read_node(part, reading, where=f"{where}[{number}]", depth=depth + 1) for number, part in enumerate(given))


def _all(given: Mapping[str, Any], reading: Reading, where: str, depth: int) -> Node:
    return AllOf(_parts(given["all"], reading, f"{where}.all", depth))


def _any(given: Mapping[str, Any], reading: Reading, where: str, depth: int) -> Node:
    return AnyOf(_parts(given["any"], reading, f"{where}.any", depth))


def _not(given: Mapping[str, Any], reading: Reading, where: str, depth: int) -> Node:
    return NotOf(read_node(given["not"], reading, where=f"{where}.not", depth=depth + 1))


def _at_least(given: Mapping[str, Any], reading: Reading, where: str, depth: int) -> Node:
    of = _parts(given.get("of"), reading, f"{where}.of", depth)
    count = given["atLeast"]
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= len(of):
        raise InvalidDefinition(f"At {where}.atLeast: a number from 1 to {len(of)}, the length of `of`, is expected.")
    return AtLeastOf(count, of)


def _has(given: Mapping[str, Any], reading: Reading, where: str, depth: int) -> Node:
    grain = given["has"]
    if grain not in ("study", "series", "image", "annotation"):
        raise InvalidDefinition(f"At {where}.has: {str(grain)[:40]!r} cannot be counted.", remedy="Use study, series, image or annotation.")
    if "where" not in given:
        raise InvalidDefinition(f"At {where}: 'where' is missing.", remedy="Say which of them count.")
    same = _same(given.get("same"), reading, where)
    minimum, maximum = _count(given.get("count"), where)
    inner = read_node(given["where"], reading, where=f"{where}.where", depth=depth + 1)
    if grain == "annotation":
        known = reading.catalogue.get("modality")
        kinds = tuple(sorted(spelling(known, name, where=where) for name in ANNOTATIONS))
        grain, inner = "series", AllOf((Compare(known.id, "in", kinds), inner))
    if grain == "study" and same == "study":
        raise InvalidDefinition(f"At {where}: a study has one study, itself.", remedy="Use `same: patient`.")
    return HasWhere(cast("Counted", grain), same, inner, minimum, maximum)


def _latest(given: Mapping[str, Any], reading: Reading, where: str, depth: int) -> Node:
    if given["latest"] != "study" or "where" not in given:
        raise InvalidDefinition(f"At {where}: `latest: study` and `where` are expected.", remedy="Say which studies count.")
    return LatestWhere(read_node(given["where"], reading, where=f"{where}.where", depth=depth + 1))


def _same(given: Any, reading: Reading, where: str) -> Group:
    if given is None:
        return "study" if reading.unit is Grain.STUDY else "patient"
    if given not in ("patient", "study", "frameOfReference"):
        raise InvalidDefinition(f"At {where}.same: {str(given)[:40]!r} is no group.", remedy="Use patient, study or frameOfReference.")
    if given == "frameOfReference":
        reading.catalogue.get(FRAME)  # UnknownField where the catalogue has none
    return cast("Group", given)


def _count(given: Any, where: str) -> tuple[int, int | None]:
    if given is None:
        return 1, None
    if not isinstance(given, Mapping) or not given or set(given) - {"min", "max"}:
        raise InvalidDefinition(f"At {where}.count: `min`, `max` or both are expected.")
    if any(isinstance(number, bool) or not isinstance(number, int) or number < 0 for number in given.values()):
        raise InvalidDefinition(f"At {where}.count: numbers from 0 are expected.")
    minimum, maximum = given.get("min", 0), given.get("max")
    if maximum is None and minimum == 0:
        raise InvalidDefinition(f"At {where}.count: at least 0 holds for everybody.", remedy="Give `min: 1`, or `max: 0` for none.")
    if maximum is not None and minimum > maximum:
        raise InvalidDefinition(f"At {where}.count: `min` is above `max`.")
    return minimum, maximum


type Reader = Callable[[Mapping[str, Any], Reading, str, int], Node]

KINDS: Final[Mapping[str, tuple[tuple[str, ...], Reader]]] = {
    "all": (("all",), _all),
    "any": (("any",), _any),
    "not": (("not",), _not),
    "atLeast": (("atLeast", "of"), _at_least),
    "has": (("has", "count", "same", "where"), _has),
    "latest": (("latest", "where"), _latest),
    "concept": (("concept", "field", "set", "includeDescendantTerms"), read_concept),
    "set": (("set", "field"), read_concept),
    "field": (("field", "op", "value", "unit", "orMissing"), read_field),
    "cohort": (("cohort",), read_cohort),
    "ids": (("ids", "reason"), read_listed),
    "tail": (("tail", "value"), read_tail),
}
