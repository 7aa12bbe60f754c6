import io
import os
import struct
import zipfile
from pathlib import Path

import pytest

from fairlead.errors import NotDicom, NotFound, StorageFull
from fairlead.progress import Silent
from fairlead.receive import Ledger, import_paths
from fairlead.receive.formats import Kind, NotRecognised, recognise
from fairlead.records import SeriesState
from fairlead.settings import Settings
from receive.builders import ROUTE, a_slice, encoded, part10

ROUTE_IN = ROUTE.model_copy(update={"door": "ingest"})
OME = b'<?xml version="1.0"?>\n<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"></OME>'


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path / "home", node={"low_water_bytes": 0})


@pytest.fixture
def ledger(engine):
    return Ledger(engine)


@pytest.fixture
def take(settings, ledger):
    def run(*paths: Path):
        report = import_paths(settings, ledger, paths, route=ROUTE_IN, progress=Silent())
        assert report.adds_up()
        return report

    return run


def tiff(description: bytes, *, order: str = "<", big: bool = False) -> bytes:
    """Return the smallest TIFF that has an ImageDescription."""
    if big:
        head = {"<": b"II+\0", ">": b"MM\0+"}[order] + struct.pack(order + "HHQ", 8, 0, 16)
        return head + struct.pack(order + "QHHQQQ", 1, 270, 2, len(description), 52, 0) + bytes(0) + description
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "L", 8)
    return head + struct.pack(order + "HHHLLL", 1, 270, 2, len(description), 26, 0) + description


# --- what it is


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a", part10(a_slice()), Kind.DICOM),
        ("a.tif", encoded(a_slice()), Kind.DICOM),
        ("a.zip", b"PK\x05\x06" + bytes(18), Kind.ZIP),
        ("a.tif", tiff(OME), Kind.OME_TIFF),
        ("a.tif", tiff(OME, order=">"), Kind.OME_TIFF),
        ("a.btf", tiff(OME, big=True), Kind.OME_TIFF),
        ("a.ome.tif", b"II*\0\xff\xff\xff\x7f", Kind.OME_TIFF),
        ("b.ome.tif", tiff(OME.replace(b"></OME>", b'><BinaryOnly MetadataFile="x.companion.ome"/></OME>')), Kind.OME_TIFF_MEMBER),
        ("a.xml", OME, Kind.OME_XML),
        ("a.xml", b"\xef\xbb\xbf" + OME, Kind.OME_XML),
        ("x.companion.ome", b"<broken", Kind.OME_XML),
    ],
)
def test_a_file_is_known_by_its_content(tmp_path, name, content, kind):
    (tmp_path / name).write_bytes(content)
    assert recognise(tmp_path / name) is kind


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.tif", tiff(b"ImageJ=1.53"), "TIFF file without OME-XML"),
        ("a.tif", tiff(b"abc"), "TIFF file without OME-XML"),
        ("a.tif", b"II*\0", "TIFF file without OME-XML"),
        ("a.html", b"<!doctype html><p>hello", "not OME-XML"),
    ],
)
def test_other_kinds_are_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(NotRecognised, match=message):
        recognise(tmp_path / name)


def test_text_with_a_dicom_name_is_not_dicom(tmp_path):
    (tmp_path / "a.dcm").write_bytes(b"hello " * 100)
    with pytest.raises(NotDicom):
        recognise(tmp_path / "a.dcm")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        (".zattrs", b'{"multiscales": [{}]}', None),
        ("zarr.json", b'{"attributes": {"ome": {"plate": {}}}}', None),
        ("OME/METADATA.ome.xml", OME, None),
        (".zgroup", b"{}", "without OME metadata"),
        (".zattrs", b"{broken", "is not JSON"),
        ("zarr.json", b"[1]", "is not a JSON object"),
        ("zarr.json", b'{"attributes": 7}', "without OME metadata"),
    ],
)
def test_a_zarr_folder_is_taken_when_it_says_ome(tmp_path, take, name, content, reason):
    file = tmp_path / "in" / "x.zarr" / name
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    report = take(tmp_path / "in")
    assert report.seen == 1
    assert report.files_added == (reason is None)
    assert reason is None or reason in report.refused[0].reason


