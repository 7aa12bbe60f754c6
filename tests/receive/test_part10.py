import io
import struct

import pydicom
import pytest

from fairlead.errors import NotDicom
from fairlead.receive.heads import EXPLICIT_BE
from fairlead.receive.part10 import Layout, build_meta, read_layout
from receive.builders import CT, EXPLICIT, IMPLICIT, a_slice, encoded, part10


def layout_of(data):
    return read_layout(io.BytesIO(data), size=len(data))


def test_a_file_with_meta_keeps_it():
    data = part10(a_slice())
    found = layout_of(data)
    assert (found.transfer_syntax_uid, found.sop_class_uid, found.keep_meta) == (EXPLICIT, CT, True)
    assert data[found.offset :] == encoded(a_slice())


def test_meta_without_preamble_is_understood_and_replaced():
    data = part10(a_slice())[132:]
    found = layout_of(data)
    assert (found.transfer_syntax_uid, found.keep_meta) == (EXPLICIT, False)
    assert data[found.offset :] == encoded(a_slice())


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, EXPLICIT_BE])
def test_the_encoding_of_a_bare_data_set_is_recognised(syntax):
    assert layout_of(encoded(a_slice(), syntax)) == Layout(0, syntax, "", keep_meta=False)


def test_meta_without_transfer_syntax_is_replaced_after_a_look_at_the_data():
    meta = struct.pack("<HH2sH", 2, 2, b"UI", 26) + CT.encode() + b"\0"
    data = bytes(128) + b"DICM" + meta + encoded(a_slice(), IMPLICIT)
    found = layout_of(data)
    assert (found.transfer_syntax_uid, found.keep_meta, data[found.offset :]) == (IMPLICIT, False, encoded(a_slice(), IMPLICIT))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"Dear diary, today I did nothing.", "does not begin with a data set"),
        (b"\x08", "does not begin with a data set"),
        (bytes(128) + b"DICM", "a header and no data set"),
        (bytes(128) + b"DICM" + struct.pack("<HH2sHL", 2, 1, b"OB", 0, 0x7FFFFFFF), "more than 1 MiB"),
    ],
)
def test_anything_else_is_refused(data, message):
    with pytest.raises(NotDicom, match=message):
        layout_of(data)


def test_the_meta_we_write_is_read_by_pydicom():
    data = build_meta(sop_class_uid=CT, sop_instance_uid="1.2.3", transfer_syntax_uid=IMPLICIT) + encoded(a_slice(), IMPLICIT)
    image = pydicom.dcmread(io.BytesIO(data))
    assert image.file_meta.TransferSyntaxUID == IMPLICIT
    assert image.file_meta.MediaStorageSOPInstanceUID == "1.2.3"
    assert image.PatientName == "Doe^Jane"
    assert layout_of(data).offset == len(data) - len(encoded(a_slice(), IMPLICIT))
