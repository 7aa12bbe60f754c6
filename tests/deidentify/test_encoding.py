"""Our encoder writes what pydicom's would: it is only faster."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread, dcmwrite
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info

from deidentify.ct_builders import a_ct, as_file, encode
from fairlead.deidentify.encoding import encoded, head_of
from fairlead.deidentify.stamp import IMPLEMENTATION_NAME, IMPLEMENTATION_UID

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
WORDS = st.text(st.sampled_from("abzAZ09 ~^=ßäéЖ山"), max_size=9)
ONE = {
    0x00080020: ("DA", st.sampled_from(["", "20200229", "19000101"])),
    0x00080060: ("CS", st.sampled_from(["", "CT", "REMOVED"])),
    0x00080104: ("LO", WORDS),
    0x00100010: ("PN", WORDS),
    0x00200010: ("SH", st.sampled_from(["a\\b", "a", "~", ""])),
    0x00204000: ("LT", WORDS | st.just("x" * 70_000)),
    0x00280010: ("US", st.integers(0, 65535)),
    0x00180050: ("DS", st.sampled_from(["1.5", "", "-2e3"])),
    0x00200013: ("IS", st.sampled_from(["7", ""])),
    0x00081150: ("UI", st.sampled_from(["1.2.3", "1.2.33", "", ["1.2", "1.3"]])),
    0x00281101: ("US", st.lists(st.integers(0, 9), min_size=3, max_size=3)),
    0x7FE00020: ("OV", st.binary(min_size=8, max_size=8)),
}


def filled(values: dict[int, object], items: list[Dataset], *, charset: list[str] | None) -> Dataset:
    dataset = Dataset()
    if charset:
        dataset.SpecificCharacterSet = charset
    for tag, value in values.items():
        dataset[tag] = DataElement(tag, ONE[tag][0], value)
    if items:
        dataset.add(DataElement(0x0040A730, "SQ", items))
    return dataset


ELEMENTS = st.fixed_dictionaries({}, optional={tag: values for tag, (_, values) in ONE.items()})
CHARSETS = st.sampled_from([None, ["ISO_IR 192"], ["ISO_IR 100"], ["", "ISO 2022 IR 87"], ["ISO_IR 13"]])
LEAF = st.builds(filled, ELEMENTS, st.just([]), charset=st.none() | CHARSETS)
NESTED = st.builds(filled, ELEMENTS, st.lists(LEAF, max_size=2), charset=st.none())


def by_pydicom(dataset: Dataset, *, implicit: bool) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = implicit, True
    write_dataset(buffer, dataset)
    return buffer.getvalue()


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom warns of characters and of long texts, which are both wanted here
@settings(max_examples=40, deadline=None)
@given(
    syntax=st.sampled_from([IMPLICIT, EXPLICIT]),
    values=ELEMENTS,
    items=st.lists(NESTED, max_size=2),
    charset=CHARSETS,
    touched=st.booleans(),
    added=LEAF,
)
def test_a_data_set_is_written_as_pydicom_writes_it(
    syntax: str, values: dict[int, object], items: list[Dataset], charset: list[str] | None, touched: bool, added: Dataset
) -> None:
    made = a_ct()
    made.update(filled(values, items, charset=charset))
    made.file_meta.TransferSyntaxUID = syntax
    read = dcmread(BytesIO(as_file(made)))
    if touched:
        [element.value for element in read.iterall()]
    read.add(DataElement(0x00400555, "SQ", [added]))
    assert encoded(read) == by_pydicom(read, implicit=syntax == IMPLICIT)


def test_items_of_undefined_length_and_of_another_encoding_are_written_as_pydicom_writes_them() -> None:
    inner, outer = Dataset(), Dataset()
    inner.CodeValue = "A"
    outer.ConceptNameCodeSequence = [inner]
    outer["ConceptNameCodeSequence"].is_undefined_length = True
    outer.is_undefined_length_sequence_item = True
    made = a_ct(ContentSequence=[outer])
    other = dcmread(BytesIO(as_file(made)))
    made.file_meta.TransferSyntaxUID = IMPLICIT
    read = dcmread(BytesIO(as_file(made)))
    read.add(DataElement(0x00400555, "SQ", list(other.ContentSequence)))
    assert encoded(read) == by_pydicom(read, implicit=True)


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, "1.2.840.10008.1.2.4.80"])
def test_file_meta_are_written_as_pydicom_writes_them(syntax: str) -> None:
    source = a_ct()
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = source.SOPClassUID, source.SOPInstanceUID
    meta.TransferSyntaxUID, meta.ImplementationClassUID, meta.ImplementationVersionName = syntax, IMPLEMENTATION_UID, IMPLEMENTATION_NAME
    buffer = DicomBytesIO(b"\0" * 128 + b"DICM")
    buffer.seek(132)
    write_file_meta_info(buffer, meta, enforce_standard=True)
    assert head_of(source, syntax=syntax) == buffer.getvalue()


def test_a_deflated_file_has_an_even_length_and_reads_back() -> None:
    made = a_ct()
    made.file_meta.TransferSyntaxUID = EXPLICIT + ".99"
    buffer = BytesIO()
    dcmwrite(buffer, made, enforce_file_format=True)
    content = encode(dcmread(BytesIO(buffer.getvalue())), syntax=EXPLICIT + ".99")
    assert len(content) % 2 == 0
    assert dcmread(BytesIO(content)).PatientName == "Mustermann^Erika"
