"""A program for test_crash: for every line on stdin it forks a node, says "PID PORT", and waits until somebody kills that."""

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from fairlead.receive import DicomNode
from fairlead.receive.negotiation import storage_classes, transfer_syntaxes
from receive.builders import quick


def main(home: Path) -> None:
    storage_classes(), transfer_syntaxes()  # imported once, before the first fork
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            _, port = DicomNode(quick(home)).start()
            os.write(1, f"{os.getpid()} {port}\n".encode())
            signal.pause()
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
