"""A synthetic benchmark in the answer format of MIDI-B: generated identities are planted into clean files, and required actions are scored.

python benchmarks/deidentify_midi_b.py [--patients 12] [--seed 7] [--base FOLDER] [--keep FOLDER] [--json]

With ``--base`` the CT instances are clean real files from that folder, with identity planted into them; otherwise they are made up.

Names and numbers that are also terms of radiology (Head, Small, 008D), dates as people write them and identifiers stand in free text.

The answer key is an SQLite table ``answer_data`` (StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID, scope, AnswerData) whose AnswerData
is a JSON object of checks ``{action, action_text, tag, tag_ds, tag_name, value, answer_category_v2}``. The submission adds two CSV
files ``id_old,id_new``: instance identifiers and patients. Score = right actions / required actions; the ten teams of 2024 reached 97.91
to 99.93 % (arXiv 2507.23608) on other data. Nothing here knows how Fairlead works: the scorer reads files, CSV and key.

Budget: at least 99.9 %.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image, ImageDraw
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID

from fairlead.deidentify import Plan, Profile, deidentify_folder, read_lookup
from fairlead.keys import pseudonym_uid

KEY: Final = bytes(range(32))
ROOT: Final = "1.3.6.1.4.1.99999.42"
STORAGE: Final = "1.2.840.10008.5.1.4.1.1."
BUDGET: Final = 0.999
FIRST: Final = [
    "Erika",
    "Ji-woo",
    "Олег",
    "María",
    "Søren",
    "Aylin",
    "Zoë",
    "Małgorzata",
    "太郎",
    "Jürgen",
    "Nadia",
    "Θάλεια",
    "Max",
    "Rose",
]
LAST: Final = [
    "Mustermann",
    "Kowalczyk",
    "Иванова",
    "Gutiérrez",
    "Ødegaard",
    "Yıldırım",
    "Vandenberghe",
    "O'Sullivan",
    "山田",
    "Grünwald",
    "Hardy",
    "Head",
    "Small",
    "Field",
]
TERMS: Final = ["axial", "chest", "abdomen", "contrast", "lung", "knee", "delayed", "portal"]
FREE: Final = ["SeriesDescription", "StudyDescription", "ProtocolName", "ImageComments", "PatientComments", "AdditionalPatientHistory"]
KEPT_FREE: Final = frozenset({"SeriesDescription", "StudyDescription", "ProtocolName"})
SAFE_CREATOR, UNSAFE_CREATOR = "ACME HEADER 1.0", "ACME PATIENT 1.0"
PROFILE: Final = Profile.model_validate({
    "name": "midi-b", "title": "Modified dates, characteristics, descriptors, safe private", "dciodvfy": "off",
    "options": [
        "retain_modified_dates", "retain_patient_characteristics", "clean_descriptors", "clean_structured_content", "retain_safe_private",
    ],
    "safe_private": [{"creator": SAFE_CREATOR, "group": "0019", "elements": ["10"]}],
})  # fmt: skip


# --- generator -----------------------------------------------------------------------------------------------------------


class Person:
    """A generated patient, with everything that identifies them."""

    def __init__(self, chance: random.Random, number: int) -> None:
        self.last, self.first = f"{chance.choice(LAST)}", chance.choice(FIRST)
        self.name = f"{self.last}^{self.first}"
        self.id = f"MRN{number:03d}-{chance.randrange(10**6, 10**7)}" if number % 4 else f"{number:03d}D"
        self.born = (date(1930, 1, 1) + timedelta(days=chance.randrange(25000))).strftime("%Y%m%d")
        self.visit = date(2015, 1, 1) + timedelta(days=chance.randrange(3000))
        self.phone, self.accession = f"+49 30 {chance.randrange(10**6, 10**7)}", f"ACC{chance.randrange(10**7, 10**8)}"
        self.address = f"{chance.randrange(1, 200)} {chance.choice(['Linden', 'Rosen', 'Birken'])}weg"
        self.sex, self.height = chance.choice("FM"), f"1.{chance.randrange(50, 99)}"


class Answers:
    """The answer key."""

    def __init__(self, file: Path) -> None:
        self._database = sqlite3.connect(file)
        self._database.execute(
            "CREATE TABLE answer_data (id INTEGER PRIMARY KEY, StudyInstanceUID TEXT, SeriesInstanceUID TEXT, SOPInstanceUID TEXT, "
            "scope TEXT, AnswerData TEXT)"
        )

    def add(self, instance: Dataset, checks: list[dict[str, Any]]) -> None:
        """Add the checks of one instance."""
        row = (instance.StudyInstanceUID, instance.SeriesInstanceUID, instance.SOPInstanceUID, "<Instance>")
        data = json.dumps({str(number): check for number, check in enumerate(checks)}, ensure_ascii=False)
        self._database.execute(
            "INSERT INTO answer_data (StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID, scope, AnswerData) VALUES (?,?,?,?,?)",
            (*row, data),
        )

    def close(self) -> None:
        """Write it."""
        self._database.commit()
        self._database.close()


def check(action: str, path: str, *, text: str = "", value: Any = "", category: str = "dicom") -> dict[str, Any]:
    """Return one check; ``path`` is a keyword, or ``Sequence/Keyword`` for the first item, or ``(gggg,eeee)``."""
    return {
        "action": f"<{action}>", "action_text": f"<{text}>", "tag": f"<{path}>", "tag_ds": path, "tag_name": path.rsplit("/")[-1],
        "value": value, "answer_category_v2": category,
    }  # fmt: skip


def generate(folder: Path, key_file: Path, *, patients: int, seed: int, bases: list[Path]) -> int:
    """Write patients' files and the answer key; return the number of files."""
    slices = partial(a_ct, bases=bases)
    chance, answers, files = random.Random(seed), Answers(key_file), 0  # noqa: S311 - reproducible, no secret
    for number in range(patients):
        person = Person(chance, number)
        for study in range(2):
            for series, kind in enumerate((slices, a_masked_ultrasound, a_report)):
                for index in range(3):
                    uids = [f"{ROOT}.{number}.{study}", f"{ROOT}.{number}.{study}.{series}", f"{ROOT}.{number}.{study}.{series}.{index}"]
                    file, checks = kind(chance, person, uids, person.visit + timedelta(days=100 * study))
                    answers.add(file, checks)
                    name = folder / f"{number:03d}-{study}-{series}-{index}.dcm"
                    name.write_bytes(_bytes(file))
                    files += 1
    answers.close()
    return files


