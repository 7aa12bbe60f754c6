"""Every attribute of PS3.15 Table E.1-1, at the top and nested, under the basic profile, every option and every packaged profile."""

from __future__ import annotations

from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

from deidentify.ct_builders import KEY, SHARED_GROUPS, a_ct, encode, harness, plant, planted, reread, table_rows
from fairlead import keys
from fairlead.deidentify import Deidentifier, Profile, load_profile, profile_names
from fairlead.deidentify.table import Option, Row, load_rows

SYNTAX = "1.2.840.10008.1.2.1"
OPTIONS = [option for option in Option if option is not Option.CLEAN_VISUAL_FEATURES]
PROFILES = {name: load_profile(name) for name in profile_names()} | {
    option.value: Profile(name="one-option", title="t", options=frozenset({option})) for option in OPTIONS
}
ALLOWED = {
    "X": {"absent"}, "Z": {"empty"}, "D": {"new"}, "U": {"new"}, "X/Z": {"absent", "empty"}, "X/D": {"absent", "new"},
    "Z/D": {"empty", "new"}, "X/Z/D": {"absent", "empty", "new"}, "X/Z/U*": {"absent", "empty", "new"},
}  # fmt: skip
PATIENT = {0x00100010, 0x00100020}
OWN = {0x00120062, 0x00120063, 0x00120064}


def output_of(profile: Profile, source: FileDataset) -> tuple[FileDataset, bytes]:
    content = encode(Deidentifier(profile, KEY).apply(reread(source)), syntax=SYNTAX)
    return dcmread(BytesIO(content)), content


@pytest.fixture(scope="module", params=sorted(PROFILES))
def done(request: pytest.FixtureRequest) -> tuple[Profile, FileDataset, bytes]:
    profile = PROFILES[request.param]
    return profile, *output_of(profile, harness())


def state(row: Row, level: int, place: Dataset) -> str:
    """Return what became of the attribute: absent, empty, kept or new."""
    if row.tag not in place:
        return "absent"
    value = place[row.tag].value
    if value is None or value == "" or value == b"" or (isinstance(value, Sequence) and not len(value)):
        return "empty"
    if isinstance(value, Sequence):
        original = [str(element.value) for element in plant(row, level).value[0]]
        present = {str(element.value) for item in value for element in item.iterall()}
        return "kept" if present.intersection(original) else "new"
    stored = value.rstrip(b"\0") if isinstance(value, bytes) else value
    return "kept" if str(stored) == str(planted(row, level)) else "new"


def expected(row: Row, profile: Profile) -> set[str]:
    columns = [letter for option, letter in row.options.items() if option in profile.options]
    if row.tag in PATIENT:
        return {"new"}
    if "C" in columns:
        if row.vr == "TM":
            return {"kept"}  # whole days move: the time of day stays true
        return {"new"} if row.vr in ("DA", "DT", "LO", "SH", "ST", "LT", "UT", "UC", "SQ") else ALLOWED[row.basic]
    if "K" in columns:
        return {"new"} if row.vr == "SQ" and row.basic == "U" else {"kept", "new", "absent"} if row.vr == "SQ" else {"kept"}
    return ALLOWED[row.basic]


@pytest.mark.parametrize("level", [0, 1], ids=["top", "nested"])
def test_every_attribute_is_treated_as_the_table_says(done: tuple[Profile, FileDataset, bytes], level: int) -> None:
    profile, output, _ = done
    place = output if level == 0 else output[SHARED_GROUPS].value[0]
    wrong = {
        row.name: (state(row, level, place), expected(row, profile))
        for row in table_rows()
        if not (row.tag == 0x00101010 and Option.RETAIN_PATIENT_CHARACTERISTICS in profile.options)  # ages have a test of their own
        and row.tag not in OWN
        and state(row, level, place) not in expected(row, profile)
    }
    assert wrong == {}


def test_no_planted_text_of_an_unkept_attribute_is_anywhere_in_the_bytes(done: tuple[Profile, FileDataset, bytes]) -> None:
    profile, _, content = done
    leaks = [
        row.name
        for row in table_rows()
        for level in (0, 1)
        if not any(letter == "K" for option, letter in row.options.items() if option in profile.options)
        and f"PL{row.tag:08X}{level}".encode() in content
    ]
    assert leaks == []


def test_the_table_has_the_rows_of_the_2024b_edition() -> None:
    rows = load_rows()
    assert len(rows) == 621
    assert len(table_rows()) == 613
    count = {action: sum(row["basicProfile"] == action for row in rows) for action in ALLOWED}
    assert count == {"X": 384, "D": 92, "U": 54, "Z": 42, "X/D": 22, "X/Z": 11, "X/Z/D": 8, "Z/D": 6, "X/Z/U*": 2}


def with_extras() -> FileDataset:
    file = harness()
    for place in (file, file[SHARED_GROUPS].value[0]):
        block = place.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
        block.add_new(0x10, "OB", b"EXTRA-CSA Mustermann")
        place.add_new(0x50003000, "OW", b"EXTRA-CURVE!")
        place.add_new(0x60023000, "OW", b"EXTRA-OVERLY")
        place.add_new(0x60024000, "LT", "EXTRA-COMMENT")
        place.add_new(0x60020010, "US", 2)
    file.add_new(0xFFFCFFFC, "OB", b"EXTRA-PADDING")
    file.preamble = b"EXTRA-PREAMBLE".ljust(128, b"\0")
    file.file_meta.SourceApplicationEntityTitle = "EXTRA-AE"
    file.file_meta.PrivateInformationCreatorUID = "1.3.6.1.4.1.99999.77"
    file.file_meta.PrivateInformation = b"EXTRA-PRIV"
    return file


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_private_blocks_curves_overlays_meta_and_preamble_are_gone(name: str) -> None:
    output, content = output_of(PROFILES[name], with_extras())
    assert b"EXTRA" not in content
    tags = [element.tag for element in output.iterall()]
    assert [tag for tag in tags if tag.is_private or tag.group >> 8 in (0x50, 0x60)] == []
    assert content[:128] == b"\0" * 128
    assert output.file_meta.MediaStorageSOPInstanceUID == output.SOPInstanceUID
    assert not {0x00020016, 0x00020100, 0x00020102} & set(output.file_meta.keys())


def test_every_uid_of_the_output_is_valid_and_keyed() -> None:
    output, _ = output_of(PROFILES["basic"], harness())
    uids = [UID(element.value) for element in output.iterall() if element.VR == "UI" and element.value]
    assert all(uid.is_valid and len(uid) <= 64 for uid in uids)
    assert output.FrameOfReferenceUID == keys.pseudonym_uid(KEY, "1.3.6.1.4.1.99999.2097234.0")


def test_the_output_says_what_was_done() -> None:
    output, _ = output_of(PROFILES["research-longitudinal"], a_ct())
    assert output.PatientIdentityRemoved == "YES"
    assert [item.CodeValue for item in output.DeidentificationMethodCodeSequence] == [
        "113100", "113103", "113104", "113105", "113107", "113108",
    ]  # fmt: skip
    assert output.LongitudinalTemporalInformationModified == "MODIFIED"
    assert output.DeidentificationMethod[0].startswith("Fairlead ")
    assert output.DeidentificationMethod[1] == PROFILES["research-longitudinal"].sha256
