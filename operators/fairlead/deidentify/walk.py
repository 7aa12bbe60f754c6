"""The walk: one recursion over a whole data set, an action per attribute, a new data set out of it.

Elements that stay are carried over as the bytes they were read as, pixel data too; only what changes is decoded and built
anew. The source is not changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from fairlead import keys
from fairlead.deidentify import safe_private
from fairlead.deidentify.elements import Element, element_of, empty, encodings_of, like, plain_tags, values_of
from fairlead.deidentify.identity import Identity, is_well_known
from fairlead.deidentify.iod_types import NEEDED_IN
from fairlead.deidentify.items import is_sequence, items_of
from fairlead.deidentify.person import Person
from fairlead.deidentify.plain import ICC_PROFILE, NUMBERS, is_colour_profile, is_plain, is_wordless
from fairlead.deidentify.profile import Profile
from fairlead.deidentify.rules import PATIENT_ID, Action, Rules, rules_of
from fairlead.deidentify.table import LAST_META_GROUP, Option, identity_kinds, is_hidden_pixels, is_private, is_repeating, vr_of
from fairlead.deidentify.traits import CONCEPT_NAME, cleaned_item, meant_by
from fairlead.deidentify.tree import LOCAL_CODE, MEANINGS, dummy_item, is_public_code, may_stay
from fairlead.deidentify.values import DUMMIES, REMOVED, cap_age, shift_date, shift_datetime, shift_time, shift_zone
from fairlead.deidentify.words import clean_words

PATIENT_AGE: Final = 0x00101010
ISSUER: Final = 0x00100021
CLEANABLE_NAME: Final = "PN"
KNOWN_BY_FILE: Final = NUMBERS | {"SQ", "DA", "DT"}
"""Value representations that may stay in public elements that no dictionary knows: text and bytes could say anything."""
SHIFTS: Final[Mapping[str, Callable[[str, int], str | None]]] = {"DA": shift_date, "DT": shift_datetime, "TM": shift_time}


class Walk:
    """One pass over one instance."""

    def __init__(self, profile: Profile, key: bytes, *, person: Person, sop_class: str) -> None:
        self.identity = Identity()
        self._forbidden: frozenset[str] = frozenset()
        self._profile = profile
        self._key = key
        self._person = person
        self._top = rules_of(profile, sop_class=sop_class, nested=False)
        self._nested = rules_of(profile, sop_class="", nested=True)
        self._handlers: Mapping[Action, Callable[[Dataset, int, int], Element | None]] = {
            Action.REMOVE: lambda source, tag, depth: None,
            Action.EMPTY: lambda source, tag, depth: empty(tag),
            Action.DUMMY: self._dummy,
            Action.MAP_UID: self._mapped,
            Action.KEEP: self._kept,
            Action.CLEAN_TEXT: self._cleaned_text,
            Action.SHIFT: self._shifted,
            Action.CLEAN_TREE: self._tree,
            Action.PSEUDONYM: self._pseudonym,
        }

    def _rules(self, depth: int) -> Rules:
        return self._nested if depth else self._top

    # --- what identifies somebody ------------------------------------------------------------------------------------

    def remember(self, source: Dataset) -> None:
        """Collect the identity of the whole instance before anything is built: its words are forbidden everywhere."""
        self.collect(source)
        self._forbidden = self.identity.words

    def collect(self, source: Dataset, depth: int = 0) -> None:
        """Remember every identifying value that the rules do not keep, wherever it stands."""
        kinds, rules = identity_kinds(), self._rules(depth)
        encodings = encodings_of(source)
        for tag in plain_tags(source):
            kind = kinds.get(tag)
            if kind is not None and rules.get(tag) is not Action.KEEP:
                self.identity.add(element_of(source, tag), kind, encodings=encodings)
            elif is_private(tag) and element_of(source, tag).VR == CLEANABLE_NAME:  # a name, whatever its manufacturer calls it
                self.identity.add(element_of(source, tag), "name", encodings=encodings)
            elif kind is None and (tag in rules or not is_private(tag)) and is_sequence(source, tag):
                for item in items_of(source, tag, depth):
                    self.collect(item, depth + 1)

    # --- the walk ----------------------------------------------------------------------------------------------------

    def dataset(self, source: Dataset, *, depth: int, tree: bool = False) -> Dataset:
        """Return the copy of a data set or item; inside a ``tree`` only what is known to be harmless stays."""
        kept: dict[BaseTag, Element] = {}
        for tag, plain in zip(list(source.keys()), plain_tags(source), strict=True):
            element = self._element(source, plain, depth, tree=tree)
            if element is not None:
                kept[tag] = element
        return like(source, kept)

    def _element(self, source: Dataset, tag: int, depth: int, *, tree: bool) -> Element | None:
        if is_private(tag):
            return self._private(source, tag, depth)
        if is_repeating(tag) or tag >> 16 <= LAST_META_GROUP or not tag & 0xFFFF or is_hidden_pixels(tag, depth):
            return None
        action = self._rules(depth).get(tag)
        if action is not None:
            return self._handlers[action](source, tag, depth)
        return self._in_tree(source, tag, depth) if tree else self._unlisted(source, tag, depth)

    def _unlisted(self, source: Dataset, tag: int, depth: int) -> Element | None:
        """Keep a public attribute without a row, but walk into sequences, and treat names and dates as if they had one."""
        if is_sequence(source, tag):
            return self._sequence(source, tag, depth)
        raw = element_of(source, tag)
        vr = vr_of(tag)
        if vr == "UN" and (raw.VR not in KNOWN_BY_FILE or not is_wordless(raw.value)):
            return None  # no dictionary says what this is, and the file does not say that it is a number
        if vr == "SQ":
            return None if raw.value else empty(tag)  # said to be a sequence, and cannot be read as one
        stated = raw.VR if raw.VR not in (None, "UN") else vr
        if CLEANABLE_NAME in (stated, vr):
            return self._dummy(source, tag, depth)
        if stated in ("DA", "DT") and Option.RETAIN_FULL_DATES not in self._profile.options:
            return (self._shifted if Option.RETAIN_MODIFIED_DATES in self._profile.options else self._dummy)(source, tag, depth)
        return raw if self._is_as_stated(raw, tag, vr) else None

    @staticmethod
    def _is_as_stated(raw: Element, tag: int, vr: str) -> bool:
        """Return whether numbers, times and identifiers are such, and a colour profile is one: words in them are nobody's business."""
        if tag == ICC_PROFILE:
            return is_colour_profile(raw.value)
        return is_plain(raw.value, raw.VR) and (vr == raw.VR or is_plain(raw.value, vr))

    def _private(self, source: Dataset, tag: int, depth: int) -> Element | None:
        """Drop private elements, unless the profile or the packaged list names their creator and element as safe."""
        if Option.RETAIN_SAFE_PRIVATE not in self._profile.options or tag & 0xFFFF < 0x10:
            return None
        group, element = tag >> 16, tag & 0xFFFF
        creator_tag = tag if element <= 0xFF else (group << 16) | (element >> 8)
        if creator_tag not in source:
            return None
        creator = next(iter(values_of(element_of(source, creator_tag), encodings_of(source))), "")
        if not safe_private.known_block(self._profile, creator, group):
            return None
        raw = element_of(source, tag)
        if element > 0xFF and not safe_private.may_stay(self._profile, creator, tag, raw):
            return None
        return self._sequence(source, tag, depth) if is_sequence(source, tag) else raw

    # --- sequences ---------------------------------------------------------------------------------------------------

    def _sequence(self, source: Dataset, tag: int, depth: int, *, tree: bool = False) -> DataElement:
        found = items_of(source, tag, depth)
        items = [self._item(item, depth + 1, tree=tree) for item in found]
        for needed in NEEDED_IN.get(tag, ()):
            for before, after in zip(found, items, strict=True):
                if needed in before and needed not in after:
                    after[needed] = empty(needed)
        return DataElement(tag, "SQ", items)

    def _item(self, item: Dataset, depth: int, *, tree: bool) -> Dataset:
        """Return the copy of an item; a content item that says who the patient is follows the patient's own attributes."""
        copy = self.dataset(item, depth=depth, tree=tree)
        return cleaned_item(item, copy, self._profile, depth) if CONCEPT_NAME in item else copy

    def _tree(self, source: Dataset, tag: int, depth: int) -> Element:
        items = items_of(source, tag, depth) if is_sequence(source, tag) else []
        if not items:
            return empty(tag)
        cleaned = [item for item in (self._item(item, depth + 1, tree=True) for item in items) if len(item)]
        return DataElement(tag, "SQ", cleaned or [dummy_item(tag)])

    def _in_tree(self, source: Dataset, tag: int, depth: int) -> Element | None:
        if tag in LOCAL_CODE and not is_public_code(source):
            return DataElement(tag, vr_of(tag), LOCAL_CODE[tag])  # a local code may be a person's
        if tag in MEANINGS:
            stated = " ".join(values_of(element_of(source, tag), encodings_of(source)))
            return DataElement(tag, "LO", meant_by(source, stated, forbidden=self._forbidden))
        vr = vr_of(tag)
        if not may_stay(tag, vr):
            return None
        if is_sequence(source, tag):
            return self._sequence(source, tag, depth, tree=True)
        raw = element_of(source, tag)
        return raw if self._is_as_stated(raw, tag, vr) else None

    # --- actions -----------------------------------------------------------------------------------------------------

    def _kept(self, source: Dataset, tag: int, depth: int) -> Element | None:
        if is_sequence(source, tag):
            return self._sequence(source, tag, depth)
        if tag == PATIENT_AGE:
            ages = [cap_age(value, self._profile.oldest_age) for value in values_of(element_of(source, tag), [])]
            return DataElement(tag, "AS", ages[0]) if len(ages) == 1 and ages[0] else None
        raw, vr = element_of(source, tag), vr_of(tag)
        if vr == "UI":
            return raw  # judged where it becomes a name
        return raw if vr != "SQ" and self._is_as_stated(raw, tag, vr) else None

    def _dummy(self, source: Dataset, tag: int, depth: int) -> Element:
        vr = vr_of(tag)
        if vr == "SQ":
            return DataElement(tag, "SQ", [dummy_item(tag)])
        if vr == "UI":
            return self._mapped(source, tag, depth)
        return DataElement(tag, vr, DUMMIES[vr])

    def _mapped(self, source: Dataset, tag: int, depth: int) -> Element:
        if vr_of(tag) == "SQ":
            return self._sequence(source, tag, depth) if is_sequence(source, tag) else empty(tag)
        uids = [uid for uid in values_of(element_of(source, tag), []) if uid]
        new = [uid if is_well_known(uid) else keys.pseudonym_uid(self._key, uid) for uid in uids]
        return DataElement(tag, "UI", new if len(new) > 1 else "".join(new))

    def _shifted(self, source: Dataset, tag: int, depth: int) -> Element | None:
        vr = vr_of(tag)
        move = SHIFTS.get(vr, shift_zone)
        values = [value for value in values_of(element_of(source, tag), encodings_of(source)) if value]
        moved = [move(value, self._person.days) for value in values]
        if any(value is None for value in moved):
            return self._dummy(source, tag, depth)  # no date: nobody knows what else it says
        return DataElement(tag, vr, moved if len(moved) != 1 else moved[0])

    def _cleaned_text(self, source: Dataset, tag: int, depth: int) -> Element:
        allowed = self._profile.terms_by_tag.get(tag, frozenset())
        forbidden = self._forbidden
        values = values_of(element_of(source, tag), encodings_of(source))
        cleaned = [clean_words(value, forbidden=forbidden, allowed=allowed) for value in values]
        kept = [value for value in cleaned if value]
        return DataElement(tag, vr_of(tag), (kept if len(kept) > 1 else kept[0]) if kept else REMOVED)

    def _pseudonym(self, source: Dataset, tag: int, depth: int) -> Element:
        return DataElement(tag, vr_of(tag), self._nested_pseudonym(source) if depth else self._person.pseudonym)

    def _nested_pseudonym(self, item: Dataset) -> str:
        """Return the pseudonym of whom an item speaks of: that of the data set, unless it states another Patient ID or issuer."""
        patient_id, issuer = (
            "".join(values_of(element_of(item, tag), encodings_of(item))[:1]) if tag in item else "" for tag in (PATIENT_ID, ISSUER)
        )
        ours = self._person
        if not patient_id or (patient_id == ours.patient_id and issuer in ("", ours.issuer)):
            return ours.pseudonym
        return keys.pseudonym_patient(self._key, keys.patient_key(self._key, patient_id, issuer))
