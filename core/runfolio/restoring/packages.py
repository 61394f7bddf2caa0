"""The packages of a run: the exact set, and what differs here and now."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runfolio.environment import installed_packages, machine_properties

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runfolio.run import Run


@dataclass(slots=True)
class PackageDifference:
    """What differs between the packages of a run and those installed here.

    Attributes:
        python: the Python of the run and the one here, when they differ.
        other: name -> (version of the run, version here).
        missing: packages of the run that are not installed here, with their version.
        more: packages that are installed here and were not then.
    """

    python: tuple[str, str] | None = None
    other: dict[str, tuple[str, str]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    more: dict[str, str] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """The differences as text, one a line; none when everything is the same."""
        lines = [] if self.python is None else [f"Python: {self.python[0]} then, {self.python[1]} here"]
        lines += [f"{name}: {then} then, {here} here" for name, (then, here) in sorted(self.other.items())]
        lines += [f"{name}: {then} then, not installed here" for name, then in sorted(self.missing.items())]
        return lines + [f"{name}: not there then, {here} here" for name, here in sorted(self.more.items())]


def requirements_of(run: Run) -> str:
    """Return the packages of a run as a requirements file: each with its exact version, and Python in a comment."""
    python = run.properties.get("PythonVersion")
    head = [f"# The packages of run {run.id}{f', Python {python}' if python else ''}"]
    return "\n".join([*head, *(f"{name}=={version}" for name, version in sorted(run.packages.items()))]) + "\n"


def package_differences(run: Run, installed: Mapping[str, str] | None = None) -> PackageDifference:
    """Compare the packages of a run with those here.

    Args:
        run: the run.
        installed: name -> version; by default what this interpreter has.
    """
    here = installed_packages() if installed is None else installed
    then = run.packages
    found = PackageDifference(
        other={name: (then[name], here[name]) for name in then if name in here and then[name] != here[name]},
        missing={name: version for name, version in then.items() if name not in here},
        more={name: version for name, version in here.items() if name not in then},
    )
    python, now = run.properties.get("PythonVersion"), machine_properties()["PythonVersion"]
    if isinstance(python, str) and python != now:
        found.python = (python, now)
    return found
