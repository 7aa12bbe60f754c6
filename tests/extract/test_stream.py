"""The headers of a series by their differences: the same values as pydicom, on every real series, any mix and any damage."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.uid import ImplicitVRLittleEndian

from extract.builders import a_code, an_instance, an_item, as_in_the_wild, items, the_record, write, write_series
from fairlead.errors import FairleadError
from fairlead.extract import FieldCatalogue
from fairlead.extract.headers import PARSE_ERRORS, quiet_readers, read_header
from fairlead.extract.stream import LARGEST_BYTES, HeaderStream


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.CRITICAL, logger="pydicom")
    with quiet_readers():  # the bundle's odd values, and damage on purpose
        yield


def content(dataset: Dataset) -> dict[int, Any]:
    """Return every value by tag, as pydicom decodes it; what it cannot decode by the kind of error."""
    found: dict[int, Any] = {}
    for tag in list(dataset.keys()):
        try:
            element = dataset[tag]
            found[int(tag)] = (str(element.VR), [content(item) for item in element.value] if element.VR == "SQ" else element.value)
        except PARSE_ERRORS as error:
            found[int(tag)] = type(error).__name__
    return found


def test_every_series_of_the_bundle_is_read_as_pydicom_reads_it(data: Path) -> None:
    folders = sorted({file.parent for file in (data / "dicom").rglob("*") if file.is_file()})
    by_difference = 0
    for folder in folders:
        stream = HeaderStream()
        for file in sorted(one for one in folder.iterdir() if one.is_file()):
            try:
                expected = read_header(file)
            except FairleadError as error:
                with pytest.raises(type(error)):
                    stream.read(file)
                continue
            header = stream.read(file)
            by_difference += header.changed is not None
            assert content(header.dataset) == content(expected.dataset), file.name
            assert (header.transfer_syntax_uid, header.size_bytes, header.pixels_cut) == (
                expected.transfer_syntax_uid,
                expected.size_bytes,
                expected.pixels_cut,
            ), file.name
    assert by_difference > 250


DECIMALS = {"ImagePositionPatient", "EchoTime"}
TEXTS = st.sampled_from(["", "a", "T1 mprage", "Ärzte", "x" * 40])
ODD = st.sampled_from(["1.5", "2.5 ", "1x", "", "nan", "-0", "1\\2\\3", "0\\0\\4", "0\\0\\1e400"])


def sequences() -> st.SearchStrategy[Any]:
    return st.lists(
        st.builds(lambda code, text: an_item(CodeValue=code, CodeMeaning=text), st.sampled_from(["1", "22"]), TEXTS), max_size=2
    )


ATTRIBUTES = st.fixed_dictionaries(
    {},
    optional={
        "SeriesDescription": TEXTS | st.none(),
        "ImagePositionPatient": ODD,
        "PatientAge": st.sampled_from(["040Y", "000Y", "", "1"]),
        "PatientID": st.sampled_from(["A-1", "B-2", ""]),
        "ImageType": st.sampled_from([["ORIGINAL", "PRIMARY"], ["ORIGINAL", "PRIMARY", "MOSAIC"], ""]),
        "EchoTime": ODD,
        "SpecificCharacterSet": st.sampled_from(["ISO_IR 100", "ISO_IR 192"]),
        "PixelRepresentation": st.sampled_from([0, 1]),
        "Rows": st.sampled_from([4, 8]),
        "NumberOfFrames": st.sampled_from([1, 3]),
        "RequestAttributesSequence": sequences(),
        "AnatomicRegionSequence": sequences(),
        "ReferencedImageSequence": sequences(),
    },
)


def variant(number: int, attributes: dict[str, Any], *, undefined: bool, private: int) -> Dataset:
    """Return an instance; sequences of undefined length and items of both kinds, private blocks of two creators."""
    nested = {name for name in attributes if name.endswith("Sequence")}
    dataset: Dataset = an_instance(number, **{name: value for name, value in attributes.items() if name not in DECIMALS | nested})
    for name in DECIMALS & set(attributes):
        text = attributes[name].encode() + b" " * (len(attributes[name]) % 2)
        dataset[name] = RawDataElement(Tag(name), "DS", len(text), text, 0, False, True)
    with as_in_the_wild():
        for name in nested:
            setattr(dataset, name, items(*attributes[name]))
            dataset[name].is_undefined_length = undefined
            for index, item in enumerate(dataset[name].value):
                item.is_undefined_length_sequence_item = undefined and bool(index)
        if private:
            dataset.private_block(0x0019, f"ACME {private}", create=True).add_new(0x10, "LO", "P")
    return dataset


def test_equal_sequences_with_and_without_stated_lengths_are_the_same(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    request = [a_code("1", "SCT", ""), a_code("1", "SCT", "")]
    for number, undefined in ((1, False), (2, True)):
        write(variant(number, {"RequestAttributesSequence": request}, undefined=undefined, private=0), tmp_path / f"{number}.dcm")
    record = the_record(tmp_path, catalogue)
    assert record.community.dicom is not None
    assert "00400275" in record.community.dicom.other


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    drawn=st.lists(st.tuples(ATTRIBUTES, st.booleans(), st.integers(0, 2)), min_size=2, max_size=5),
    common=ATTRIBUTES,
    implicit=st.booleans(),
)
def test_any_mix_of_headers_gives_the_record_of_reading_each_as_a_whole(
    tmp_path_factory: pytest.TempPathFactory,
    catalogue: FieldCatalogue,
    *,
    drawn: list[tuple[dict[str, Any], bool, int]],
    common: dict[str, Any],
    implicit: bool,
) -> None:
    folder = tmp_path_factory.mktemp("series")
    for number, (attributes, undefined, private) in enumerate(drawn, start=1):
        file = write(variant(number, common | attributes, undefined=undefined, private=private), folder / f"{number}.dcm")
        if implicit:
            dataset = dcmread(file)
            dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
            with as_in_the_wild():
                dataset.save_as(file, implicit_vr=True, little_endian=True)
    by_difference = the_record(folder, catalogue)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HeaderStream, "read", lambda _, file: read_header(file))
        assert by_difference == the_record(folder, catalogue)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """Return a file, and the bytes of its neighbour, with nested sequences of undefined length."""
    folder = tmp_path_factory.mktemp("pair")
    region = [a_code("1", "SCT", "Head")]
    first = variant(1, {"AnatomicRegionSequence": region}, undefined=True, private=1)
    second = variant(2, {"AnatomicRegionSequence": [*region, a_code("22", "SCT", "Neck")]}, undefined=True, private=1)
    return write(first, folder / "1.dcm"), write(second, folder / "2.dcm").read_bytes()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 1100), value=st.integers(0, 255), cut=st.integers(0, 400))
def test_damage_is_met_as_if_the_file_were_read_as_a_whole(
    tmp_path: Path, pair: tuple[Path, bytes], *, at: int, value: int, cut: int
) -> None:
    content_bytes = bytearray(pair[1])
    content_bytes[at % len(content_bytes)] = value
    damaged = tmp_path / "damaged.dcm"
    damaged.write_bytes(content_bytes[: len(content_bytes) - max(cut - 350, 0) * 20])

    def outcome(stream: HeaderStream | None) -> Any:
        try:
            header = stream.read(damaged) if stream else read_header(damaged)
        except FairleadError as error:
            return type(error)
        return content(header.dataset), header.transfer_syntax_uid, header.pixels_cut

    stream = HeaderStream()
    stream.read(pair[0])
    assert outcome(stream) == outcome(None)


def test_only_what_differs_is_named(tmp_path: Path) -> None:
    write_series(tmp_path, [an_instance(1), an_instance(2), an_instance(2, SOPInstanceUID="1.2.3", PatientName="Other^Name")])
    stream = HeaderStream()
    changed = [stream.read(file).changed for file in sorted(tmp_path.iterdir())]
    assert changed == [None, {0x00080018, 0x00200013, 0x00200032}, {0x00080018, 0x00100010}]


def test_a_header_after_a_forgotten_one_is_read_as_a_whole(tmp_path: Path) -> None:
    one, two = (write(an_instance(number), tmp_path / f"{number}.dcm") for number in (1, 2))
    stream = HeaderStream()
    stream.read(one)
    stream.forget()
    assert stream.read(two).changed is None


def test_a_file_that_goes_away_is_unreadable_and_not_a_crash(tmp_path: Path) -> None:
    stream = HeaderStream()
    stream.read(write(an_instance(1), tmp_path / "1.dcm"))
    with pytest.raises(FairleadError):
        stream.read(tmp_path / "gone.dcm")


def test_long_headers_are_not_kept(tmp_path: Path) -> None:
    long = [an_instance(number, RedPaletteColorLookupTableData=bytes(LARGEST_BYTES)) for number in (1, 2)]
    stream = HeaderStream()
    assert [stream.read(file).changed for file in sorted(write_series(tmp_path, long).iterdir())] == [None, None]


def test_names_that_only_a_later_instance_states_are_kept_out_too(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    told = "for Underhill"
    nested = items(an_item(RequestingPhysician="Underhill^Rosa"))
    write_series(
        tmp_path / "a", [an_instance(1, SeriesDescription=told), an_instance(2, SeriesDescription=told, OperatorsName="Underhill")]
    )
    write_series(
        tmp_path / "b",
        [
            an_instance(1, SeriesDescription=told, RequestAttributesSequence=items(an_item(RequestingPhysician="Nobody"))),
            an_instance(2, SeriesDescription=told, RequestAttributesSequence=nested),
        ],
    )
    for folder in ("a", "b"):
        community = the_record(tmp_path / folder, catalogue).community.dicom
        assert community is not None
        assert "series.description" not in community.attributes


def test_the_same_bytes_in_another_character_set_are_another_text(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    latin, cyrillic = (an_instance(number, SpecificCharacterSet=name) for number, name in ((1, "ISO_IR 100"), (2, "ISO_IR 144")))
    for dataset in (latin, cyrillic):
        dataset[0x0008103E] = RawDataElement(Tag(0x0008103E), "LO", 4, b"\xd0\xd1\xd2 ", 0, False, True)
    community = the_record(write_series(tmp_path, [latin, cyrillic]), catalogue).community.dicom
    assert community is not None
    assert community.attributes["series.description"] == ("ÐÑÒ", "абв")
