"""The field catalogue: ``configs/fields.yaml`` and the files it includes, checked as a whole and looked up by id or alias."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, cast

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fairlead.errors import InvalidConfiguration, UnknownField
from fairlead.extract.declarations import FieldDeclaration
from fairlead.extract.tagpaths import parse_path
from fairlead.extract.vocabulary import vocabulary
from fairlead.records import Concept, ImagingRecord, Scalar
from fairlead.resources import configs_folder

ATTRIBUTES: Final = "community.*.attributes."
CUSTOM: Final = "custom."
MAX_INCLUDES: Final = 8
PLAIN: Final = frozenset({str, int, float, bool})


class CatalogueFile(BaseModel):
    """One YAML file of declarations; ``include`` names others, ``default`` is the packaged catalogue."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    include: tuple[str, ...] = ()
    fields: Annotated[tuple[FieldDeclaration, ...], Field(max_length=1000)] = ()


@dataclass(frozen=True, slots=True)
class _Plan:
    """How the values of a project's records are found, worked out once: fields by attribute, and a reader for each other place."""

    attributes: Mapping[str, tuple[str, ...]]
    custom: Mapping[str, tuple[str, ...]]
    core: tuple[tuple[str, ...], Callable[[ImagingRecord], tuple[Any, ...]]]
    readers: tuple[tuple[str, Callable[[ImagingRecord], Any]], ...]

    @staticmethod
    def of(fields: Iterable[FieldDeclaration]) -> _Plan:
        """Return the plan for these fields."""
        attributes: dict[str, tuple[str, ...]] = {}
        custom: dict[str, tuple[str, ...]] = {}
        readers: list[tuple[str, Callable[[ImagingRecord], Any]]] = []
        core: list[tuple[str, str]] = []
        for one in fields:
            for prefix, place in ((ATTRIBUTES, attributes), (CUSTOM, custom)):
                if one.path.startswith(prefix):
                    key = one.path.removeprefix(prefix)
                    place[key] = (*place.get(key, ()), one.id)
                    break
            else:
                if one.path.startswith("core."):  # these attributes exist in every record
                    core.append((one.id, one.path))
                else:
                    readers.append((one.id, partial(_resolve, path=one.path)))
        return _Plan(attributes, custom, (tuple(name for name, _ in core), _together([path for _, path in core])), tuple(readers))


@dataclass(frozen=True, slots=True)
class FieldCatalogue:
    """Every declared field by id, and the digest of the declarations and their vocabularies (a changed one is a new mapping generation)."""

    fields: Mapping[str, FieldDeclaration] = field(repr=False)
    sha256: str
    _names: Mapping[str, str] = field(repr=False)
    _plans: dict[str, _Plan] = field(default_factory=dict, repr=False, compare=False)

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
        project, community = record.core.project, record.community.dicom or record.community.ome
        plan = self._plans.get(project) or self._plans.setdefault(project, _Plan.of(self.of_project(project)))
        flat = {name: _scalars(value) for name, value in zip(plan.core[0], plan.core[1](record), strict=True) if value is not None}
        flat |= {name: _scalars(value) for name, read in plan.readers if (value := read(record)) is not None}
        for ids, stated in ((plan.attributes, community.attributes if community else {}), (plan.custom, record.custom)):
            for key, value in stated.items():
                for name in ids.get(key, ()):
                    flat[name] = _scalars(value)
        return {name: values for name, values in flat.items() if values}


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
        document: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
        return CatalogueFile.model_validate(document)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfiguration(f"The field catalogue {file} cannot be read.", remedy="Correct index.fields in the settings.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise InvalidConfiguration(f"The field catalogue {file}{f' line {mark.line + 1}' if mark else ''} is not YAML.") from error
    except ValidationError as error:
        named = document.get("fields", ()) if isinstance(document, dict) else ()
        problems = "; ".join(_problem(item["loc"], item["msg"], named) for item in error.errors(include_input=False)[:10])
        raise InvalidConfiguration(f"The field catalogue {file} does not hold: {problems}.") from error


def _problem(place: tuple[int | str, ...], message: str, declared: Any) -> str:
    names = [str(part) for part in place]
    if len(place) > 1 and isinstance(place[1], int) and isinstance(declared, list) and isinstance(declared[place[1]], dict):
        names[1] = str(declared[place[1]].get("id", place[1]))
    return f"{'.'.join(names)}: {message}"


def _resolve(record: ImagingRecord, path: str) -> Any:
    value: Any = record
    for part in path.split("."):
        value = tuple(getattr(one, part, None) for one in value) if isinstance(value, tuple) else getattr(value, part, None)
    return value


def _together(paths: Sequence[str]) -> Callable[[ImagingRecord], tuple[Any, ...]]:
    """Return a reader of several attributes at once; this is asked of every record of a load."""
    if len(paths) > 1:
        return cast("Callable[[ImagingRecord], tuple[Any, ...]]", attrgetter(*paths))
    return lambda record: tuple(attrgetter(path)(record) for path in paths)


def _scalars(value: Any) -> tuple[Scalar, ...]:
    if type(value) in PLAIN and value != "":
        return (value,)
    if type(value) is Concept:
        return (value.curie or value.raw,)
    match value:
        case None | "":
            return ()
        case tuple() | list():
            return tuple(dict.fromkeys(scalar for one in value for scalar in _scalars(one)))
        case date():
            return (value.isoformat(),)
        case _:
            return (value,)
