"""Vocabularies: from the words of headers to concepts. A term nobody knows stays raw, "to map"; nothing is guessed.

Modality codes are PS3.16 CID 29 and CID 33, body parts CID 4031, 4030 and 4 (through pydicom's code dictionary); the rest, and the
spellings of everyday headers, are data in ``configs/vocabularies/*.yaml``.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from fairlead.errors import InvalidConfiguration
from fairlead.records import Concept
from fairlead.resources import configs_folder
from fairlead.strict_yaml import NOT_YAML, load_strict

MODALITY_GROUPS: Final = ("cid33", "cid29")
BODY_PART_GROUPS: Final = ("cid4", "cid4030", "cid4031")
PREFIXES: Final[Mapping[str, str]] = {
    "DCM": "DCM",
    "SCT": "SCT",
    "SRT": "SRT",
    "LN": "LN",
    "UCUM": "UCUM",
    "NCIt": "NCIT",
    "FMA": "FMA",
    "RADLEX": "RADLEX",
}
"""CURIE prefix of a CodingSchemeDesignator (PS3.16 Table 8-1); other schemes are local and give no CURIE."""

_IGNORED: Final = re.compile(r"[\s_.,^()/-]+")
_CODE: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")
    label: str | None = None
    terms: tuple[str, ...]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")
    scheme: str | None
    closed: bool = False
    aliases: Mapping[str, _Entry]
    parents: Mapping[str, tuple[str, ...]] = {}


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Terms of one field. ``scheme`` is the CURIE prefix, None for plain labels; in a closed one an unknown term is no value at all."""

    scheme: str | None
    closed: bool
    terms: Mapping[str, tuple[str, str]]
    labels: Mapping[str, str]
    children: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def concept(self, raw: str) -> Concept | None:
        """Return the concept of a raw term, with ``curie`` None while it is to map; None for an unknown term of a closed vocabulary."""
        found = self.terms.get(folded(raw))
        if found is None:
            return None if self.closed else Concept(raw=raw)
        code, label = found
        return Concept(raw=raw, curie=f"{self.scheme}:{code}" if self.scheme else None, label=label)

    def descendants(self, curie: str) -> frozenset[str]:
        """Return the concept and all that lie below it: parts of a region, kinds of a method; only itself where nothing is known.

        >>> sorted(vocabulary("body_part").descendants("SCT:303270005"))[:2]
        ['SCT:10200004', 'SCT:28231008']
        """
        found, waiting = {curie}, [curie]
        while waiting:
            new = self.children.get(waiting.pop(), frozenset()) - found
            found |= new
            waiting.extend(new)
        return frozenset(found)

    def sha256(self) -> str:
        """Return the digest of all terms, labels and parents: a changed vocabulary makes other values of the same headers."""
        children = {parent: sorted(below) for parent, below in self.children.items()}
        content = [self.scheme, self.closed, self.terms, self.labels, children]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def knows(self, raw: str) -> bool:
        """Return whether the term is one of the vocabulary's."""
        return folded(raw) in self.terms


def folded(text: str) -> str:
    """Return the text as it is compared: lower case, without spaces and separators.

    >>> folded("Head_and-Neck "), folded("GE MEDICAL SYSTEMS")
    ('headandneck', 'gemedicalsystems')
    """
    return _IGNORED.sub("", text.casefold()).strip('"')


@cache
def vocabulary(name: str) -> Vocabulary:
    """Return the vocabulary that the catalogue calls ``name``.

    Raises
    ------
    InvalidConfiguration : there is no such vocabulary, or its file does not hold.
    """
    if name == "modality":
        return _modalities()
    return _from_file(configs_folder() / "vocabularies" / f"{name}.yaml", _coded(BODY_PART_GROUPS) if name == "body_part" else {})


