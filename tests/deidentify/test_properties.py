"""Random nested data sets through the whole of it: what is written holds no planted identity, costs no memory for pixels, and is stable."""

from __future__ import annotations

import copy
import tempfile
import tracemalloc
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from deidentify.ct_builders import KEY, SHARED_GROUPS, a_ct, as_file
from fairlead.deidentify import Deidentifier, Profile, deidentify_file, load_profile

PROFILES = {name: load_profile(name) for name in ("basic", "research-longitudinal", "keep-device")}
IDENTITY = {
    "PatientName": "Zqmuster^Zqerika", "PatientID": "ZQ-0815-77", "AccessionNumber": "ZQACC5566", "OtherPatientIDs": "ZQOTHER9",
    "PatientAddress": "Zqlindenweg 12", "PatientTelephoneNumbers": "+49 30 7755331", "ReferringPhysicianName": "Zqeisenbart^Zqdoc",
    "InstitutionName": "Zqspital Nord",
}  # fmt: skip
WORDS = [
    "Zqmuster",
    "zqERIKA",
    "ZQ-0815-77",
    "ZQACC5566",
    "ZQOTHER9",
    "Zqlindenweg 12",
    "+49 30 7755331",
    "Zqeisenbart",
    "Zqspital Nord",
    "19611224",
]
FREE = {
    0x0008103E: "LO", 0x00081030: "LO", 0x00181030: "LO", 0x00204000: "LT", 0x00104000: "LT", 0x0040A160: "UT", 0x00321060: "LO",
    0x00080104: "LO", 0x00400007: "LO", 0x00081090: "LO", 0x00181020: "LO", 0x00380500: "UN", 0x00091001: "LO", 0x00091002: "UN",
    0x00700006: "ST", 0x30060026: "LO", 0x00420010: "ST", 0x00081250: "LO",
}  # fmt: skip
NESTS = [SHARED_GROUPS, 0x00081140, 0x00089215, 0x0040A730, 0x00091003, 0x300A0010, 0x00400275, 0x00082112, 0x00400555]


def planted(words: list[tuple[int, str, str]]) -> Dataset:
    item = Dataset()
    for tag, word, glue in words:
        text = f"chest{glue}{word}{glue}lung"
        item.add(DataElement(tag, FREE[tag], text.encode() if FREE[tag] == "UN" else text))
    return item


LEAF = st.lists(st.tuples(st.sampled_from(sorted(FREE)), st.sampled_from(WORDS), st.sampled_from([" ", "_", ", ", "^"])), min_size=1).map(
    planted
)


def nested(children: st.SearchStrategy[Dataset]) -> st.SearchStrategy[Dataset]:
    def build(pairs: list[tuple[int, Dataset]]) -> Dataset:
        dataset = Dataset()
        for tag, child in pairs:
            dataset.add(DataElement(tag, "SQ", [copy.deepcopy(child)]))
        return dataset

    return st.lists(st.tuples(st.sampled_from(NESTS), children), min_size=1, max_size=3).map(build)


@settings(max_examples=70, deadline=None)
@given(tree=st.recursive(LEAF, nested, max_leaves=5), name=st.sampled_from(sorted(PROFILES)))
def test_no_planted_identity_is_in_any_written_byte(tree: Dataset, name: str) -> None:
    source = a_ct(**IDENTITY, PatientBirthDate="19611224", SpecificCharacterSet="ISO_IR 192")
    source.private_block(0x0009, "ACME", create=True)
    for element in tree:
        source.add(element)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.dcm"
        path.write_bytes(as_file(source))
        outcome = deidentify_file(path, Deidentifier(PROFILES[name], KEY))
    found = [word for word in WORDS if word.lower().encode() in outcome.content.lower()]
    assert found == []
    assert outcome.content or outcome.reason.startswith("residual-identity")


@settings(max_examples=25, deadline=None)
@given(tree=st.recursive(LEAF, nested, max_leaves=4))
def test_a_nested_data_set_is_done_after_one_pass(tree: Dataset) -> None:
    engine = Deidentifier(Profile(name="p", title="t"), KEY)
    source = a_ct(**IDENTITY)
    for element in tree:
        source.add(element)
    once = engine.apply(dcmread(BytesIO(as_file(source))))
    twice = engine.apply(once)
    assert [element.tag for element in twice.iterall()] == [element.tag for element in once.iterall()]


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