# --- folders


def test_every_file_of_a_folder_has_its_own_end(tmp_path, take, ledger):
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    (folder / "IM0001").write_bytes(part10(a_slice(1)))
    (folder / "IM0002").write_bytes(part10(a_slice(1)))
    (folder / "deep" / "bare").write_bytes(encoded(a_slice(2)))
    (folder / "deep" / "other.dcm").write_bytes(part10(a_slice(2, pixels=b"\1\1" * 8)))
    (folder / "readme.txt").write_bytes(b"hello")
    (folder / "x.ome.xml").write_bytes(OME)
    report = take(folder)
    assert (report.seen, report.added, report.unchanged, report.new_versions, report.files_added) == (6, 2, 1, 1, 1)
    assert [(refusal.source, refusal.code) for refusal in report.refused] == [("readme.txt", "not-dicom")]
    ledger.settle(settle_after_s=1000, quiet_after_s=1000)
    assert ledger.counts()[SeriesState.COMPLETE] == 1  # a finished import does not wait
    again = take(folder)
    assert (again.unchanged, again.files_unchanged, again.new_versions) == (4, 1, 0)
    (folder / "x.ome.xml").write_bytes(OME + b" ")
    assert take(folder / "x.ome.xml").files_changed == 1


def test_links_out_of_the_folder_and_pipes_are_refused_unopened(tmp_path, take):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "a.dcm").write_bytes(part10(a_slice()))
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a").symlink_to(tmp_path / "secret" / "a.dcm")
    (folder / "b").symlink_to(tmp_path / "secret")
    (folder / "c").symlink_to(folder)
    (folder / "d").symlink_to(tmp_path / "nowhere")
    os.mkfifo(folder / "e")
    report = take(folder)
    assert {refusal.source: refusal.reason.split(";")[0] for refusal in report.refused} == {
        "a": "A symbolic link out of the given path",
        "b": "A symbolic link out of the given path",
        "c": "A symbolic link",
        "d": "A symbolic link out of the given path",
        "e": "Not a regular file.",
    }


def test_a_file_that_may_not_be_read_is_refused(tmp_path, take, monkeypatch):
    (tmp_path / "a.dcm").write_bytes(part10(a_slice()))
    monkeypatch.setattr("fairlead.receive.importing.recognise", lambda _path: (_ for _ in ()).throw(PermissionError(13, "denied")))
    assert take(tmp_path / "a.dcm").refused[0].reason == "The file cannot be read: denied."


def test_a_path_that_does_not_exist_is_named(tmp_path, take):
    with pytest.raises(NotFound, match="no file or folder"):
        take(tmp_path / "none")


def test_a_full_disk_stops_the_import_and_repeating_it_is_safe(tmp_path, ledger, take):
    (tmp_path / "a.dcm").write_bytes(part10(a_slice()))
    full = Settings(home=tmp_path / "home", node={"low_water_bytes": 2**62})
    with pytest.raises(StorageFull):
        import_paths(full, ledger, [tmp_path / "a.dcm"], route=ROUTE_IN, progress=Silent())
    assert take(tmp_path / "a.dcm").added == 1


# --- zip


