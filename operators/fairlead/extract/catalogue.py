"""The field catalogue: ``configs/fields.yaml`` and the files it includes, checked as a whole and looked up by id or alias."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fairlead.errors import InvalidConfiguration, UnknownField
from fairlead.extract.declarations import FieldDeclaration
from fairlead.extract.tagpaths import parse_path
from fairlead.extract.vocabulary import vocabulary
from fairlead.records import ImagingRecord, Scalar
from fairlead.resources import configs_folder
from fairlead.strict_yaml import NOT_YAML, load_strict, told

ATTRIBUTES: Final = "community.*.attributes."
COMMUNITIES: Final = ("dicom", "ome")
CUSTOM: Final = "custom."
MAX_INCLUDES: Final = 8
PLAIN: Final = frozenset({str, int, float, bool})


class CatalogueFile(BaseModel):
    """One YAML file of declarations; ``include`` names others, ``default`` is the packaged catalogue."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    include: tuple[str, ...] = ()
    fields: Annotated[tuple[FieldDeclaration, ...], Field(max_length=1000)] = ()


type _Places = dict[str, tuple[str, ...] | _Places]
"""Where the fields of a project stand in a record's JSON document: by key the ids of what ends there, or what lies below."""


def _places(fields: Iterable[FieldDeclaration]) -> _Places:
    """Return the places of these fields; the ids of promoted and custom fields are one key, dots and all."""
    found: _Places = {}
    for one in fields:
        if one.path.startswith(ATTRIBUTES):
            for community in COMMUNITIES:
                _note(found, ("community", community, "attributes", one.path.removeprefix(ATTRIBUTES)), one.id)
        elif one.path.startswith(CUSTOM):
            _note(found, ("custom", one.path.removeprefix(CUSTOM)), one.id)
        else:
            _note(found, tuple(one.path.split(".")), one.id)
    return found


def _note(places: _Places, path: tuple[str, ...], name: str) -> None:
    key, *rest = path
    here = places.get(key, {} if rest else ())
    if isinstance(here, dict) and rest:
        places[key] = here
        _note(here, tuple(rest), name)
    elif isinstance(here, tuple) and not rest:
        places[key] = (*here, name)
    else:
        raise InvalidConfiguration(f"Field {name!r} stands where another field has its parts.", remedy="Give it another path.")


def _read(document: Mapping[str, Any], places: _Places, flat: dict[str, tuple[Scalar, ...]]) -> None:
    """Put what the document states into ``flat``; asked of every record of a load, so it walks what is there, not what could be."""
    for key, value in document.items():
        here = places.get(key)
        if type(here) is tuple:
            found = (value,) if type(value) in PLAIN and value != "" else _scalars(value)
            if found:
                for name in here:
                    flat[name] = found
        elif type(here) is dict:
            _read(value if type(value) is dict else {end: [one.get(end) for one in value] for end in here}, here, flat)


@dataclass(frozen=True, slots=True)
class FieldCatalogue:
    """Every declared field by id, and the digest of the declarations and their vocabularies (a changed one is a new mapping generation)."""

    fields: Mapping[str, FieldDeclaration] = field(repr=False)
    sha256: str
    _names: Mapping[str, str] = field(repr=False)
    _by_project: dict[str, _Places] = field(default_factory=dict, repr=False, compare=False)

    def get(self, name: str) -> FieldDeclaration:
        """Return the declaration of an id or alias.

        Raises
        ------
        UnknownField : nothing is declared under the name; the remedy holds the nearest names.
        """
        if name in self._names:
            return self.fields[self._names[name]]
        close = difflib.get_close_matches(name, self._names, n=3, cutoff=0.6)
        nearest = ", ".join(repr(found) for found in close)
        raise UnknownField(
            f"Field {name[:100]!r} is not in the catalogue.",
            remedy=f"Did you mean {nearest}?" if close else "Declare it in configs/fields.yaml, or use one of docs/fields.md.",
        )

    def of_project(self, project: str) -> Iterator[FieldDeclaration]:
        """Yield the fields that records of ``project`` carry: those of all, and its own custom ones."""
        return (declared for declared in self.fields.values() if declared.project in (None, project))

    def values(self, record: ImagingRecord) -> Mapping[str, tuple[Scalar, ...]]:
        """Return the record's values by field id, flattened for an index; fields without a value are absent.

        A concept gives its CURIE, or the raw text while it is still to map; dates are ISO 8601 texts.
        """
        return self.values_of(record.model_dump(mode="json", exclude_none=True), record.core.project)

    def values_of(self, document: Mapping[str, Any], project: str) -> Mapping[str, tuple[Scalar, ...]]:
        """Return the same for a record as its JSON document without what is not stated."""
        places = self._by_project.get(project) or self._by_project.setdefault(project, _places(self.of_project(project)))
        flat: dict[str, tuple[Scalar, ...]] = {}
        _read(document, places, flat)
        return flat


