"""P1 and P2: C-STORE over 8 associations and over 1; peers: Orthanc, and ``storescp --fork``, which syncs nothing.

python benchmarks/c_store.py [--json] [--rounds 3] [--instances 320] [--growth] [--folder DIR]

0.53 MB CT objects from dcmsend; every receiver is started fresh for every round, in turn, so that noise hits all alike.
Ours answers Success after link, fsync of file and folder, and the ledger's commit; Orthanc after fdatasync of the file (its index is not
synced); storescp after write. The load of the machine at begin and end is printed. On a machine that others use, run it by
`chrt --rr 1`: receivers and senders alike then come before everybody else, and what is compared is the programs.

Budget: P1 at least 1.5 x Orthanc and 0.5 x storescp; P2 at least 1.5 x Orthanc. Growth: 1x, 4x, 16x the work, exponent at most 1.1.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import tempfile
from collections import defaultdict
from pathlib import Path

from dicom_receivers import ORTHANC, receiver, send, version, write_series

NAMES = ("fairlead", "orthanc", "storescp")


def rate(name: str, work: Path, warm: Path, folders: list[Path]) -> float:
    """Return instances per second of a fresh receiver after one instance of warm-up."""
    with receiver(name, work / "receiver") as running:
        send(running.port, warm)
        seconds = send(running.port, *folders)
    return sum(len(list(folder.iterdir())) for folder in folders) / seconds


def compared(work: Path, warm: Path, folders: list[Path], rounds: int) -> dict[str, float]:
    """Return the median rate of each receiver, and ours in proportion to the others'."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        for name in NAMES:
            found[name].append(rate(name, work, warm, folders))
    medians = {name: statistics.median(values) for name, values in found.items()}
    ratios = {f"x {name}": medians["fairlead"] / medians[name] for name in NAMES[1:]}
    return {name: round(value, 2) for name, value in (medians | ratios).items()}


def exponent(work: Path, warm: Path) -> float:
    """Return the slope of log(seconds) over log(instances) for 1, 4 and 16 times 40 instances over 8 associations."""
    points = []
    for number, times in enumerate((1, 4, 16)):
        folders = [write_series(work / f"growth-{times}", 1000 * (number + 1) + one, instances=5 * times) for one in range(8)]
        points.append((math.log(times), math.log(40 * times / rate("fairlead", work, warm, folders))))
    return round(statistics.linear_regression(*zip(*points, strict=True)).slope, 2)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--instances", type=int, default=320)
    parser.add_argument("--folder", help="Where receivers write; a tmpfs shows what remains without the disk.")
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        work = Path(folder)
        warm = write_series(work, 99, instances=1)
        eight = [write_series(work / "eight", number, instances=given.instances // 8) for number in range(1, 9)]
        one = [write_series(work / "one", 10, instances=given.instances // 2)]
        load = os.getloadavg()[0]
        figures: dict[str, object] = {
            "8 associations, instances/s": compared(work, warm, eight, given.rounds),
            "1 association, instances/s": compared(work, warm, one, given.rounds),
            "peers": {"orthanc": version("Orthanc"), "orthanc configuration": ORTHANC, "storescp": version("storescp")},
        }
        figures["load"] = [round(load, 1), round(os.getloadavg()[0], 1)]
        if given.growth:
            figures["exponent"] = exponent(work, warm)
    print(json.dumps(figures) if given.json else "\n".join(f"{name:<30} {value}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
