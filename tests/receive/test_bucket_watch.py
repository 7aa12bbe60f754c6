from __future__ import annotations

import fcntl
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from obstore.store import LocalStore, MemoryStore

from fairlead.errors import InvalidConfiguration, ServiceUnreachable
from fairlead.receive import Ledger
from fairlead.receive.bucket_listing import unusable
from fairlead.receive.bucket_watch import BucketWatch
from fairlead.settings import BucketSettings, Settings, load_settings
from receive.test_watch import OME
from s3_server import a_prefix

PLACE = BucketSettings(url="s3://lab/micro", project="micro", center="north")


class House:
    """A watched bucket with a hand-driven clock; a second one over the same home is a restart."""

    def __init__(self, settings: Settings, engine: Any, bucket: Any) -> None:
        self.seconds, self.bucket, self.ledger = 0.0, bucket, Ledger(engine)
        self.watch = BucketWatch(PLACE, bucket, settings=settings, ledger=self.ledger, monotonic=lambda: self.seconds)
        self.root = self.watch.mirror.root
        self.settings = settings

    def scan(self, *pauses: float) -> int:
        taken = 0
        for pause in pauses or (0.0,):
            self.seconds += pause
            taken += self.watch.scan()
        return taken

    def copies(self) -> list[str]:
        return sorted(path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file())


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(home=tmp_path / "home", watch={"stable_after_s": 2.0, "bucket_every_s": 10.0})


@pytest.fixture(params=["memory", "local"])
def house(request, settings, engine, tmp_path) -> House:
    bucket = MemoryStore() if request.param == "memory" else LocalStore(tmp_path / "bucket", mkdir=True)
    return House(settings, engine, bucket)


def test_an_object_is_taken_when_it_has_not_changed_for_the_stable_time(house):
    house.bucket.put("plate/a.ome.xml", OME)
    assert house.scan(0, 1.9) == 0
    assert house.copies() == []
    assert house.scan(0.1, 2) == 1
    (file,) = house.ledger.claim_files(9, claimant="test")
    assert (file.name, file.route.project, file.route.center, file.size_bytes) == ("plate/a.ome.xml", "micro", "north", len(OME))
    assert (house.root / file.name).read_bytes() == OME
    assert house.scan(60, 2, 2) == 0


def test_an_object_that_is_written_again_waits_again(house):
    house.bucket.put("a.ome.xml", OME[:20])
    house.scan()
    house.bucket.put("a.ome.xml", OME)
    assert house.scan(2) == 0
    assert house.scan(2, 2) == 1
    assert (house.root / "a.ome.xml").read_bytes() == OME


def test_the_same_bytes_under_a_new_etag_are_no_news(house):
    house.bucket.put("a.ome.xml", OME)
    assert house.scan(0, 2, 2) == 1
    house.bucket.put("a.ome.xml", OME)
    assert house.scan(10, 2, 2, 2) == 0
    assert house.ledger.waiting() == 1


def test_other_bytes_are_work_again_and_nothing_is_listed_before_its_time(house):
    house.bucket.put("a.ome.xml", OME)
    house.scan(0, 2, 2)
    house.scan(2)
    house.bucket.put("a.ome.xml", OME + b" ")
    assert house.scan(1, 1, 1) == 0
    assert house.watch.mirror.settled
    assert house.scan(10, 2, 2) == 1


def test_an_object_that_left_the_bucket_leaves_the_copy_and_its_records_are_named(house):
    house.bucket.put("plate/a.ome.xml", OME)
    house.scan(0, 2, 2)
    (file,) = house.ledger.claim_files(9, claimant="test")
    house.ledger.file_indexed(file, ["r1"])
    house.bucket.delete("plate/a.ome.xml")
    house.scan(10)
    assert [(gone.name, ids) for gone, ids in house.ledger.gone_files()] == [("plate/a.ome.xml", ("r1",))]
    assert list(house.root.iterdir()) == []


def test_a_zarr_hierarchy_is_one_thing(house):
    for key in ("b.ome.zarr/.zgroup", "b.ome.zarr/0/0.0"):
        house.bucket.put(key, b"{}")
    house.bucket.put("b.ome.zarr/.zattrs", b'{"multiscales": []}')
    assert house.scan(0, 2, 2) == 1
    assert [file.name for file in house.ledger.claim_files(9, claimant="test")] == ["b.ome.zarr"]
    house.bucket.put("b.ome.zarr/0/0.1", b"late chunk")
    assert house.scan(10, 2, 2) == 1


