"""Real servers on loopback that a test may kill and start again: OpenSearch from tools/, PostgreSQL from the machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from needs import missing
from receive.builders import wait_for

TOOLS = Path(__file__).parents[2] / "tools"


def free_port() -> int:
    """Return a port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_running(pid: int) -> bool:
    """Return whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@dataclass(frozen=True)
class OpenSearch:
    """One node in a folder of its own; its data survive a kill."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait for its health; the first start of a checkout downloads it."""
        command = [TOOLS / "opensearch-up.sh", self.folder, str(self.port)]
        log = self.folder / "up.log"
        with log.open("w") as told:  # no pipe: the server would hold it open
            done = subprocess.run(command, stdout=told, stderr=told, timeout=600, check=False)
        if done.returncode:
            missing("OpenSearch", f"tools/opensearch-up.sh says: {log.read_text()[-500:]}")

    def kill(self) -> None:
        """End it as a power cut does."""
        pid = int((self.folder / "opensearch.pid").read_text())
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not is_running(pid))

    def stop(self) -> None:
        subprocess.run([TOOLS / "opensearch-down.sh", self.folder], capture_output=True, timeout=90, check=False)
