"""Random nested data sets through the whole of it: what is written holds no planted identity, costs no memory for pixels, and is stable."""

from __future__ import annotations

import re
import tracemalloc
from collections import Counter
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.charset import convert_encodings
from pydicom.dataelem import DataElement
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element

from deidentify.ct_builders import KEY, SHARED_GROUPS, a_ct, as_file
from fairlead import keys
from fairlead.deidentify import Deidentifier, Profile, deidentify_file, load_profile
from fairlead.deidentify.identity import is_well_known

PROFILES = {name: load_profile(name) for name in ("basic", "research-longitudinal", "keep-device")}


@dataclass(frozen=True)
class Somebody:
    """A patient: the header, its character set, and the words that nobody may find in the output."""

    header: dict[str, str]
    words: tuple[str, ...]
    charset: str | list[str] = "ISO_IR 192"


PEOPLE = {
    "a name that is nowhere else": Somebody(
        {
            "PatientName": "Zqmuster^Zqerika", "PatientID": "ZQ-0815-77", "AccessionNumber": "ZQACC5566", "OtherPatientIDs": "ZQOTHER9",
            "PatientAddress": "Zqlindenweg 12", "PatientTelephoneNumbers": "+49 30 7755331", "ReferringPhysicianName": "Zqeisenbart^Zqdoc",
            "InstitutionName": "Zqspital Nord", "PatientBirthDate": "19611224",
        },
        (
            "Zqmuster", "zqERIKA", "ZQ-0815-77", "ZQACC5566", "ZQOTHER9", "Zqlindenweg 12", "+49 30 7755331", "Zqeisenbart",
            "Zqspital Nord",
            "19611224", "24.12.1961",
        ),
    ),
    "a name of terms": Somebody(
        {"PatientName": "Hardy^Head", "PatientID": "045D", "ReferringPhysicianName": "Small^Body", "AccessionNumber": "B30F"},
        ("Hardy", "Head", "045D", "Small", "Body", "B30f"),
    ),
    "Cyrillic": Somebody({"PatientName": "Щукарёв^Семён", "PatientID": "ЩК-17"}, ("Щукарёв", "семён", "ЩК-17"), "ISO_IR 144"),
    "Greek": Somebody({"PatientName": "Παπαδόπουλος^Νίκος", "PatientID": "9917A"}, ("ΠΑΠΑΔΌΠΟΥΛΟΣ", "Νίκος", "9917A"), "ISO_IR 126"),
    "Japanese": Somebody({"PatientName": "Yamada^Tarou=山田^太郎"}, ("Yamada", "山田", "太郎"), ["", "ISO 2022 IR 87"]),
    "Latin": Somebody({"PatientName": "Müller^Änne", "PatientID": "MÜ-17"}, ("MÜLLER", "Änne"), "ISO_IR 100"),
}  # fmt: skip
"""Words of terms.txt are surnames too, and numbers such as 045D look like a thickness."""
TEXT_VRS = {"LO", "SH", "ST", "LT", "UT", "UC", "PN", "CS", "UN"}
FREE = {
    0x0008103E: "LO", 0x00081030: "LO", 0x00181030: "LO", 0x00204000: "LT", 0x00104000: "LT", 0x0040A160: "UT", 0x00321060: "LO",
    0x00080104: "LO", 0x00400007: "LO", 0x00081090: "LO", 0x00181020: "LO", 0x00380500: "UN", 0x00091001: "LO", 0x00091002: "UN",
    0x00700006: "ST", 0x30060026: "LO", 0x00420010: "ST", 0x00081250: "LO",
}  # fmt: skip
A_SEQUENCE = 0x00081250
NESTS = [SHARED_GROUPS, 0x00081140, 0x00089215, 0x0040A730, 0x00091003, 0x300A0010, 0x00400275, 0x00082112, 0x00400555]


@dataclass(frozen=True)
class Nest:
    """A sequence with one item, said to be one or hidden in UN, in either encoding."""

    tag: int
    child: object
    form: str


TEXTS = st.tuples(st.sampled_from(sorted(FREE)), st.integers(0, 10), st.sampled_from([" ", "_", ", ", "^"]))
LEAF = st.lists(TEXTS, min_size=1)


