"""What people write to configure us, read so that every mistake is named where it was made: YAML files and ``FAIRLEAD_*`` variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from fairlead.errors import InvalidConfiguration
from fairlead.strict_yaml import NOT_YAML, load_strict, told

PREFIX: Final = "FAIRLEAD_"
NO_SETTINGS: Final = ("FAIRLEAD_CONFIG", "FAIRLEAD_PROJECT_KEY_", "FAIRLEAD_TEST_DATA", "FAIRLEAD_PROBE", "FAIRLEAD_SCREENSHOTS")
"""Variables, or their beginnings, that are ours and name no setting."""


def read_mapping(file: Path, what: str) -> dict[str, Any]:
    """Return the mapping that a YAML file holds, empty for an empty file.

    Raises
    ------
    InvalidConfiguration : it cannot be read, is no text, is not YAML, has a key twice, or holds something else than named values.
    """
    try:
        document = load_strict(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidConfiguration(
            f"The {what} {file} cannot be read ({error.strerror}).", remedy="Restore the file, or name another."
        ) from error
    except UnicodeDecodeError as error:
        raise InvalidConfiguration(f"The {what} {file} is not YAML: it is no text.") from error
    except NOT_YAML as error:
        at, problem = told(error)
        raise InvalidConfiguration(f"The {what} {file}{at} is not YAML: {problem}.") from error
    if document is None:
        return {}
    if not isinstance(document, dict) or not all(isinstance(key, str) for key in document):
        raise InvalidConfiguration(f"The {what} {file} holds no named values (a YAML mapping).")
    return document


def unknown_variables(model: type[BaseModel], environment: Mapping[str, str] | None = None) -> list[str]:
    """Return a sentence for each ``FAIRLEAD_*`` variable that sets nothing, with the name that was probably meant.

    >>> from fairlead.settings import Settings
    >>> unknown_variables(Settings, {"FAIRLEAD_HOEM": "/data"})
    ['FAIRLEAD_HOEM is no setting; did you mean FAIRLEAD_HOME?']
    """
    known = sorted(known_variables(model))
    values = os.environ if environment is None else environment
    found = []
    for name in sorted(values):
        said_by_kubernetes = "_SERVICE_" in name or values[name].startswith("tcp://")  # of a service that is called fairlead
        if name.startswith(PREFIX) and name.upper() not in known and not name.startswith(NO_SETTINGS) and not said_by_kubernetes:
            near = get_close_matches(name, known, n=1)
            found.append(f"{name} is no setting" + (f"; did you mean {near[0]}?" if near else "."))
    return found


def known_variables(model: type[BaseModel], prefix: str = PREFIX) -> set[str]:
    """Return the name of every variable that sets something."""
    names: set[str] = set()
    for name, field in model.model_fields.items():
        names.add(prefix + name.upper())
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            names |= known_variables(field.annotation, f"{prefix}{name.upper()}__")
    return names


def unreadable_variables(model: type[BaseModel]) -> list[str]:
    """Return the variables that should hold JSON, because they set a list or a whole section, and do not look like it."""
    known = known_variables(model)
    return sorted(name for name in os.environ if name.upper() in known and not _is_json(os.environ[name]))


def _is_json(text: str) -> bool:
    return text.strip()[:1] in ("{", "[")


def place_of(place: tuple[int | str, ...]) -> str:
    """Name what is wrong as its author wrote it: the variable when there is one, else the key in the file."""
    for depth in range(len(place), 0, -1):
        variable = PREFIX + "__".join(map(str, place[:depth])).upper()
        if variable in os.environ:
            return variable
    return ".".join(map(str, place))