def load_catalogue(file: Path) -> FieldCatalogue:
    """Read a catalogue file and all it includes.

    Raises
    ------
    InvalidConfiguration : broken YAML, a declaration that does not hold, an id or alias declared twice, or a loop of includes.
    """
    declared = tuple(_declarations(file, seen=()))
    names: dict[str, str] = {}
    for name, owner in ((name, one.id) for one in declared for name in (one.id, *one.aliases)):
        if name in names:
            raise InvalidConfiguration(f"The field catalogue {file} declares {name!r} twice.", remedy="Give one of them another name.")
        names[name] = owner
    if not declared:
        raise InvalidConfiguration(f"The field catalogue {file} declares no field.", remedy="Begin it with `include: [default]`.")
    for one in declared:
        _check_sources(one)
    fields = {one.id: one for one in declared}
    return FieldCatalogue(MappingProxyType(fields), _digest(declared), MappingProxyType(names))


def _check_sources(declared: FieldDeclaration) -> None:
    """Refuse paths without meaning, paths to a person's identity, and vocabularies that do not exist, before any header is read."""
    try:
        for text in declared.source.dicom:
            parse_path(text)
        if declared.vocabulary is not None:
            vocabulary(declared.vocabulary)
    except InvalidConfiguration as error:
        raise InvalidConfiguration(f"Field {declared.id!r}: {error.message}", remedy=error.remedy) from error


def _digest(declared: Iterable[FieldDeclaration]) -> str:
    documents = sorted((one.model_dump(mode="json") for one in declared), key=lambda document: str(document["id"]))
    words = {one.vocabulary: vocabulary(one.vocabulary).sha256() for one in declared if one.vocabulary is not None}
    return hashlib.sha256(json.dumps([documents, words], sort_keys=True).encode()).hexdigest()


def _declarations(file: Path, *, seen: tuple[Path, ...]) -> Iterator[FieldDeclaration]:
    here = file.resolve()
    if here in seen or len(seen) >= MAX_INCLUDES:
        raise InvalidConfiguration(f"The field catalogue {file} includes itself, or too many others in a chain.")
    content = _parsed(file)
    for name in content.include:
        included = configs_folder() / "fields.yaml" if name == "default" else file.parent / name
        yield from _declarations(included, seen=(*seen, here))
    yield from content.fields


def _parsed(file: Path) -> CatalogueFile:
    try:
        document: Any = load_strict(file.read_text(encoding="utf-8"))
        return CatalogueFile.model_validate(document)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfiguration(f"The field catalogue {file} cannot be read.", remedy="Correct index.fields in the settings.") from error
    except ValidationError as error:
        named = document.get("fields", ()) if isinstance(document, dict) else ()
        problems = "; ".join(_problem(item["loc"], item["msg"], named) for item in error.errors(include_input=False)[:10])
        raise InvalidConfiguration(f"The field catalogue {file} does not hold: {problems}.") from error
    except NOT_YAML as error:  # a ValidationError is a ValueError, too: it has its own words above
        line, what = told(error)
        raise InvalidConfiguration(f"The field catalogue {file}{line} does not hold: {what}.") from error


def _problem(place: tuple[int | str, ...], message: str, declared: Any) -> str:
    names = [str(part) for part in place]
    if len(place) > 1 and isinstance(place[1], int) and isinstance(declared, list) and isinstance(declared[place[1]], dict):
        names[1] = str(declared[place[1]].get("id", place[1]))
    return f"{'.'.join(names)}: {message}"


def _scalars(value: Any) -> tuple[Scalar, ...]:
    if type(value) in PLAIN:
        return (value,) if value != "" else ()
    if isinstance(value, list):
        return tuple(dict.fromkeys([one for one in value if one != "" and one is not None]))
    if isinstance(value, dict):  # a concept: its code, or what was written while it is still to map
        return (value.get("curie") or value["raw"],)
    return ()