def test_after_a_restart_nothing_is_downloaded_or_taken_again_unless_the_copy_lost_it(house, engine):
    for name in ("a.ome.xml", "b.ome.xml"):
        house.bucket.put(name, OME)
    assert house.scan(0, 2, 2) == 2
    kept = (house.root / "a.ome.xml").stat().st_ino
    (house.root / "b.ome.xml").unlink()
    (house.root / ".half.0011.part").write_bytes(b"what a killed process left")
    again = House(house.settings, engine, house.bucket)
    assert again.scan(0, 2, 2) == 0
    assert again.copies() == ["a.ome.xml", "b.ome.xml"]
    assert (again.root / "a.ome.xml").stat().st_ino == kept
    assert again.ledger.waiting() == 2


def test_two_processes_do_not_follow_one_bucket_at_once(house):
    house.bucket.put("a.ome.xml", OME)
    with (house.root.parent / "lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert house.scan(0, 2, 2) == 0
    assert house.scan(0, 2, 2) == 1


class Scripted:
    """A bucket that says what a test wants: a listing that no store of ours would give, other bytes than listed, or nothing at all."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        self.objects, self.error, self.cut = objects, None, 0

    def list(self) -> Iterator[list[dict[str, Any]]]:
        if self.error is not None:
            raise self.error
        yield [self._meta(key) for key in self.objects]

    def get(self, key: str) -> Any:
        body = self.objects[key][: len(self.objects[key]) - self.cut]
        return type("Got", (), {"meta": self._meta(key), "stream": lambda self, min_chunk_size: iter([body])})()

    def _meta(self, key: str) -> dict[str, Any]:
        return {"path": key, "size": len(self.objects[key]), "e_tag": None, "last_modified": datetime(2026, 1, 1, tzinfo=UTC)}


HOSTILE = ("../out.ome.xml", "/etc/out.ome.xml", "a/../../out.ome.xml", "a//b.ome.xml", "a\nb.ome.xml", "a\\b.ome.xml", "x" * 201, "\ud800")


def test_a_hostile_key_never_becomes_a_path_and_is_named_once(settings, engine, tmp_path):
    house = House(settings, engine, Scripted({key: OME for key in (*HOSTILE, "good.ome.xml", "file", "file/inner.ome.xml")}))
    assert house.scan(0, 2, 2, 10, 10) == 2
    assert house.copies() == ["file/inner.ome.xml", "good.ome.xml"]
    assert not list(tmp_path.rglob("out.ome.xml"))
    assert len(house.ledger.quarantine()) == len(HOSTILE) + 1
    assert all(refusal.source.isprintable() for refusal in house.ledger.quarantine())
    assert house.ledger.counter("refused_invalid-input") == len(HOSTILE) + 1


def test_an_empty_object_that_marks_a_folder_is_no_refusal(settings, engine):
    house = House(settings, engine, Scripted({"plate": b"", "plate/a.ome.xml": OME}))
    assert house.scan(0, 2, 2) == 1
    assert house.ledger.quarantine() == ()


def test_a_bucket_that_cannot_be_listed_deletes_nothing(settings, engine):
    from obstore.exceptions import GenericError

    house = House(settings, engine, Scripted({"a.ome.xml": OME}))
    house.scan(0, 2, 2)
    house.bucket.error = GenericError("https://signed?secret")
    with pytest.raises(ServiceUnreachable, match="answered with GenericError"):
        house.scan(10)
    assert (house.copies(), house.ledger.gone_files(), house.ledger.waiting()) == (["a.ome.xml"], (), 1)


def test_an_object_that_is_cut_off_is_not_kept(settings, engine):
    house = House(settings, engine, Scripted({"a.ome.xml": OME, "b.ome.xml": OME}))
    house.bucket.cut = 1
    with pytest.raises(ServiceUnreachable, match="another number of bytes"):
        house.scan(0, 2)
    assert house.copies() == []
    house.bucket.cut = 0
    assert house.scan(2, 2) == 2


@pytest.mark.parametrize("key", ["a.ome.tif", "plate 1/ü.ome.zarr/.zattrs", "x/y/0/0.0"])
def test_plain_names_stay_as_they_are(key):
    assert unusable(key, set()) == ""


def test_only_s3_addresses_without_secrets_are_watched(tmp_path):
    file = tmp_path / "fairlead.yaml"
    file.write_text('watch: {buckets: [{url: "https://lab/micro?X-Amz-Signature=1"}]}')
    with pytest.raises(InvalidConfiguration, match=r"watch\.buckets"):
        load_settings(file)


def test_a_copy_that_is_lost_with_its_notes_is_fetched_again_before_anything_counts_as_deleted(house, engine):
    house.bucket.put("a.ome.xml", OME)
    house.scan(0, 2, 2)
    (file,) = house.ledger.claim_files(9, claimant="test")
    house.ledger.file_indexed(file, ["r1"])
    (house.root / "a.ome.xml").unlink()
    (house.root.parent / "etags.json").unlink()
    again = House(house.settings, engine, house.bucket)
    assert again.scan(0, 2, 2) == 0
    assert (again.copies(), again.ledger.gone_files(), again.ledger.waiting()) == (["a.ome.xml"], (), 0)


REFUSED = ("micro//x", "micro/../x", "micro/plate//x", "micro/plate/./x", "micro/\n/x")


@pytest.mark.parametrize("hostile", REFUSED)
def test_one_key_that_the_client_refuses_does_not_keep_the_others_away(settings, engine, hostile):
    with a_prefix("micro") as (objects, bucket):
        house = House(settings, engine, bucket)
        names = ["0", "a.ome.xml", "b.ome.xml", "plate/0", "plate/c.ome.xml", "plate/deep/d.ome.xml", "well/e.ome.xml", "well/f.ome.xml"]
        objects.update({f"micro/{name}": OME for name in names} | {hostile: b"x"})
        house.scan(0, 2, 2)
        assert house.copies() == names
        (refusal,) = (one for one in house.ledger.quarantine() if one.code == "invalid-input")
        assert "name that no file can have" in refusal.reason
        assert refusal.source in ("'/'", "'plate/'")


def test_only_what_a_listing_shows_to_be_gone_counts_as_deleted(settings, engine):
    with a_prefix("micro") as (objects, bucket):
        house = House(settings, engine, bucket)
        names = ["(1).ome.xml", "a.ome.xml", "old/b.ome.xml", "plate/(1).ome.xml", "plate/c.ome.xml", "well/d.ome.xml"]
        objects.update({f"micro/{name}": OME for name in names})
        house.scan(0, 2, 2)
        assert house.copies() == names
        objects["micro/plate//x"] = b"x"  # from now on "(1).ome.xml" of this folder cannot be seen
        del objects["micro/well/d.ome.xml"], objects["micro/old/b.ome.xml"]
        house.scan(10, 2, 2)
        assert house.copies() == ["(1).ome.xml", "a.ome.xml", "plate/(1).ome.xml", "plate/c.ome.xml"]
        objects["micro/plate/b\n"] = objects.pop("micro/plate//x")  # now nothing of this folder is sure
        del objects["micro/plate/c.ome.xml"]
        objects["micro/z.ome.xml"] = OME
        house.scan(10, 2, 2)
        assert house.copies() == ["(1).ome.xml", "a.ome.xml", "plate/(1).ome.xml", "plate/c.ome.xml", "z.ome.xml"]
        objects["micro/plate/c.ome.xml"] = OME
        del objects["micro/plate/b\n"], objects["micro/plate/(1).ome.xml"], objects["micro/z.ome.xml"]
        house.scan(10, 2, 2)
        assert house.copies() == ["(1).ome.xml", "a.ome.xml", "plate/c.ome.xml"]


def test_half_of_a_zarr_hierarchy_is_not_taken(settings, engine):
    with a_prefix("micro") as (objects, bucket):
        house = House(settings, engine, bucket)
        objects.update({f"micro/{half}.ome.zarr/{name}": b"{}" for half in "ab" for name in (".zgroup", ".zattrs", "0/.zarray", "0/0.0")})
        objects.update({f"micro/{half}.ome.zarr/.zattrs": b'{"multiscales": []}' for half in "ab"})
        objects["micro/b.ome.zarr/0//x"] = b"x"
        assert house.scan(0, 2, 2) == 1
        assert {name.split("/")[0] for name in house.copies()} == {"a.ome.zarr"}
        del objects["micro/b.ome.zarr/0//x"]
        assert house.scan(10, 2, 2) == 1
        objects["micro/b.ome.zarr/0//x"] = b"x"
        del objects["micro/b.ome.zarr/0/0.0"]
        assert house.scan(10, 2, 2) == 0
        assert "b.ome.zarr/0/0.0" in house.copies()
