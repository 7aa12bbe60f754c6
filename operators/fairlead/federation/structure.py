"""Parts of a definition that decide about fewer patients than the threshold are left out before it is counted.

``everybody except X`` beside ``everybody``, or ``A or X`` beside many other ``… or X``, would give X away by subtraction and
averaging however well each number is protected. A part is a criterion of a group, a value of a list, a rule or an exclusion;
the definition without it is counted too, and where the two differ by fewer patients than the threshold the part is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from pyroaring import BitMap

from fairlead.cohort import Definition, normal_form
from fairlead.cohort.nodes import AllOf, AnyOf, AtLeastOf, Compare, HasWhere, LatestWhere, Node, NotOf, Rule
from fairlead.errors import UnsupportedInput
from fairlead.federation.policy import Disclosure
from fairlead.federation.signing import canonical

type Count = Callable[[Definition], BitMap]

EVERYBODY: Node = AllOf(())


def effective(definition: Definition, count: Count, rules: Disclosure) -> tuple[Definition, BitMap]:
    """Return the definition without parts that decide about too few patients, and who is in it.

    The order in which parts are tried is that of their meaning, not of their writing.

    Raises
    ------
    UnsupportedInput : it has more parts than the centre is willing to count one by one.
    """
    members = count(definition)
    while True:
        found = _dropped(definition, members, count, rules)
        if found is None:
            return definition, members
        definition, members = found


def _dropped(definition: Definition, members: BitMap, count: Count, rules: Disclosure) -> tuple[Definition, BitMap] | None:
    simpler = list(simplified(definition))
    if len(simpler) > rules.most_parts:
        raise UnsupportedInput(
            f"The definition has more than {rules.most_parts} parts.", remedy="Ask with fewer criteria, or with fewer values in a list."
        )
    counted = ((candidate, count(candidate)) for candidate in simpler)
    near = [one for one in counted if 0 < members.symmetric_difference_cardinality(one[1]) < rules.threshold]
    return min(near, key=lambda one: canonical(normal_form(one[0])), default=None)


def simplified(definition: Definition) -> Iterator[Definition]:
    """Yield the definition without each of its parts."""
    for node in _without_a_part(definition.include):
        yield replace(definition, include=node)
    if definition.include != EVERYBODY:
        yield replace(definition, include=EVERYBODY)
    for rules in _fewer(definition.rules):
        yield replace(definition, rules=rules)
    for rules in _fewer(definition.exclude):
        yield replace(definition, exclude=rules)


def _fewer(rules: tuple[Rule, ...]) -> Iterator[tuple[Rule, ...]]:
    for at, rule in enumerate(rules):
        yield (*rules[:at], *rules[at + 1 :])
        yield from ((*rules[:at], replace(rule, where=node), *rules[at + 1 :]) for node in _without_a_part(rule.where))


def _without_a_part(node: Node) -> Iterator[Node]:
    match node:
        case AllOf(of) | AnyOf(of):
            yield from (type(node)(rest) for rest in _less_one(of))
        case AtLeastOf(count, of):
            yield from (AtLeastOf(min(count, len(rest)), rest) for rest in _less_one(of))
        case NotOf(of=inner):
            yield from (NotOf(one) for one in _without_a_part(inner))
        case HasWhere(where=inner):
            yield from (replace(node, where=one) for one in _without_a_part(inner))
            if node.maximum is not None:
                yield replace(node, maximum=None)
        case LatestWhere(where=inner):
            yield from (LatestWhere(one) for one in _without_a_part(inner))
        case Compare(op="in", values=values) if len(values) > 1:
            yield from (replace(node, values=(*values[:at], *values[at + 1 :])) for at in range(len(values)))
        case Compare(or_missing=True):
            yield replace(node, or_missing=False)
        case _:
            pass


def _less_one(of: tuple[Node, ...]) -> Iterator[tuple[Node, ...]]:
    """Yield the parts of a group without each one, and with each one made smaller."""
    for at, part in enumerate(of):
        if len(of) > 1:
            yield (*of[:at], *of[at + 1 :])
        yield from ((*of[:at], smaller, *of[at + 1 :]) for smaller in _without_a_part(part))
