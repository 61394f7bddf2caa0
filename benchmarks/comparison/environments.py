"""An environment for each tracker, so that none dictates the versions of another. They are kept between calls."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
OURS = "runfolio"
OURS_ALSO = ("pandas",)
"""The others bring pandas along, and the listing is compared as data frames."""


class NotInstalledError(Exception):
    """An environment could not be made. The text says why."""


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment with one tracker."""

    python: Path
    version: str


def default_folder() -> Path:
    """Where environments are kept: in the user's cache, never in the checkout."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "runfolio-benchmarks"


def prepare(package: str, folder: Path) -> Environment:
    """Return an environment with a package in its newest version, or in the one that was installed by an earlier call.

    Our own package is built from this checkout each time.

    Raises:
        NotInstalledError: the package cannot be installed here.
    """
    venv = folder / package
    python = venv / ("Scripts" if os.name == "nt" else "bin") / "python"
    ready = venv / "ready"
    if not ready.exists():
        _run([sys.executable, "-m", "venv", "--clear", str(venv)])
    stamp = _state_of_checkout() if package == OURS else package
    if not ready.exists() or ready.read_text(encoding="utf-8") != stamp:
        with tempfile.TemporaryDirectory(prefix="runfolio-wheel-") as wheels:
            wanted = [str(_wheel(Path(wheels))), *OURS_ALSO] if package == OURS else [package]
            install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            _run([*install, *wanted])
            if package == OURS:  # the same version with other contents: pip would leave the old ones
                _run([*install, "--force-reinstall", "--no-deps", wanted[0]])
        ready.write_text(stamp, encoding="utf-8")
    asking = f"from importlib.metadata import version; print(version({package!r}))"
    return Environment(python, _run([str(python), "-c", asking]).strip())


def _state_of_checkout() -> str:
    digest = hashlib.sha256()
    for top in ("core", "backends", "plugins", "pyproject.toml"):
        start = CHECKOUT / top
        for path in [start] if start.is_file() else sorted(start.rglob("*.py")):
            digest.update(str(path).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _wheel(target: Path) -> Path:
    """Build this checkout. As a wheel, so that nothing is left behind in it."""
    _run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(target), str(CHECKOUT)])
    (wheel,) = target.glob("*.whl")
    return wheel


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise NotInstalledError(f"{' '.join(command[1:4])} …: {last}")
    return done.stdout