def zipped(path: Path, members: dict[str, bytes], *, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_the_members_of_a_zip_are_taken_each_with_its_own_end(tmp_path, take):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("a.dcm", part10(a_slice(9)))
    file = zipped(
        tmp_path / "a.zip",
        {
            "s/1": part10(a_slice(1)),
            "s/2": encoded(a_slice(2)),
            "../../evil.dcm": part10(a_slice(3)),
            "/etc/evil": part10(a_slice(4)),
            "C:\\evil": part10(a_slice(5)),
            "notes.txt": b"hello",
            "x.ome.xml": OME,
            "inner.zip": inner.getvalue(),
        },
    )
    report = take(file)
    assert (report.seen, report.added) == (8, 2)
    assert {refusal.source.split("!")[1]: refusal.code for refusal in report.refused} == {
        "../../evil.dcm": "unsafe-archive",
        "/etc/evil": "unsafe-archive",
        "C:\\evil": "unsafe-archive",
        "notes.txt": "not-dicom",
        "x.ome.xml": "unsupported",
        "inner.zip": "unsupported",
    }
    assert not list(tmp_path.parent.rglob("evil*"))


def test_a_zip_bomb_is_refused_before_it_inflates(tmp_path, take):
    bomb = zipped(tmp_path / "bomb.zip", {"a.dcm": bytes(70 * 1024**2), "b.dcm": part10(a_slice())})
    report = take(bomb)
    assert [refusal.code for refusal in report.refused] == ["unsafe-archive"] * 2
    assert "inflates to more than 200 times" in report.refused[0].reason


def test_links_and_encrypted_members_are_refused(tmp_path, take):
    file = tmp_path / "a.zip"
    with zipfile.ZipFile(file, "w") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("locked.dcm", part10(a_slice()))
    content = bytearray(file.read_bytes())
    at = content.rindex(b"PK\x01\x02")
    content[at + 8] |= 1
    file.write_bytes(content)
    assert [refusal.reason for refusal in take(file).refused] == ["A symbolic link.", "An encrypted member."]


@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_a_damaged_zip_is_refused(tmp_path, take, damage):
    file = zipped(tmp_path / "a.zip", {"a.dcm": part10(a_slice(pixels=os.urandom(4000)))}, compression=zipfile.ZIP_STORED)
    content = bytearray(file.read_bytes())
    if damage == "truncated":
        content = content[:2000]
    else:
        content[2000] ^= 0xFF
    file.write_bytes(content)
    (refusal,) = take(file).refused
    assert refusal.code == "unreadable-image"


def test_a_zip_of_a_version_that_is_not_read_is_called_unsupported_not_damaged(tmp_path, take):
    file = zipped(tmp_path / "a.zip", {"a.dcm": part10(a_slice())})
    content = bytearray(file.read_bytes())
    content[content.rindex(b"PK\x01\x02") + 6] = 99  # "version needed to extract" of the central directory, in tenths
    file.write_bytes(content)
    assert [refusal.code for refusal in take(file).refused] == ["unsupported"]


def test_a_dicomdir_inside_a_zip_is_an_index(tmp_path, take, data):
    file = tmp_path / "a.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.write(data / "dicom/dicomdir_fileset/DICOMDIR", "DICOMDIR")
    assert take(file).skipped == ["a.zip!DICOMDIR"]


# --- the real files


def test_every_real_dicom_file_ends_somewhere_and_the_sum_is_416(take, data, ledger):
    report = take(data / "dicom")
    assert report.seen == 416
    assert (report.added, report.unchanged, report.new_versions, len(report.skipped), len(report.refused)) == (368, 1, 24, 5, 18)
    assert all("DICOMDIR" in name for name in report.skipped)
    assert all(refusal.reason for refusal in report.refused)
    ledger.settle(settle_after_s=1000, quiet_after_s=1000)
    assert ledger.counts()[SeriesState.COMPLETE] == 72
    again = take(data / "dicom")
    assert (again.seen, again.added, again.new_versions, again.unchanged) == (416, 0, 0, 393)
    assert ledger.counts()[SeriesState.COMPLETE] == 72


def test_the_real_ome_files_are_taken_as_they_lie(take, data, ledger):
    report = take(data / "ome")
    assert (report.files_added, len(report.skipped), len(report.refused)) == (84, 5, 9)
    assert all("companion_z5" in name for name in report.skipped)
    assert all(Path(file.path).exists() for file in ledger.claim_files(999, claimant="test"))
