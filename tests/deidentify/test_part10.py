"""Pixel values stay in the file until they are copied, and arrive as they were, in every layout."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames

from deidentify.ct_builders import KEY, a_ct, as_file, encode
from fairlead.deidentify import Deidentifier, Profile, deidentify_file, load_profile
from fairlead.deidentify.part10 import DEFER_BYTES, read_source
from fairlead.deidentify.parts import Span, size_of
from fairlead.errors import UnreadableImage

ENGINE = Deidentifier(Profile(name="p", title="t"), KEY)
LARGE = DEFER_BYTES * 2
PIXELS = struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OW", 0, 0)


def an_image(**changes: object) -> Dataset:
    layout = {"Rows": 256, "Columns": 256, "BitsAllocated": 16, "BitsStored": 16, "HighBit": 15, "SamplesPerPixel": 1}
    return a_ct(PixelData=os.urandom(LARGE), PixelRepresentation=0, PhotometricInterpretation="MONOCHROME2", **layout, **changes)


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_large_pixel_data_are_pointed_at_and_copied(tmp_path: Path) -> None:
    image = an_image()
    outcome = deidentify_file(written(tmp_path / "a", as_file(image)), ENGINE)
    spans = [part for part in outcome.parts if isinstance(part, Span)]
    assert [span.size for span in spans] == [LARGE]
    assert size_of(outcome.parts) == len(outcome.content)
    assert dcmread(BytesIO(outcome.content)).PixelData == image.PixelData


@pytest.mark.parametrize("size", [300, LARGE // 2], ids=["small", "large"])
def test_compressed_frames_and_their_offset_table_are_copied(tmp_path: Path, size: int) -> None:
    frames = [os.urandom(size), os.urandom(size)]
    image = an_image(NumberOfFrames=2)
    image.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.80"
    image.PixelData = encapsulate(frames, has_bot=True)
    image["PixelData"].VR = "OB"
    outcome = deidentify_file(written(tmp_path / "a", as_file(image)), ENGINE)
    output = dcmread(BytesIO(outcome.content))
    assert list(generate_frames(output.PixelData, number_of_frames=2)) == frames
    assert output.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.80"


def test_what_follows_the_pixels_is_treated_like_the_rest(tmp_path: Path) -> None:
    image = an_image()
    image.add_new(0x7FE10010, "LO", "ACME")
    image.add_new(0x7FE11001, "LO", "Mustermann")
    image.add_new(0x7FE11002, "DS", "1.5")
    image.add_new(0xFFFCFFFC, "OB", b"Mustermann padding")
    safe = [{"creator": "ACME", "group": "7FE1", "elements": ["02"]}]
    profile = Profile.model_validate({"name": "p", "title": "t", "options": ["retain_safe_private"], "safe_private": safe})
    outcome = deidentify_file(written(tmp_path / "a", as_file(image)), Deidentifier(profile, KEY))
    output = dcmread(BytesIO(outcome.content))
    assert b"Mustermann" not in outcome.content
    assert [int(tag) for tag in output if tag.tag > 0x7FE00010 for tag in [tag.tag]] == [0x7FE10010, 0x7FE11002]
    assert output.PixelData == image.PixelData


def test_pixel_data_of_odd_length_are_padded(tmp_path: Path) -> None:
    content = as_file(an_image())
    head = content[: content.rindex(PIXELS[:8])]
    odd = head + struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OW", 0, LARGE + 1) + b"x" * (LARGE + 1)
    outcome = deidentify_file(written(tmp_path / "a", odd), ENGINE)
    assert outcome.content.endswith(struct.pack("<L", LARGE + 2) + b"x" * (LARGE + 1) + b"\0")


@pytest.mark.parametrize("cut", [1, LARGE, LARGE + 13], ids=["in-pixels", "before-pixels", "in-header"])
def test_a_file_that_ends_inside_an_element_is_refused(tmp_path: Path, cut: int) -> None:
    path = written(tmp_path / "a", as_file(an_image())[:-cut])
    with pytest.raises(UnreadableImage, match="ends in the middle"):
        read_source(path)


def test_fragments_that_do_not_chain_are_read_until_their_delimiter(tmp_path: Path) -> None:
    image = an_image()
    image.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.80"
    image.PixelData = encapsulate([os.urandom(LARGE)])
    image["PixelData"].VR = "OB"
    content = as_file(image)
    broken = content.replace(b"\xfe\xff\x00\xe0" + struct.pack("<L", LARGE), b"\xfe\xff\x00\xe0" + struct.pack("<L", LARGE - 7), 1)
    source = read_source(written(tmp_path / "a", broken))
    assert source.pixels == {}
    assert deidentify_file(tmp_path / "a", ENGINE).content.count(b"\xfe\xff\xdd\xe0") == 1


def test_a_source_that_changes_before_it_is_copied_is_noticed(tmp_path: Path) -> None:
    path = written(tmp_path / "a", as_file(an_image()))
    outcome = deidentify_file(path, ENGINE)
    path.write_bytes(as_file(an_image())[:-2])
    with pytest.raises(UnreadableImage, match="changed"):
        _ = outcome.content


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"])
def test_every_native_encoding_keeps_its_pixels(tmp_path: Path, syntax: str) -> None:
    image = an_image()
    image.file_meta.TransferSyntaxUID = syntax
    image["PixelData"].VR = "OW"
    outcome = deidentify_file(written(tmp_path / "a", as_file(image)), ENGINE)
    output = dcmread(BytesIO(outcome.content))
    assert (output.file_meta.TransferSyntaxUID, output.PixelData == image.PixelData) == (syntax, True)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"])
def test_what_was_not_changed_is_written_as_pydicom_would(tmp_path: Path, syntax: str) -> None:
    source = a_ct(AccessionNumber="", LossyImageCompressionRatio="1.5", RedPaletteColorLookupTableData=b"ab" * 40_000, Rows=3)
    source.file_meta.TransferSyntaxUID = syntax
    buffer = BytesIO()
    little = not syntax.endswith(".2.2")
    dcmwrite(buffer, source, implicit_vr=syntax.endswith("8.1.2"), little_endian=little, enforce_file_format=True)
    read = dcmread(BytesIO(buffer.getvalue()))
    assert encode(read, syntax=syntax).endswith(buffer.getvalue()[read.file_meta.FileMetaInformationGroupLength + 144 :])


SAME = """
import sys, hashlib
from pathlib import Path
from fairlead.deidentify import Deidentifier, deidentify_file, load_profile
engine = Deidentifier(load_profile("research-longitudinal"), bytes(range(32)))
print(hashlib.sha256(deidentify_file(Path(sys.argv[1]), engine).content).hexdigest())
"""


def test_every_process_writes_the_same_bytes(tmp_path: Path) -> None:
    path = written(tmp_path / "a", as_file(an_image(SeriesDescription="axial Mustermann lung", OtherPatientIDs=["A1234", "B1234"])))
    command = [sys.executable, "-c", SAME, str(path)]
    other = subprocess.run(command, env=os.environ | {"PYTHONHASHSEED": "1"}, capture_output=True, check=True, text=True)
    ours = deidentify_file(path, Deidentifier(load_profile("research-longitudinal"), KEY)).content
    assert other.stdout.strip() == sha256(ours).hexdigest()
