"""Real servers on loopback that a test may kill and start again: OpenSearch from tools/, PostgreSQL from the machine."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import NullPool, create_engine

from needs import missing, program
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


def postgres_program(name: str) -> str:
    """Return a program of the newest PostgreSQL; Debian keeps them out of PATH."""
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return str(installed[-1]) if installed else program(name)


class Postgres:
    """A cluster of its own on loopback, run by the user postgres when we are root; its data survive a kill."""

    def __init__(self) -> None:
        self.folder, self.port = Path(tempfile.mkdtemp(prefix="fairlead-test-postgres-")), free_port()
        self._as = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
        self._numbers = itertools.count()
        if self._as:
            shutil.chown(self.folder, "postgres")
        self._run("initdb", "--pgdata", str(self.folder / "data"), "--username=fairlead", "--auth=trust", "--no-sync", "--encoding=UTF8")

    def _run(self, name: str, *arguments: str) -> None:
        done = subprocess.run(
            [*self._as, postgres_program(name), *arguments], cwd=self.folder, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = ["-h", "127.0.0.1", "-p", str(self.port), "-k", str(self.folder), "-c", "fsync=off"]  # we kill processes, not the machine
        with (self.folder / "log").open("a") as log:
            command = [*self._as, postgres_program("postgres"), "-D", str(self.folder / "data"), *options]
            self._server = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log, start_new_session=True)
        ready = [postgres_program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        wait_for(lambda: subprocess.run(ready, check=False).returncode == 0)

    def kill(self) -> None:
        """End every process of it as a power cut does."""
        children = [int(pid) for pid in Path(f"/proc/{self._server.pid}/task/{self._server.pid}/children").read_text().split()]
        for pid in (self._server.pid, *children):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._server.wait(30)
        wait_for(lambda: not any(map(is_running, children)))

    def stop(self) -> None:
        self._server.send_signal(signal.SIGINT)  # fast: does not wait for clients
        self._server.wait(60)
        shutil.rmtree(self.folder)

    def url(self, database: str) -> str:
        return f"postgresql+psycopg2://fairlead@127.0.0.1:{self.port}/{database}"

    def new_database(self, template: str = "template1") -> str:
        """Return the address of a fresh database."""
        name = f"test_{next(self._numbers)}"
        admin = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT", poolclass=NullPool)
        with admin.connect() as connection:
            connection.exec_driver_sql(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)
