"""Every attribute of PS3.15 Table E.1-1, at the top and nested, under the basic profile, every option and every packaged profile."""

from __future__ import annotations

from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import UID

from deidentify.ct_builders import KEY, SHARED_GROUPS, a_ct, encode, harness, reread, table_rows
from deidentify.scoring import ALLOWED, OPTIONS, expected, is_scored, state
from fairlead import keys
from fairlead.deidentify import Deidentifier, Profile, load_profile, profile_names
from fairlead.deidentify.table import load_rows

SYNTAX = "1.2.840.10008.1.2.1"
PROFILES = {name: load_profile(name) for name in profile_names()} | {
    option.value: Profile(name="one-option", title="t", options=frozenset({option})) for option in OPTIONS
}


def output_of(profile: Profile, source: FileDataset) -> tuple[FileDataset, bytes]:
    content = encode(Deidentifier(profile, KEY).apply(reread(source)), syntax=SYNTAX)
    return dcmread(BytesIO(content)), content


@pytest.fixture(scope="module", params=sorted(PROFILES))
def done(request: pytest.FixtureRequest) -> tuple[Profile, FileDataset, bytes]:
    profile = PROFILES[request.param]
    return profile, *output_of(profile, harness())


@pytest.mark.parametrize("level", [0, 1], ids=["top", "nested"])
def test_every_attribute_is_treated_as_the_table_says(done: tuple[Profile, FileDataset, bytes], level: int) -> None:
    profile, output, _ = done
    place = output if level == 0 else output[SHARED_GROUPS].value[0]
    wrong = {
        row.name: (state(row, level, place), expected(row, profile))
        for row in table_rows()
        if is_scored(row, profile) and state(row, level, place) not in expected(row, profile)
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


NEW_IN_2026C = {
    "SQ": (0x00081301, 0x00081302, 0x00081303, 0x00081304, 0x00100011, 0x00100014, 0x00100015, 0x00100041, 0x00100043, 0x00100044,
           0x00100046, 0x00102161, 0x0040B020),
    "LO": (0x00181010, 0x00181011, 0x003A0203, 0x003A020C, 0x0040B03B, 0x0040B03F), "SH": (0x003A0020,),
    "LT": (0x00100012,), "UT": (0x00100013, 0x00100016, 0x00100042, 0x00100045), "UC": (0x00102162,), "ST": (0x00400556,),
    "UR": (0x00100047, 0x0040E012), "DT": (0x0040A034, 0x0040A035, 0x0040B034, 0x0040B036),
}  # fmt: skip
"""The rows that are X in the basic profile; of the 35, (0070,0006) is D and (300A,0054) is U."""


def test_the_rows_that_edition_2026c_adds_are_removed_at_every_level() -> None:
    file = a_ct()
    group = Dataset()
    for place in (file, group):
        for vr, tags in NEW_IN_2026C.items():
            for tag in tags:
                inner = Dataset()
                inner.CodeMeaning = "Planted"
                place.add(DataElement(tag, vr, [inner] if vr == "SQ" else "20240101" if vr == "DT" else "Planted"))
    file[0x00100012].value = "Mustermann, Liesl"
    file.add(DataElement(SHARED_GROUPS, "SQ", [group]))
    result = Deidentifier(PROFILES["basic"], KEY).process(reread(file))
    left = {int(element.tag) for element in result.dataset.iterall()}
    assert sum(map(len, NEW_IN_2026C.values())) == 33
    assert left & {tag for tags in NEW_IN_2026C.values() for tag in tags} == set()
    assert "Liesl" in result.identity.names, "whoever uses a name is known by it elsewhere too"


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
