"""P4: from the Success of a series' last C-STORE to its record in the index, with the default settle time and after a commitment manifest.

python benchmarks/completion.py [--json] [--series 20]

The node and the index drain run in this process; the drain is called as soon as the ledger says that something waits, asked every 0.5 s
as the Airflow trigger does. The start of a DAG run by Airflow's scheduler is not in these figures. Kaapana, the peer, cannot be run here:
its receiver waits 8 to 12 s for a file count to stand still before it starts its first of 8 tasks (facts from its source).

Budget: p50 at most 8 s, p95 at most 12 s with the default settle time of 5 s; at most 3 s after a manifest.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
from pathlib import Path

from dicom_receivers import free_port, write_series
from pydicom import Dataset, dcmread
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage, StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from fairlead.extract import load_catalogue
from fairlead.index import drain, open_index
from fairlead.receive import DicomNode
from fairlead.settings import Settings

POLL_S = 0.5
INSTANCES = 5
ROUTES = """routes: [{{name: all, project: default, center: local, from_networks: [127.0.0.0/8]}}]
peers: [{{ae_title: BENCH, host: 127.0.0.1, port: {port}}}]
"""


def store(port: int, folder: Path, *, commit: bool) -> tuple[str, float]:
    """Send a series, and its manifest where asked; return its UID and when the last Success came."""
    ae = AE("BENCH")
    ae.add_requested_context(CTImageStorage, "1.2.840.10008.1.2.1")
    ae.add_requested_context(StorageCommitmentPushModel)
    peer = ae.associate("127.0.0.1", port, ae_title="FAIRLEAD")
    images = [dcmread(path) for path in sorted(folder.iterdir())]
    if any(peer.send_c_store(image).Status for image in images):
        raise SystemExit("an object was not stored")
    done = time.monotonic()
    if commit:
        wanted = Dataset()
        wanted.TransactionUID = f"{images[0].SeriesInstanceUID}.9"
        wanted.ReferencedSOPSequence = [_reference(image) for image in images]
        peer.send_n_action(wanted, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance)
    peer.release()
    return str(images[0].SeriesInstanceUID), done


def _reference(image: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    return item


def latencies(work: Path, *, series: int, commit: bool) -> list[float]:
    """Return seconds from the last Success to the record, for each series; they are sent half a second apart."""
    (work / "routes.yaml").write_text(ROUTES.format(port=free_port()))  # nobody takes the reports: the series must not wait for that
    settings = Settings(home=work / f"home-{commit}", node={"port": 0, "routes": work / "routes.yaml"})
    node = DicomNode(settings)
    _, port = node.start()
    catalogue = load_catalogue(settings.fields_file)
    index, found, sent, stop = open_index(settings, catalogue), {}, {}, threading.Event()

    def draining() -> None:
        while not stop.wait(POLL_S):
            while node.ledger.waiting_series():
                report = drain(settings, ledger=node.ledger, index=index, catalogue=catalogue, claimant="bench", kind="series")
                found.update(dict.fromkeys((index.get(key).core.series_uid for key in report.records), time.monotonic()))

    drainer = threading.Thread(target=draining)
    drainer.start()
    for number in range(1, series + 1):
        uid, done = store(port, write_series(work / "series", number, instances=INSTANCES), commit=commit)
        sent[uid] = done
        time.sleep(POLL_S)
    deadline = time.monotonic() + 90
    while len(found) < series and time.monotonic() < deadline:
        time.sleep(0.05)
    stop.set()
    drainer.join()
    node.stop(grace_s=0)
    return sorted(found[uid] - done for uid, done in sent.items())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, commit in (("release, 5 s settle", False), ("commitment manifest", True)):
            found = latencies(Path(folder), series=given.series, commit=commit)
            p95 = found[min(round(0.95 * len(found)), len(found) - 1)]
            figures[name] = {"p50_s": round(statistics.median(found), 2), "p95_s": round(p95, 2), "series": len(found)}
    print(json.dumps(figures) if given.json else "\n".join(f"{name:<22} {value}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