def _bytes(file: FileDataset) -> bytes:
    buffer = BytesIO()
    dcmwrite(buffer, file, enforce_file_format=True)
    return buffer.getvalue()


def a_file(base: Path | None = None) -> FileDataset:
    """Return an empty file, or a clean real one without its private elements."""
    if base is not None:
        file = dcmread(base)
        file.remove_private_tags()
        return file
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.1")
    return FileDataset("", Dataset(), file_meta=meta, preamble=b"\0" * 128)


def fill(file: FileDataset, person: Person, uids: list[str], day: date, *, kind: tuple[str, str]) -> list[dict[str, Any]]:
    """Put in what every instance has, identity in its proper place, and return the checks for it."""
    sop_class, modality = kind
    meta = file.file_meta
    file.SpecificCharacterSet = "ISO_IR 192"
    file.SOPClassUID, file.Modality = sop_class, modality
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, uids[2]
    file.StudyInstanceUID, file.SeriesInstanceUID, file.SOPInstanceUID = uids
    file.FrameOfReferenceUID = f"{uids[0]}.99"
    file.PatientName, file.PatientID, file.PatientBirthDate, file.PatientSex = person.name, person.id, person.born, person.sex
    file.PatientSize, file.PatientAddress, file.PatientTelephoneNumbers = person.height, person.address, person.phone
    file.StudyDate = file.SeriesDate = day.strftime("%Y%m%d")
    file.StudyTime, file.AccessionNumber, file.StudyID = "101500", person.accession, "1"
    file.ReferringPhysicianName, file.InstitutionName, file.OperatorsName = "Eisenbart^Doktor", "St. Elsewhere Spital", "Operatrix^Olga"
    file.Manufacturer, file.ManufacturerModelName, file.DeviceSerialNumber = "ACME", "Ring 64", f"SN{person.phone[-5:]}"
    return [
        check("text_removed", "PatientName", text=person.last, category="hipaa"),
        check("text_notnull", "PatientName"),
        check("patid_consistent", "PatientID", value=person.id, category="hipaa"),
        check("text_removed", "PatientAddress", text=person.address, category="hipaa"),
        check("text_removed", "PatientTelephoneNumbers", text=person.phone, category="hipaa"),
        check("text_removed", "AccessionNumber", text=person.accession, category="hipaa"),
        check("text_removed", "ReferringPhysicianName", text="Eisenbart", category="hipaa"),
        check("text_removed", "InstitutionName", text="Elsewhere", category="hipaa"),
        check("text_removed", "OperatorsName", text="Operatrix", category="hipaa"),
        check("text_removed", "DeviceSerialNumber", text=file.DeviceSerialNumber, category="hipaa"),
        check("text_removed", "PatientBirthDate", text=person.born, category="hipaa"),
        check("date_shifted", "StudyDate", value=file.StudyDate, category="hipaa"),
        check("date_shifted", "SeriesDate", value=file.SeriesDate, category="hipaa"),
        check("text_retained", "PatientSex", text=person.sex, category="tcia"),
        check("text_retained", "PatientSize", text=person.height, category="tcia"),
        check("text_retained", "Manufacturer", text="ACME"),
        check("tag_retained", "StudyTime"),
        check("text_notnull", "Modality"),
        *(check("uid_changed", name, value=str(file[name].value)) for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")),
        *(
            check("uid_consistent", name, value=str(file[name].value))
            for name in ("StudyInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")
        ),
    ]


def plant(chance: random.Random, person: Person, file: Dataset) -> list[dict[str, Any]]:
    """Plant identity in free text, nested and private elements; return the checks."""
    checks = []
    day = date.fromisoformat(f"{file.StudyDate[:4]}-{file.StudyDate[4:6]}-{file.StudyDate[6:]}")
    born = date.fromisoformat(f"{person.born[:4]}-{person.born[4:6]}-{person.born[6:]}")
    secrets = [
        person.last, person.first, person.id, person.accession, person.phone, str(file.StudyInstanceUID), str(file.SOPInstanceUID),
        *(one.strftime(form) for one in (day, born) for form in ("%Y%m%d", "%d.%m.%Y", "%d %b %Y", "%m/%d/%y")),
    ]  # fmt: skip
    for keyword in FREE:
        term, secret = chance.choice(TERMS), chance.choice(secrets)
        setattr(file, keyword, f"{term} {secret}" if chance.random() < 0.7 else f"{secret}_{term}")
        checks.append(check("text_removed", keyword, text=secret, category="hipaa"))
        if keyword in KEPT_FREE:
            checks.append(check("text_retained", keyword, text=term, category="tcia"))
    item, code = Dataset(), Dataset()
    item.ScheduledProcedureStepDescription, item.RequestedProcedureID = f"{person.last} knee", person.accession
    item.ScheduledPerformingPhysicianName = person.name
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "24627-2", "LN", "Chest CT"
    item.ScheduledProtocolCodeSequence = [code]
    file.RequestAttributesSequence = [item]
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = STORAGE + "2", f"{file.StudyInstanceUID}.0.1"
    file.ReferencedImageSequence = [reference]
    safe = file.private_block(0x0019, SAFE_CREATOR, create=True)
    safe.add_new(0x10, "DS", "12.5")
    unsafe = file.private_block(0x0029, UNSAFE_CREATOR, create=True)
    unsafe.add_new(0x01, "LO", person.name)
    unsafe.add_new(0x02, "UN", f"junk {person.id} junk".encode())
    return [
        *checks,
        check("text_removed", "RequestAttributesSequence/ScheduledProcedureStepDescription", text=person.last, category="hipaa"),
        check("text_removed", "RequestAttributesSequence/RequestedProcedureID", text=person.accession, category="hipaa"),
        check("text_removed", "RequestAttributesSequence/ScheduledPerformingPhysicianName", text=person.last, category="hipaa"),
        check("uid_changed", "ReferencedImageSequence/ReferencedSOPInstanceUID", value=reference.ReferencedSOPInstanceUID),
        check("uid_consistent", "ReferencedImageSequence/ReferencedSOPInstanceUID", value=reference.ReferencedSOPInstanceUID),
        check("text_retained", "ReferencedImageSequence/ReferencedSOPClassUID", text=STORAGE + "2"),
        check("text_retained", "(0019,1010)", text="12.5", category="tcia"),
        check("text_removed", "(0029,1001)", text=person.last, category="hipaa"),
        check("text_removed", "(0029,1002)", text=person.id, category="hipaa"),
    ]


def a_ct(
    chance: random.Random, person: Person, uids: list[str], day: date, *, bases: list[Path]
) -> tuple[FileDataset, list[dict[str, Any]]]:
    """Return an original slice: its pixels have to stay."""
    file = a_file(chance.choice(bases) if bases else None)
    checks = fill(file, person, uids, day, kind=(STORAGE + "2", "CT"))
    file.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    if not bases:
        _pixels(file, np.frombuffer(chance.randbytes(64 * 64 * 2), "<u2").reshape(64, 64))
    whole = [0, 0, int(file.Columns), int(file.Rows)]
    return file, [*checks, *plant(chance, person, file), check("pixels_retained", "PixelData", value=whole)]


def a_masked_ultrasound(chance: random.Random, person: Person, uids: list[str], day: date) -> tuple[FileDataset, list[dict[str, Any]]]:
    """Return an ultrasound with the name burned in above its region: the text goes, the region stays."""
    file = a_file()
    checks = fill(file, person, uids, day, kind=(STORAGE + "6.1", "US"))
    file.ImageType = ["ORIGINAL", "PRIMARY"]
    image = Image.fromarray(np.frombuffer(chance.randbytes(200 * 320), np.uint8).reshape(200, 320) // 4)
    ImageDraw.Draw(image).text((4, 4), f"{person.id} {person.born}", fill=255)
    region = Dataset()
    region.RegionLocationMinX0, region.RegionLocationMinY0, region.RegionLocationMaxX1, region.RegionLocationMaxY1 = 0, 30, 319, 199
    file.SequenceOfUltrasoundRegions = [region]
    _pixels(file, np.asarray(image))
    boxes = [
        check("pixels_hidden", "PixelData", value=[0, 0, 320, 30], category="hipaa"),
        check("pixels_retained", "PixelData", value=[0, 30, 320, 200]),
    ]
    return file, [*checks, *plant(chance, person, file), *boxes]


def _pixels(file: Dataset, values: np.ndarray) -> None:
    file.Rows, file.Columns = values.shape
    file.SamplesPerPixel, file.PhotometricInterpretation, file.PixelRepresentation = 1, "MONOCHROME2", 0
    file.BitsAllocated = file.BitsStored = 8 * values.itemsize
    file.HighBit, file.PixelData = file.BitsStored - 1, values.tobytes()


def a_report(chance: random.Random, person: Person, uids: list[str], day: date) -> tuple[FileDataset, list[dict[str, Any]]]:
    """Return a structured report that speaks of its patient, and points at an image of the study."""
    file = a_file()
    checks = fill(file, person, uids, day, kind=(STORAGE + "88.33", "SR"))
    text, name, image, reference = Dataset(), Dataset(), Dataset(), Dataset()
    text.RelationshipType, text.ValueType, text.TextValue = "CONTAINS", "TEXT", f"{person.first} {person.last}: lung without contrast"
    name.RelationshipType, name.ValueType, name.PersonName = "HAS OBS CONTEXT", "PNAME", person.name
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = STORAGE + "2", f"{file.StudyInstanceUID}.0.1"
    image.RelationshipType, image.ValueType, image.ReferencedSOPSequence = "CONTAINS", "IMAGE", [reference]
    file.ValueType, file.ContentSequence = "CONTAINER", [text, name, image]
    return file, [
        *checks,
        *plant(chance, person, file),
        check("text_removed", "ContentSequence/TextValue", text=person.last, category="hipaa"),
        check("text_retained", "ContentSequence/TextValue", text="lung", category="tcia"),
        check("text_removed", "ContentSequence[1]/PersonName", text=person.last, category="hipaa"),
        check(
            "uid_consistent", "ContentSequence[2]/ReferencedSOPSequence/ReferencedSOPInstanceUID", value=reference.ReferencedSOPInstanceUID
        ),
    ]


# --- submission ----------------------------------------------------------------------------------------------------------


def submit(source: Path, folder: Path) -> float:
    """De-identify with Fairlead and write the two mappings; return the seconds."""
    begun = time.perf_counter()
    deidentify_folder(source, folder / "files", profile=PROFILE, key=KEY, plan=Plan(lookup=folder / "lookup", workers=2))
    seconds = time.perf_counter() - begun
    patients = [(old, new) for new, (old, _) in read_lookup(folder / "lookup", KEY).items()]
    uids = {element.value for file in source.iterdir() for element in dcmread(file).iterall() if element.VR == "UI" and element.value}
    _mapping(folder / "patients.csv", patients)
    _mapping(folder / "uids.csv", [(str(uid), pseudonym_uid(KEY, str(uid))) for uid in uids if str(uid).startswith(ROOT)])
    return seconds


def _mapping(file: Path, rows: list[tuple[str, str]]) -> None:
    with file.open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([("id_old", "id_new"), *sorted(rows)])


# --- scorer --------------------------------------------------------------------------------------------------------------


class Scorer:
    """Scores a folder of output files against an answer key, with the submission's mappings."""

    def __init__(self, sources: Path, outputs: Path, mappings: tuple[Path, Path]) -> None:
        self._uids, self._patients = (self._read(file) for file in mappings)
        self._outputs = {str(dataset.SOPInstanceUID): dataset for file in sorted(outputs.rglob("*.dcm")) for dataset in [dcmread(file)]}
        self._sources = {str(dataset.SOPInstanceUID): dataset for file in sources.iterdir() for dataset in [dcmread(file)]}
        self._shifts: dict[str, int] = {}

    def _read(self, file: Path) -> dict[str, str]:
        with file.open(newline="", encoding="utf-8") as handle:
            return {row["id_old"]: row["id_new"] for row in csv.DictReader(handle)}

    def score(self, key_file: Path) -> Iterator[tuple[dict[str, Any], bool]]:
        """Yield every check and whether it was met; a missing file fails all of its checks."""
        with sqlite3.connect(key_file) as database:
            rows = database.execute("SELECT SOPInstanceUID, AnswerData FROM answer_data ORDER BY id").fetchall()
        for uid, data in rows:
            output = self._outputs.get(self._uids.get(uid, ""))
            for one in json.loads(data).values():
                yield one, output is not None and self._is_met(one, output, self._sources[uid])

    def _is_met(self, one: dict[str, Any], output: Dataset, source: Dataset) -> bool:
        action, text = one["action"].strip("<>"), one["action_text"].strip("<>")
        found, value = _value(output, one["tag_ds"]), one["value"]
        rules: dict[str, Callable[[], bool]] = {
            "tag_retained": lambda: found is not None,
            "text_notnull": lambda: bool(_text(found)),
            "text_retained": lambda: text.casefold() in _text(found).casefold(),
            "text_removed": lambda: text.casefold() not in _text(found).casefold(),
            "date_shifted": lambda: self._is_shifted(_text(found), value, str(source.PatientID)),
            "uid_changed": lambda: _text(found) != value and UID(_text(found)).is_valid,
            "uid_consistent": lambda: _text(found) == self._uids.get(value),
            "patid_consistent": lambda: _text(found) == self._patients.get(value),
            "pixels_hidden": lambda: len(np.unique(_box(output, value))) == 1,
            "pixels_retained": lambda: bool((_box(output, value) == _box(source, value)).all()),
        }
        return rules[action]()

    def _is_shifted(self, new: str, old: str, patient: str) -> bool:
        try:
            days = (date.fromisoformat(new) - date.fromisoformat(old)).days
        except ValueError:
            return False
        return days != 0 and self._shifts.setdefault(patient, days) == days


def _value(dataset: Dataset, path: str) -> Any:
    """Return the value at a path, None when it is not there."""
    place: Any = dataset
    for step in path.split("/")[:-1]:
        keyword, _, index = step.rstrip("]").partition("[")
        items = place.get(keyword) or []
        if len(items) <= int(index or 0):
            return None
        place = items[int(index or 0)]
    last = path.rsplit("/")[-1]
    tag: Any = (int(last[1:5], 16), int(last[6:10], 16)) if last.startswith("(") else last
    return place[tag].value if tag in place else None


def _text(value: Any) -> str:
    return "" if value is None else value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _box(dataset: Dataset, box: list[int]) -> np.ndarray:
    left, top, right, bottom = box
    return dataset.pixel_array[top:bottom, left:right]


def _clean_files(folder: Path | None) -> list[Path]:
    """Return the readable CT slices of a folder, at most 50."""
    found = sorted(folder.rglob("*.dcm")) if folder is not None else []
    return [file for file in found if dcmread(file, stop_before_pixels=True, force=True).get("SOPClassUID") == STORAGE + "2"][:50]


def main() -> int:
    """Generate, de-identify, score; exit status 1 below the budget."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patients", type=int, default=12)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--base", type=Path, help="folder of clean CT files to plant identity into; default: made-up ones")
    parser.add_argument("--keep", type=Path, help="folder for the files, the key and the mappings; default: temporary")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        (folder / "source").mkdir(parents=True)
        files = generate(
            folder / "source", folder / "answers.db", patients=arguments.patients, seed=arguments.seed, bases=_clean_files(arguments.base)
        )
        seconds = submit(folder / "source", folder)
        scorer = Scorer(folder / "source", folder / "files", (folder / "uids.csv", folder / "patients.csv"))
        done, right, missed = Counter[str](), Counter[str](), Counter[str]()
        for one, met in scorer.score(folder / "answers.db"):
            done[one["action"].strip("<>")] += 1
            right[one["action"].strip("<>")] += met
            missed[f"{one['action']} {one['tag_ds']}"] += not met
    score = right.total() / done.total()
    result: dict[str, Any] = {
        "files": files, "required": done.total(), "right": right.total(), "score_percent": round(100 * score, 4),
        "seconds": round(seconds, 2), "actions": {action: [right[action], done[action]] for action in sorted(done)},
        "missed": {key: count for key, count in missed.items() if count},
    }  # fmt: skip
    if arguments.json:
        print(json.dumps(result, indent=2))
    else:
        print(
            f"{files} files, {done.total()} required actions, {right.total()} right: {100 * score:.3f} % (budget 99.9 %), {seconds:.1f} s"
        )
        for action, (good, all_of) in result["actions"].items():
            print(f"  {action:18}{good:>7} of {all_of}")
        for what, count in result["missed"].items():
            print(f"  missed {count}: {what}")
    return 0 if score >= BUDGET else 1


if __name__ == "__main__":
    sys.exit(main())
