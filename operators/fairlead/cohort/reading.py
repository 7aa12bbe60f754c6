"""Read a definition from a file, standard input or a mapping: JSON and YAML, bounded in size, without YAML's surprises."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final

import yaml

from fairlead.errors import InvalidDefinition, NotFound
from fairlead.records import JsonObject
from fairlead.strict_yaml import NOT_YAML, StrictLoader, load_strict, told

MAX_BYTES: Final = 8 * 1024 * 1024


class _Loader(StrictLoader):
    """Strict YAML in which an alias cannot multiply the document."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Return a node; refuse aliases, by which a small text becomes a large document."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "aliases are not allowed", None)
        return super().compose_node(parent, index)


def read_definition(source: str | Path | Mapping[str, Any]) -> JsonObject:
    """Return the document of a file (``-`` is standard input) or mapping; dates become ISO 8601 text.

    Raises
    ------
    NotFound : there is no such file; InvalidDefinition : it is neither JSON nor YAML, too large, or no mapping.
    """
    if isinstance(source, Mapping):
        return _document(source)
    name, text = _text(source)
    try:
        document = load_strict(text, _Loader)  # JSON is YAML
    except NOT_YAML as error:
        at, what = told(error)
        raise InvalidDefinition(f"The definition {name}{at} is neither JSON nor YAML: {what}.") from error
    if not isinstance(document, dict):
        raise InvalidDefinition(f"The definition {name} is no mapping.", remedy="See the examples in configs/cohorts/.")
    return _document(document)


def _text(source: str | Path) -> tuple[str, str]:
    if str(source) == "-":
        return "on standard input", sys.stdin.read(MAX_BYTES)
    file = Path(source)
    if file.is_dir():
        raise InvalidDefinition(f"{file} is a folder.", remedy="Give a JSON or YAML file, or - for standard input.")
    if not file.is_file():
        raise NotFound(f"There is no definition file {file}.", remedy="Give a JSON or YAML file, or - for standard input.")
    if file.stat().st_size > MAX_BYTES:
        raise InvalidDefinition(f"The definition {file.name} is larger than {MAX_BYTES // 1024**2} MiB.")
    try:
        return file.name, file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidDefinition(f"The definition {file.name} is not UTF-8 text.") from error


def _document(given: Mapping[Any, Any]) -> JsonObject:
    return {str(key): _plain(inner) for key, inner in given.items()}


def _plain(value: Any) -> Any:
    match value:
        case Mapping():
            return _document(value)
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case date():
            return value.isoformat()
        case _:
            return value
