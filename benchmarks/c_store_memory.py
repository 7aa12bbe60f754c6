"""P3: peak resident memory of the receiving process for one multi-frame object of 419 MB; peers: Orthanc, storescp with bit preservation.

python benchmarks/c_store_memory.py [--json] [--frames 800]

Budget: at most 150 MB.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from dicom_receivers import receiver, send, version, write_series


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=800)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        large = write_series(work, 1, instances=1, frames=given.frames)
        size_mb = next(large.iterdir()).stat().st_size / 1e6
        for name in ("fairlead", "orthanc", "storescp+B"):
            with receiver(name, work / "receiver") as running:
                idle = running.peak_mb()
                seconds = send(running.port, large)
                figures[name] = {"peak_mb": round(running.peak_mb()), "idle_mb": round(idle), "seconds": round(seconds, 2)}
        figures |= {"object_mb": round(size_mb), "peers": {"orthanc": version("Orthanc"), "storescp": version("storescp")}}
    print(json.dumps(figures) if given.json else "\n".join(f"{name:<12} {value}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