def curie_of(code: str, scheme: str, meaning: str = "") -> str | None:
    """Return the CURIE of a coded entry (PS3.3 section 8), SNOMED-RT codes as SNOMED CT where PS3.16 maps them; None for local schemes.

    >>> curie_of("CT", "DCM"), curie_of("T-D1100", "SRT"), curie_of("77", "99LOCAL")
    ('DCM:CT', 'SCT:69536005', None)
    """
    if not _CODE.fullmatch(code):
        return None
    if scheme in ("SRT", "SNM3", "99SDM"):
        current = _srt_as_sct(code)
        return f"SCT:{current}" if current else f"SRT:{code}"
    prefix = PREFIXES.get(scheme)
    return f"{prefix}:{code}" if prefix else None


@cache
def _srt_as_sct(code: str) -> str | None:
    asked = Code(code, "SRT", "")
    groups = (*BODY_PART_GROUPS, "cid7151", "cid7150", "cid25", "cid4021", "cid244", "cid8120", "cid7454", "cid12")
    return next((found.value for group in groups for found in _concepts(group).values() if found == asked), None)


@cache
def _concepts(group: str) -> Mapping[str, Code]:
    found: Mapping[str, Code] = getattr(codes, group).concepts
    return found


def concept_label(curie: str) -> str | None:
    """Return the words for a CURIE, for facets and pages; None when no vocabulary here knows it.

    >>> concept_label("DCM:CT"), concept_label("SCT:818981001"), concept_label("X:1")
    ('Computed Tomography', 'Abdomen', None)
    """
    return _labels().get(curie)


@cache
def _labels() -> Mapping[str, str]:
    standard = {
        f"{scheme}:{code.value}": str(code.meaning)
        for scheme in ("SCT", "DCM")
        for code in (getattr(getattr(codes, scheme), keyword, None) for keyword in getattr(codes, scheme).dir())
        if isinstance(code, Code)
    }
    for name in (*(file.stem for file in sorted((configs_folder() / "vocabularies").glob("*.yaml"))), "modality"):
        standard |= {code: label for code, label in vocabulary(name).labels.items() if ":" in code}
    return standard


def _modalities() -> Vocabulary:
    named = {code.value: str(code.meaning) for group in MODALITY_GROUPS for code in _concepts(group).values()}
    terms = {folded(code): (code, label) for code, label in named.items()}
    return Vocabulary("DCM", closed=False, terms=terms, labels={f"DCM:{code}": label for code, label in named.items()})


def _coded(groups: tuple[str, ...]) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for code in (code for group in groups for code in _concepts(group).values() if code.scheme_designator == "SCT"):
        entry = (str(code.value), str(code.meaning))
        found |= {folded(str(code.meaning)): entry, folded(str(code.value)): entry}
    return found


def _from_file(file: Path, terms: dict[str, tuple[str, str]]) -> Vocabulary:
    content = _parsed(file)
    for code, entry in content.aliases.items():
        label = entry.label or code
        terms |= {folded(term): (code, label) for term in (code, label, *entry.terms)}
    prefix = f"{content.scheme}:" if content.scheme else ""
    labels = {prefix + code: label for code, label in terms.values()}
    return Vocabulary(content.scheme, content.closed, terms, labels, _children(content.parents, prefix))


def _children(parents: Mapping[str, tuple[str, ...]], prefix: str) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for child, above in parents.items():
        for parent in above:
            found.setdefault(prefix + parent, set()).add(prefix + child)
    return {parent: frozenset(below) for parent, below in found.items()}


def _parsed(file: Path) -> _File:
    try:
        document: Any = load_strict(file.read_text(encoding="utf-8"))
        return _File.model_validate(document)
    except OSError as error:
        raise InvalidConfiguration(f"There is no vocabulary {file.stem!r}.", remedy="Add it to configs/vocabularies/.") from error
    except NOT_YAML as error:  # among them pydantic's ValidationError, a ValueError
        raise InvalidConfiguration(
            f"The vocabulary {file.name} does not hold.", remedy="See configs/vocabularies/organism.yaml."
        ) from error
