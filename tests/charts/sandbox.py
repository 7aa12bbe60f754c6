"""A rendered container as a process, in mounts as the pod has them: its volumes at their paths, everything else read-only, any user id."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).parents[2]
DEADLINE_S = 60
ANY_USER = 1_000_650_000
"""As OpenShift gives them: nobody has a name or a home for it, its group is root's."""

SCRIPT = r"""
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=0755 none /mnt
number=0
for path in "${VISIBLE[@]}"; do mkdir "/mnt/v$((++number))"; mount --bind "$path" "/mnt/v$number"; done
for pair in "${MOUNTS[@]}"; do mkdir "/mnt/v$((++number))"; mount --bind "${pair%%=*}" "/mnt/v$number"; done
mkdir /mnt/etc && cp -a /etc/. /mnt/etc/ && mount --bind /mnt/etc /etc
for path in "${CLOSED[@]}" /var/lib /tmp; do mount -t tmpfs -o mode=0755 none "$path"; done
mkdir -p /var/lib/fairlead
number=${#VISIBLE[@]}
for pair in "${MOUNTS[@]}"; do
    rest=${pair#*=} to=${rest%:*}
    mkdir -p "$to"; mount --bind "/mnt/v$((++number))" "$to"
    [ "${rest##*:}" = rw ] || mount -o remount,ro,bind "$to"
done
number=0  # last: the checkout may lie below a folder that the pod has a volume for, as /tmp
for path in "${VISIBLE[@]}"; do mkdir -p "$path"; mount --bind "/mnt/v$((++number))" "$path"; mount -o remount,ro,bind "$path"; done
for path in "${CLOSED[@]}" /var/lib /etc /mnt; do mount -o remount,ro,bind "$path"; done
mount -o remount,ro,bind /
exec setpriv --reuid="$1" --regid=0 --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all env -i "${@:2}"
"""


def needs_namespaces() -> None:
    """Skip where the kernel or the user doesn't allow it: only root can take any user id."""
    possible = os.getuid() == 0 and shutil.which("unshare") and shutil.which("setpriv")
    if not possible or subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        pytest.skip("making mounts and taking any user id needs root, unshare and setpriv")


def closed_folders(paths: list[Path]) -> list[Path]:
    """Return the topmost folders above ``paths`` that a stranger may not enter."""
    above = {parent for path in paths for parent in path.parents if not parent.stat().st_mode & 0o001}
    return sorted(folder for folder in above if not above & set(folder.parents))


class SandboxedPod:
    """One volume and one ConfigMap for all containers of a release, as processes on this machine."""

    def __init__(self, folder: Path, config: dict[str, str], *, program: Path = Path(sys.prefix), backups: Path | None = None) -> None:
        self.volume, self.config, self.tmp, self.program = folder / "volume", folder / "config", folder / "tmp", program
        claims = backups or folder / "claims"
        self.claims = {name: claims / name for name in ("backup", "backup-keys")}
        for made in (self.volume, self.config, self.tmp, *self.claims.values()):
            made.mkdir(parents=True, exist_ok=True)
        for made in (self.volume, self.tmp, *self.claims.values()):
            made.chmod(0o2775)  # what fsGroup gives: the group is the pod's, and is inherited
        for name, text in config.items():
            (self.config / name).write_text(text)

    def command(self, container: dict[str, Any], *words: str, env: dict[str, str], user: int = ANY_USER) -> list[str]:
        """Return the command that runs ``words`` with the container's mounts and variables."""
        mounts = [self._mount(mount) for mount in container["volumeMounts"]]
        visible = list(dict.fromkeys([self.program, CHECKOUT, Path(sys.base_prefix)]))
        visible = [path for path in visible if not any(other in path.parents for other in visible)]
        given = {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}
        path = f"{self.program / 'bin'}:/usr/local/bin:/usr/bin:/bin"
        variables = [f"{name}={value}" for name, value in {**given, "PATH": path, "PYTHONUNBUFFERED": "1", **env}.items()]
        arrays = "".join(
            f"{name}=({' '.join(shell(str(item)) for item in items)})\n"
            for name, items in (("VISIBLE", visible), ("CLOSED", closed_folders(visible)), ("MOUNTS", mounts))
        )
        return ["unshare", "--mount", "bash", "-c", arrays + SCRIPT, "pod", str(user), *variables, *words]

    def _mount(self, mount: dict[str, Any]) -> str:
        source = {"home": self.volume, "config": self.config, "tmp": self.tmp, **self.claims}[mount["name"]] / mount.get("subPath", "")
        if not source.exists():  # the kubelet makes a subPath with the mode of the volume
            source.mkdir()
            source.chmod(0o2775)
        return f"{source}={mount['mountPath']}:{'ro' if mount.get('readOnly') else 'rw'}"

    def run(self, container: dict[str, Any], *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        command = self.command(container, *words, env=env)
        return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)

    @contextmanager
    def started(self, container: dict[str, Any], **env: str) -> Iterator[str]:
        """Start the container, give the first line that it prints, and end it with SIGTERM, which must end it well."""
        log = self.tmp.parent / f"{container['name']}.log"
        with log.open("w") as told:
            command = self.command(container, "fairlead", *container["args"], env=env)
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=told, text=True)
        try:
            assert process.stdout is not None
            ready, _, _ = select.select([process.stdout], [], [], DEADLINE_S)
            line = process.stdout.readline() if ready else ""
            assert line.startswith("listening"), log.read_text()
            yield line
            process.send_signal(signal.SIGTERM)
            assert process.wait(DEADLINE_S) == 0, log.read_text()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            if process.stdout:
                process.stdout.close()


def shell(text: str) -> str:
    """Return the text as one word of the shell."""
    return "'" + text.replace("'", "'\\''") + "'"
