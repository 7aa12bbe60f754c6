"""A disk that is really full: a tmpfs of a few megabytes under the archive."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from needs import missing, program
from receive.builders import CT, ROUTE, STUDY, a_slice, archived, association, encoded, quick, running, send, send_bytes
from receive.raw import rejection

pytestmark = pytest.mark.live
MEGABYTE = 1024**2


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[Path]:
    """Mount a tmpfs; only root may, and only where the container allows it."""
    folder.mkdir()
    command = [program("mount"), "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        missing("a file system of our own (mount)", "run the test as root in a privileged container")
    try:
        yield folder
    finally:
        subprocess.run([program("umount"), "-l", str(folder)], check=True)


def parts(settings) -> list[Path]:
    return [path for path in settings.archive_folder.rglob("*") if path.suffix == ".part"]


def test_a_full_disk_refuses_with_a700_keeps_nothing_partial_and_recovers(tmp_path):
    with small_disk(tmp_path / "disk", 3 * MEGABYTE) as disk:
        settings = quick(tmp_path / "home").model_copy(update={"archive": disk / "archive"})
        with running(settings) as (node, port):
            with association(port) as peer:
                statuses = [send(peer, a_slice(number, pixels=bytes(MEGABYTE))) for number in range(1, 5)]
                assert statuses == [0, 0, 0xA700, 0xA700]
                assert send(peer, a_slice(9)) == 0  # a small one still fits
                image = a_slice(3, pixels=bytes(MEGABYTE))
                comment = send_bytes(peer, encoded(image), sop_class=CT, sop_instance=image.SOPInstanceUID)[1]
                assert comment.startswith("There is no space left")
                assert len(archived(settings)) == 3
                assert parts(settings) == []
                subprocess.run([program("mount"), "-o", f"remount,size={8 * MEGABYTE}", str(disk)], check=True)
                assert send(peer, image) == 0
            known = node.ledger.known_versions(ROUTE, f"{STUDY}.1.3")
            assert [(settings.archive_folder / path).is_file() for path in known.values()] == [True]


def test_below_the_low_water_mark_senders_are_told_to_come_again(tmp_path):
    with small_disk(tmp_path / "disk", 4 * MEGABYTE) as disk:
        settings = quick(tmp_path / "home", low_water_bytes=2 * MEGABYTE).model_copy(update={"archive": disk / "archive"})
        with running(settings) as (_, port), association(port) as peer:
            assert [send(peer, a_slice(number, pixels=bytes(MEGABYTE))) for number in (1, 2, 3)] == [0, 0, 0xA700]
            assert rejection(port) == (2, 3, 1)
            subprocess.run([program("mount"), "-o", f"remount,size={8 * MEGABYTE}", str(disk)], check=True)
            assert send(peer, a_slice(3)) == 0
