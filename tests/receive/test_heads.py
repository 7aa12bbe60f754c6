import io
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

from fairlead.errors import FairleadError, InvalidUid, NotDicom, UnreadableImage
from fairlead.receive.heads import DEFLATED_LE, EXPLICIT_BE, Head, Walker, find_uids, glance, is_whole, read_beginning, read_head
from receive.builders import CT, EXPLICIT, IMPLICIT, STUDY, a_slice, encoded

HEAD = Head(CT, f"{STUDY}.1.1", STUDY, f"{STUDY}.1")


def head_of(data, syntax=EXPLICIT):
    return read_head(io.BytesIO(data), offset=0, size=len(data), transfer_syntax_uid=syntax)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, EXPLICIT_BE])
def test_the_identity_is_found_in_every_encoding(syntax):
    assert head_of(encoded(a_slice(), syntax), syntax) == HEAD


def test_the_identity_is_found_in_a_deflated_data_set():
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    data = deflate.compress(encoded(a_slice())) + deflate.flush()
    assert head_of(data, DEFLATED_LE) == HEAD


@pytest.mark.parametrize("undefined", [False, True], ids=["defined length", "undefined length"])
@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_uids_inside_sequences_are_not_taken_for_the_instance(syntax, undefined):
    inner = Dataset()
    inner.SOPInstanceUID = UID("9.9.9")
    inner.SeriesInstanceUID = UID("9.9.8")
    outer = Dataset()
    outer.ReferencedSeriesSequence = Sequence([inner])
    image = a_slice()
    image.ReferencedStudySequence = Sequence([outer, inner])
    for item in (image["ReferencedStudySequence"], outer["ReferencedSeriesSequence"]):
        item.is_undefined_length = undefined
        for dataset in item.value:
            dataset.is_undefined_length_sequence_item = undefined
    assert head_of(encoded(image, syntax), syntax) == HEAD


def test_an_unknown_element_of_undefined_length_is_read_as_implicit():
    item = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF) + struct.pack("<HHL", 0x0009, 0x1002, 4) + b"abcd"
    item += struct.pack("<HHL", 0xFFFE, 0xE00D, 0) + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    private = struct.pack("<HH2sHL", 0x0009, 0x1001, b"UN", 0, 0xFFFFFFFF) + item
    data = encoded(a_slice())
    at = data.index(struct.pack("<HH", 0x0010, 0x0010))
    assert head_of(data[:at] + private + data[at:]) == HEAD


@pytest.mark.parametrize(
    ("keyword", "message"),
    [
        ("SOPInstanceUID", r"no SOP Instance UID \(0008,0018\)"),
        ("SOPClassUID", r"no SOP Class UID \(0008,0016\)"),
        ("StudyInstanceUID", r"no Study Instance UID \(0020,000D\)"),
        ("SeriesInstanceUID", r"no Series Instance UID \(0020,000E\)"),
    ],
)
def test_a_missing_uid_is_named(keyword, message):
    image = a_slice()
    delattr(image, keyword)
    with pytest.raises(InvalidUid, match=message):
        head_of(encoded(image))


def test_a_uid_that_is_a_path_is_refused():
    data = encoded(a_slice()).replace(f"{STUDY}.1.1".encode(), b"../../evil".ljust(len(f"{STUDY}.1.1"), b"x"))
    with pytest.raises(InvalidUid, match="not digits and dots"):
        head_of(data)


def test_a_data_set_without_identity_is_not_dicom():
    with pytest.raises(NotDicom, match="neither"):
        head_of(struct.pack("<HH2sH", 8, 5, b"CS", 2) + b"A ")


def test_a_length_beyond_the_end_is_refused_without_reading_it():
    data = struct.pack("<HH2sHL", 8, 1, b"OB", 0, 0xFFFFFFF0) + b"x" * 20
    with pytest.raises(UnreadableImage, match="claims more bytes"):
        head_of(data)


def test_sequences_nested_without_end_are_refused():
    level = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF) + struct.pack("<HH2sHL", 8, 0x1140, b"SQ", 0, 0xFFFFFFFF)
    with pytest.raises(UnreadableImage, match="deeper than 64"):
        head_of(struct.pack("<HH2sHL", 8, 0x1140, b"SQ", 0, 0xFFFFFFFF) + level * 5000)


def test_broken_deflate_is_refused():
    with pytest.raises(UnreadableImage, match="inflated"):
        head_of(b"\xff" * 100, DEFLATED_LE)


def test_elements_without_end_are_refused():
    with pytest.raises(UnreadableImage, match="more than 200000"):
        head_of(struct.pack("<HH2sH", 8, 1, b"CS", 0) * 200_001)


def ends_of_elements():
    image = a_slice()
    tags = sorted(image.keys())
    return {len(encoded(Dataset({tag: image[tag] for tag in tags[:count]}))) for count in range(len(tags) + 1)}


WHOLE = encoded(a_slice())
ENDS = ends_of_elements()


@given(st.integers(0, len(WHOLE)))
def test_a_truncated_copy_gives_the_right_identity_or_a_refusal_and_is_whole_only_between_elements(cut):
    try:
        assert head_of(WHOLE[:cut]) == HEAD
    except FairleadError:
        assert cut < WHOLE.index(b"\x20\x00\x13\x00") + 8  # behind the header of the element that follows the series
    assert is_whole(io.BytesIO(WHOLE[:cut]), offset=0, size=cut, transfer_syntax_uid=EXPLICIT) == (cut in ENDS)


@given(st.integers(0, len(WHOLE)))
def test_a_beginning_gives_the_identity_only_when_all_of_it_was_seen(cut):
    try:
        assert read_beginning(WHOLE[:cut], transfer_syntax_uid=EXPLICIT) == HEAD
    except FairleadError:
        assert cut < WHOLE.index(b"\x20\x00\x13\x00") + 12


@given(st.binary(max_size=400))
def test_a_glance_says_what_the_walk_says_or_nothing(data):
    found = glance(data)
    assert not found or found == find_uids(Walker(io.BytesIO(data), end=len(data), transfer_syntax_uid=EXPLICIT))


def test_a_whole_copy_is_whole():
    data = encoded(a_slice())
    assert is_whole(io.BytesIO(data), offset=0, size=len(data), transfer_syntax_uid=EXPLICIT)
    assert is_whole(io.BytesIO(b""), offset=0, size=0, transfer_syntax_uid=DEFLATED_LE)


@given(st.binary(max_size=400), st.sampled_from([EXPLICIT, IMPLICIT, EXPLICIT_BE, DEFLATED_LE]))
def test_any_bytes_give_an_identity_or_a_refusal(data, syntax):
    with pytest.raises(FairleadError):
        head_of(data, syntax)
