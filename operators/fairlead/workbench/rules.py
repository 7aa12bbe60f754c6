"""The rules as people see them: the sentence whose phrases lead to their cards, and the funnel with its rules to move and switch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fairlead.workbench.definition import funnel_of, rule_name
from fairlead.workbench.facets import percent
from fairlead.workbench.services import Step, Workbench
from fairlead.workbench.state import PageState


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the sentence; ``link`` is empty where it belongs to no rule."""

    text: str
    link: str = ""


@dataclass(frozen=True, slots=True)
class RuleView:
    """One bar of the funnel. ``field`` is empty for what cannot be moved: the records to begin with, and what was withdrawn.

    A rule that is off has no numbers: it is not asked.
    """

    rule: str
    patients: int = 0
    series: int = 0
    lost: int = 0
    percent: float = 0.0
    field: str = ""
    on: bool = True
    up: str = ""
    down: str = ""
    switch: str = ""


def sentence_parts(sentence: str, state: PageState, workbench: Workbench) -> tuple[Part, ...]:
    """Return the sentence in pieces: each phrase that a rule wrote leads to the card, or the tab, where the rule is made."""
    if not state.narrows:
        return (Part(sentence),)
    phrases = workbench.data.phrases(funnel_of(state, workbench.catalogue))
    links = [state.link(tab="sets")] if state.how or state.less else []
    links += [f"#card-{name}" for name in state.rules if name in state.active]
    written = sorted(zip(phrases, links, strict=True), key=lambda one: sentence.find(one[0]))  # the funnel may be in another order
    return tuple(_parts(sentence, written))


def _parts(sentence: str, written: Sequence[tuple[str, str]]) -> Iterator[Part]:
    rest = sentence
    for phrase, link in written:
        before, found, after = rest.partition(phrase)
        if found:
            yield from ((Part(before), Part(found, link)) if before else (Part(found, link),))
            rest = after
    yield Part(rest)


def funnel(steps: Sequence[Step], state: PageState, workbench: Workbench) -> tuple[RuleView, ...]:
    """Return the attrition as bars: percent of the first step's patients, and how many each rule removed; rules that are off stay."""
    names = {name: rule_name(name, asked, workbench.catalogue) for name, asked in state.filters.items()}
    fields = {rule: name for name, rule in names.items()}
    counted = {step.rule: view for step, view in zip(steps, bars(steps), strict=True)}
    moved = [_movable(name, names[name], counted, state) for name in state.rules]
    return (*(view for rule, view in counted.items() if rule not in fields), *moved)


def _movable(name: str, rule: str, counted: Mapping[str, RuleView], state: PageState) -> RuleView:
    on, place, last = name not in state.off, state.rules.index(name), len(state.rules) - 1
    found = counted[rule] if on else RuleView(rule)
    return RuleView(
        rule,
        found.patients,
        found.series,
        found.lost,
        found.percent,
        field=name,
        on=on,
        up=state.moved(name, -1) if place else "",
        down=state.moved(name, 1) if place < last else "",
        switch=state.switched(name),
    )


def bars(steps: Sequence[Step]) -> tuple[RuleView, ...]:
    """Return each step with its share of the first one's patients, and how many it removed."""
    first = steps[0].patients if steps else 0
    before = (first, *(step.patients for step in steps))
    return tuple(
        RuleView(step.rule, step.patients, step.series, lost=before[place] - step.patients, percent=percent(step.patients, first))
        for place, step in enumerate(steps)
    )


def guilty_rule(steps: Sequence[Step]) -> str:
    """Return the rule that removed the last series, or an empty text when there was nothing to remove."""
    return next((step.rule for step in steps if not step.series), "")
