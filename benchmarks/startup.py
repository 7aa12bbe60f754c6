"""P17: what a start costs: ``import fairlead``, ``fairlead --help``, and parsing each DAG file after Airflow itself.

python benchmarks/startup.py [--rounds 5] [--json]

Each figure is the median of whole processes, wall seconds. The peer is a bare interpreter (for the first two) and a process
that imports ``airflow.sdk`` only (for the DAG files); what is printed is the difference.

Budget: import 0.15 s, help 0.5 s, each DAG file 0.5 s after Airflow itself.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

from fairlead.resources import dags_folder

AIRFLOW = "import airflow.sdk"


def seconds(code: str, *, rounds: int) -> float:
    """Return the median wall time of ``python -c code`` after one warm-up."""
    times = []
    for _ in range(rounds + 1):
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        times.append(time.perf_counter() - begun)
    return statistics.median(times[1:])


def measured(rounds: int) -> dict[str, float]:
    """Return each figure in seconds."""
    bare = seconds("pass", rounds=rounds)
    airflow = seconds(AIRFLOW, rounds=rounds)
    figures = {
        "import fairlead": seconds("import fairlead", rounds=rounds) - bare,
        "fairlead --help": seconds("from fairlead.cli import run; run(['--help'])", rounds=rounds),
    }
    for file in sorted(dags_folder().glob("*.py")):
        load = f"{AIRFLOW}; import runpy; runpy.run_path({str(file)!r})"
        figures[f"parse {file.name}"] = seconds(load, rounds=rounds) - airflow
    return {name: round(value, 3) for name, value in figures.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    figures = measured(given.rounds)
    print(json.dumps(figures) if given.json else "\n".join(f"{name:<28} {value:6.3f} s" for name, value in figures.items()))


if __name__ == "__main__":
    main()
