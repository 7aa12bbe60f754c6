"""Every file of the test data: converted to the image that its manifest describes, or refused for the reason that is so.

``verdicts.tsv`` was written by hand from the notes of the manifest: pattern, outcome, and the shape with the geometry verdict or
words of the reason. The first pattern that fits a file counts. A file without a row, and a row without a file, fail.
"""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import pydicom
import pytest

from fairlead.convert import ConvertOptions, convert
from fairlead.records import ConvertReport, StoreReport

pytestmark = [pytest.mark.slow, pytest.mark.data]
TABLE = Path(__file__).with_name("verdicts.tsv")
ROWS = list(csv.reader(TABLE.read_text().splitlines(), delimiter="\t"))
COLLISION = "Another file with the same SOPInstanceUID"


@dataclass(frozen=True)
class Outcome:
    """What became of one file."""

    kind: str
    detail: str


def expected(path: str) -> tuple[str, Outcome]:
    for pattern, kind, detail in ROWS:
        if fnmatchcase(path, pattern):
            return pattern, Outcome(kind, detail)
    pytest.fail(f"{path} has no row in {TABLE.name}")


def manifest(data: Path, kind: str) -> list[str]:
    """Return what the manifest lists; a folder that is no Zarr store itself counts as what is in it."""
    with (data / "MANIFEST.tsv").open() as handle:
        paths = [row["path"] for row in csv.DictReader(handle, delimiter="\t") if row["path"].startswith(f"{kind}/")]
    return [inner for path in paths for inner in inside(data, path)]


def inside(data: Path, path: str) -> list[str]:
    stores = (".zattrs", ".zgroup", "zarr.json")
    if not path.endswith("/") or any((data / path / name).is_file() for name in stores):
        return [path.rstrip("/")]
    return [entry.relative_to(data).as_posix() for entry in sorted((data / path).iterdir())]


def told(found: Outcome, wanted: Outcome) -> bool:
    return found.kind == wanted.kind and wanted.detail in found.detail


def judged(store: StoreReport) -> StoreReport:
    assert store.verified_voxels
    assert store.valid.ome_zarr_models
    assert store.valid.json_schema
    return store


def identity(file: Path) -> tuple[str, str]:
    header = pydicom.dcmread(file, force=True, stop_before_pixels=True, specific_tags=["SeriesInstanceUID", "SOPInstanceUID"])
    return str(header.get("SeriesInstanceUID", "")), str(header.get("SOPInstanceUID", ""))


def outcomes(file: Path, name: str, report: ConvertReport) -> Iterator[Outcome]:
    """Yield what the report says about one DICOM file: by its name, as labels, or by its series."""
    if any(refusal.source == name for refusal in report.refused):
        yield from (Outcome("refused", refusal.reason) for refusal in report.refused if refusal.source == name)
        return
    series, instance = identity(file)
    source = f"urn:oid:{series}"
    drawn = f"segmentation-{hashlib.sha256(instance.encode()).hexdigest()[:16]}"
    for refusal in report.refused:
        if refusal.source == source:
            yield Outcome("refused", refusal.reason)
    for store in report.stores:
        if store.source == source:
            yield Outcome("converted", f"{store.shape} {store.geometry.verdict}")
        elif any(label == drawn or label.startswith(f"{drawn}-") for label in store.labels):
            yield Outcome("labels", "")


@pytest.mark.filterwarnings("ignore")  # pydicom reads damaged files for us and says so
def test_every_dicom_file_has_its_verdict(data: Path, tmp_path: Path) -> None:
    report = convert(data / "dicom", tmp_path)
    wrong, used, instances = [], set(), Counter[str]()
    for path in manifest(data, "dicom"):
        pattern, wanted = expected(path)
        used.add(pattern)
        name = path.removeprefix("dicom/")
        found = [outcome for outcome in outcomes(data / path, name, report)]
        if any(COLLISION in outcome.detail for outcome in found):  # the table says what becomes of it alone
            found = list(outcomes(data / path, Path(path).name, convert(data / path, tmp_path / "alone" / name)))
        elif found and found[0].kind == "converted":
            instances[identity(data / path)[0]] += 1
        if not any(told(outcome, wanted) for outcome in found) or {outcome.kind for outcome in found} != {wanted.kind}:
            wrong.append((path, found, wanted))
    assert wrong == []
    assert used == {pattern for pattern, _, _ in ROWS if pattern.startswith("dicom/")}
    assert all(store.path == judged(store).path for store in report.stores)
    # No file of a converted series is left out in silence.
    counted = Counter({series: sum(s.instances for s in report.stores if s.source == f"urn:oid:{series}") for series in instances})
    assert counted == instances
    visible = sorted(entry.name for entry in tmp_path.iterdir() if entry.name != "alone")
    assert visible == sorted(store.path for store in report.stores)


def test_every_ome_file_has_its_verdict(data: Path, tmp_path: Path) -> None:
    report = convert(data / "ome", tmp_path, options=ConvertOptions(whole_plates=True))
    found = {f"ome/{store.source}": Outcome("converted", str(judged(store).shape)) for store in report.stores}
    found |= {f"ome/{refusal.source}": Outcome("refused", refusal.reason) for refusal in report.refused}
    wrong, used = [], set()
    for path in manifest(data, "ome"):
        pattern, wanted = expected(path)
        used.add(pattern)
        if not told(found.pop(path, Outcome("member", "")), wanted):
            wrong.append((path, wanted))
    assert wrong == []
    assert found == {}
    assert used == {pattern for pattern, _, _ in ROWS if pattern.startswith("ome/")}
    assert sum(len(store.labels) for store in report.stores) == 2
    assert all(refusal.code != "fairlead" for refusal in report.refused)