def nested(children: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    forms = st.sampled_from(["SQ", "SQ", "undefined", "UN implicit", "UN explicit"])
    return st.lists(st.builds(Nest, st.sampled_from(NESTS), children, forms), min_size=1, max_size=3)


def encoded(tree: object, somebody: Somebody, *, implicit: bool = False) -> bytes:
    """Return the elements of a tree as bytes: texts that name somebody, and nests; what is hidden in UN is hidden from pydicom too."""
    buffer, elements = DicomBytesIO(), {}
    buffer.is_implicit_VR, buffer.is_little_endian = implicit, True
    for node in tree:  # type: ignore[attr-defined]
        elements[node.tag if isinstance(node, Nest) else node[0]] = node
    for tag, node in sorted(elements.items(), key=lambda pair: pair[0]):
        if isinstance(node, Nest):
            buffer.write(_nest(node, somebody, implicit=implicit))
        elif not (implicit and tag == A_SEQUENCE):  # text in its place is refused there, where no VR says otherwise
            _, number, glue = node
            text = f"chest{glue}{somebody.words[number % len(somebody.words)]}{glue}lung"
            element = DataElement(tag, FREE[tag], text.encode() if FREE[tag] == "UN" else text)
            write_data_element(buffer, element, convert_encodings(somebody.charset))
    return buffer.getvalue()


def _nest(nest: Nest, somebody: Somebody, *, implicit: bool) -> bytes:
    """Return a sequence; inside implicit VR nothing says UN, and nothing is explicit (PS3.5 section 6.2.2)."""
    hidden = nest.form.startswith("UN") and not implicit
    undefined = nest.form == "undefined"
    content = encoded(nest.child, somebody, implicit=implicit or nest.form == "UN implicit")
    length = b"\xff\xff\xff\xff" if undefined else len(content).to_bytes(4, "little")
    item = b"\xfe\xff\x00\xe0" + length + content + b"\xfe\xff\x0d\xe0\0\0\0\0" * undefined
    whole = b"\xff\xff\xff\xff" if undefined else len(item).to_bytes(4, "little")
    vr = b"" if implicit else (b"UN" if hidden else b"SQ") + b"\0\0"
    tag = (nest.tag >> 16).to_bytes(2, "little") + (nest.tag & 0xFFFF).to_bytes(2, "little")
    return tag + vr + whole + item + b"\xfe\xff\xdd\xe0\0\0\0\0" * undefined


def source_of(tree: object, somebody: Somebody) -> bytes:
    source = a_ct(SpecificCharacterSet=somebody.charset, **somebody.header)
    source.private_block(0x0009, "ACME", create=True)
    return as_file(source) + encoded(tree, somebody)


def left_over(content: bytes, somebody: Somebody) -> list[str]:
    """Return the words of somebody that a reader finds: whole words in every text, and plain bytes where they are nobody's term."""
    texts = " ".join(str(element.value) for element in dcmread(BytesIO(content)).iterall() if element.VR in TEXT_VRS).casefold()
    tokens = set(re.split(r"[\W_]+", texts))
    common = somebody is PEOPLE["a name of terms"]
    return [
        word
        for word in somebody.words
        if (word.casefold() in tokens if common else word.casefold() in texts or word.lower().encode() in content.lower())
    ]


def test_no_planted_identity_is_in_any_written_byte(tmp_path: Path) -> None:
    ends = Counter[str]()

    @settings(max_examples=70, deadline=None)
    @given(
        tree=st.recursive(LEAF, nested, max_leaves=5),
        name=st.sampled_from(sorted(PROFILES)),
        somebody=st.sampled_from(list(PEOPLE.values())),
    )
    def each(tree: object, name: str, somebody: Somebody) -> None:
        (tmp_path / "a.dcm").write_bytes(source_of(tree, somebody))
        outcome = deidentify_file(tmp_path / "a.dcm", Deidentifier(PROFILES[name], KEY))
        assert outcome.content or outcome.reason.startswith("residual-identity")
        assert not outcome.content or left_over(outcome.content, somebody) == []
        ends["written" if outcome.content else "quarantined"] += 1

    each()
    assert ends["written"] > 0.9 * ends.total()


@settings(max_examples=25, deadline=None)
@given(tree=st.recursive(LEAF, nested, max_leaves=4))
def test_a_second_pass_changes_pseudonyms_and_nothing_else(tree: object) -> None:
    """A pseudonym is an identifier like any other: it is mapped again, by the same key; every other value is as the first pass left it."""
    engine, somebody = Deidentifier(Profile(name="p", title="t"), KEY), PEOPLE["a name that is nowhere else"]
    once = engine.apply(dcmread(BytesIO(source_of(tree, somebody))))
    twice = engine.apply(once)
    name = keys.pseudonym_patient(KEY, keys.patient_key(KEY, once.PatientID))
    assert twice.PatientID == name != once.PatientID
    before, after = list(once.iterall()), list(twice.iterall())
    assert [element.tag for element in after] == [element.tag for element in before]
    for first, second in zip(before, after, strict=True):
        if first.VR == "UI":
            assert second.value == (first.value if is_well_known(str(first.value)) else keys.pseudonym_uid(KEY, str(first.value)))
        elif first.VR != "SQ":
            assert second.value == (name if str(first.value) == once.PatientID else first.value)


HUGE = 96 * 1024 * 1024


@pytest.mark.parametrize("encapsulated", [False, True], ids=["native", "encapsulated"])
def test_memory_does_not_grow_with_the_pixels(tmp_path: Path, *, encapsulated: bool) -> None:
    image = a_ct(
        NumberOfFrames=48, Rows=1024, Columns=1024, BitsAllocated=16, BitsStored=16, HighBit=15, SamplesPerPixel=1, PixelRepresentation=0
    )
    image.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.80" if encapsulated else "1.2.840.10008.1.2.1"
    element = b"\xe0\x7f\x10\x00OW\0\0" + HUGE.to_bytes(4, "little")
    if encapsulated:
        item = b"\xfe\xff\x00\xe0"
        element = b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + item + bytes(4) + item + HUGE.to_bytes(4, "little")
    header = as_file(image) + element
    with (tmp_path / "large.dcm").open("wb") as file:
        file.write(header)
        file.truncate(len(header) + HUGE)  # a hole: nothing is written to the disk
        if encapsulated:
            file.seek(0, 2)
            file.write(b"\xfe\xff\xdd\xe0\0\0\0\0")
    from fairlead.deidentify import deidentify_folder

    tracemalloc.start()
    profile = Profile(name="p", title="t", dciodvfy="off")
    report = deidentify_folder(tmp_path / "large.dcm", tmp_path / "out", profile=profile, key=KEY)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert report.written == 1, report.quarantined
    assert next((tmp_path / "out").rglob("*.dcm")).stat().st_size > HUGE
    assert peak < 16 * 1024 * 1024
