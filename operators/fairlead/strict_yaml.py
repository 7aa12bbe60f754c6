"""Safe YAML in which a key stands once (YAML 1.2 section 3.2.1.3): of two, the second would win without a word."""

from __future__ import annotations

from typing import Any, Final

import yaml

NOT_YAML: Final = (
    yaml.YAMLError,
    ValueError, AttributeError, LookupError,  # a day that does not exist, and what PyYAML raises on ``!!timestamp x`` and ``!!bool x``
    RecursionError,  # nested too deeply
)  # fmt: skip
"""What :func:`load_strict` raises on a text that is not YAML; :func:`told` says where and what."""
SCALARS: Final = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float", "binary", "timestamp", "str"))
LONGEST: Final = 100
SHOWN: Final = 60


class StrictLoader(yaml.SafeLoader):
    """PyYAML's safe loader, which refuses a mapping with a key that stands twice, also one that is written in two ways."""

    def compose_mapping_node(self, anchor: Any) -> Any:
        """Return a mapping as it was written, before ``<<`` brings keys of others into it: those may be overridden."""
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue  # no key of a Python mapping; the loader says so
            name = self.construct_object(key) if key.tag in SCALARS else (key.tag, key.value)
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{str(key.value)[:SHOWN]!r} stands twice", key.start_mark)
            seen.add(name)
        return node


def load_strict(text: str, loader: type[StrictLoader] = StrictLoader) -> Any:
    """Return the document that a YAML text holds; one of :data:`NOT_YAML` is raised where it is none."""
    return yaml.load(text, loader)  # noqa: S506  # a SafeLoader


def told(error: Exception) -> tuple[str, str]:
    r"""Return where a text is wrong (`` line 3``, or empty) and what is wrong there.

    >>> try:
    ...     load_strict("a: 1\nb: 2\na: 3")
    ... except NOT_YAML as error:
    ...     print(told(error))
    (' line 3', "'a' stands twice")
    """
    mark, what = getattr(error, "problem_mark", None), str(getattr(error, "problem", None) or "it cannot be parsed")
    return (f" line {mark.line + 1}" if mark is not None else ""), what[:LONGEST]
