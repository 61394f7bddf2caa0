"""What is to be run, where it lies, and how it is started."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from runfolio.config import resolve
from runfolio.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runfolio.config import Settings

LOCAL: Final = "local"
"""The target that is this machine."""
_PYTHON: Final = frozenset({".py", ".pyw"})
_SHELL: Final = frozenset({".sh", ".bash"})
_CHILD: Final = Path(__file__).with_name("child.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchRequest:
    """A tracked run that somebody asks for. Plain values: `words` hands it to another process.

    Attributes:
        script: path as it was given, or the name of a module.
        arguments: of the script.
        module: whether `script` names a module.
        folder: where it was asked for; relative paths start there.
        store: a URL, path or name; None: as configured.
        project: None: as configured.
        experiment: None: the script's name.
        name: of the run.
        note: about the run.
        tags: of the run.
        in_place: run in the project itself instead of a copy.
        capture: folders to store besides `outputs`, added to the configured ones.
        source: the run whose source is run again; None for the project as it is.
        snapshot: ``full``, ``git`` or ``off``; None: as configured.
        system_metrics: None: as configured.
        python: the interpreter, as a path or a name; None: the one that runs this.
        target: where to run.
        grace: seconds between a signal and the kill.
        time_limit: seconds that one attempt of the script may take; None: no limit.
        retries: how often a script that fails is tried again, each time as another attempt of the run.
        params: of the run, known before it begins.
        properties: facts to record besides those that are found.
        resume: the run that this is another attempt of; None for a new run. Where `source` is the same run, it was
            begun elsewhere.
        reason: why it is another attempt.
    """

    script: str
    arguments: tuple[str, ...] = ()
    module: bool = False
    folder: str = ""
    store: str | None = None
    project: str | None = None
    experiment: str | None = None
    name: str | None = None
    note: str | None = None
    tags: tuple[str, ...] = ()
    in_place: bool = False
    capture: tuple[str, ...] = ()
    source: str | None = None
    snapshot: str | None = None
    system_metrics: bool | None = None
    python: str | None = None
    target: str = LOCAL
    grace: float = 10.0
    time_limit: float | None = None
    retries: int = 0
    params: Mapping[str, Any] = field(default_factory=dict)
    properties: Mapping[str, Any] = field(default_factory=dict)
    resume: str | None = None
    reason: str = "started again"

    def words(self) -> list[str]:
        """The request as what follows ``runfolio run`` on a command line, in the same folder.

        Without what no command line can say: params, properties, source and the run to resume.
        """
        options: list[tuple[str, str | None]] = [
            ("--store", self.store),
            ("--project", self.project),
            ("--experiment", self.experiment),
            ("--name", self.name),
            ("--note", self.note),
            *(("--tag", tag) for tag in self.tags),
            *(("--capture", folder) for folder in self.capture),
            ("--python", self.python),
            ("--grace", str(self.grace)),
            ("--snapshot", self.snapshot),
            ("--time-limit", None if self.time_limit is None else str(self.time_limit)),
            ("--retries", str(self.retries) if self.retries else None),
        ]
        flags = {
            "--in-place": self.in_place,
            "--no-system-metrics": self.system_metrics is False,
            "-m": self.module,
        }
        return [
            *(word for option, value in options if value is not None for word in (option, value)),
            *(flag for flag, given in flags.items() if given),
            "--",
            self.script,
            *self.arguments,
        ]


@dataclass(frozen=True, slots=True)
class Located:
    """A request whose project and script were found.

    Attributes:
        request: the request.
        settings: those of the project.
        root: the project.
        script: path relative to the project, with ``/``; None for a module and for a script outside of the project.
        outside: full path of a script outside of the project.
        python: the interpreter.
    """

    request: LaunchRequest
    settings: Settings
    root: Path
    script: str | None
    outside: Path | None
    python: str

    @property
    def shown(self) -> str:
        """The script as the record names it."""
        if self.request.module:
            return self.request.script
        return self.script if self.script is not None else str(self.outside)

    @property
    def capture(self) -> tuple[str, ...]:
        """The folders to store besides `outputs`."""
        return self.settings.capture

    def command(self, folder: Path, report: Path) -> list[str]:
        """Return the command line that runs the script.

        Args:
            folder: where it runs: the working copy, or the project.
            report: where the script's process says what exception ended it.

        Raises:
            ConfigurationError: the script is not there, or is nothing that can be run.
        """
        request = self.request
        bootstrap = [self.python, str(_CHILD), str(report), str(folder)]
        if request.module:
            return [*bootstrap, "-m", request.script, *request.arguments]
        path = self.outside if self.outside is not None else folder / str(self.script)
        if not path.exists():
            raise ConfigurationError(
                f"{self.shown} is not in the working copy: it lies in a folder that is never copied. "
                f"Move it, or use --in-place",
                key=self.shown,
            )
        if path.suffix.lower() in _PYTHON:
            return [*bootstrap, str(path), self._as_given(folder, path), *request.arguments]
        return [*_interpreter(path), str(path), *request.arguments]

    def _as_given(self, folder: Path, path: Path) -> str:
        """What the script sees as ``sys.argv[0]``: the user's word where it still means the same file."""
        given = self.request.script
        if os.sep == "/":
            given = given.replace("\\", "/")
        if Path(folder, given) == path or os.path.normpath(folder / given) == str(path):
            return given
        return str(self.script) if self.script is not None else str(path)


def _interpreter(path: Path) -> list[str]:
    if os.access(path, os.X_OK):
        return []
    if path.suffix.lower() in _SHELL:
        with path.open("rb") as file:
            first = file.readline(512)
        words = os.fsdecode(first[2:]).split() if first.startswith(b"#!") else []
        return words or ["sh"]
    raise ConfigurationError(
        f"{path.name} is no Python file and not executable: `chmod +x {path.name}`, or give it the suffix .py",
        key=str(path),
    )


def locate(request: LaunchRequest) -> Located:
    """Find the project and the script of a request.

    The project is the one of the current folder. For a script outside of it, or where the current folder belongs to
    none, it is the one that the script lies in.

    Raises:
        ConfigurationError: there is no such script or interpreter, or the configuration is wrong.
    """
    folder = Path(request.folder or Path.cwd())
    python = _python(request.python)
    settings = _settings(request, folder)
    if request.source is not None:  # the script lies in that source
        return Located(request, settings, _root(settings), None if request.module else request.script, None, python)
    if request.module:
        return Located(request, settings, _root(settings), None, None, python)
    path = _script(folder, request.script)
    inside = _relative(path, settings.root)
    if inside is None or not _is_marked(settings):
        # Asked for from elsewhere: the script's own project, with the configuration that holds there.
        own = _settings(request, path.parent)
        if inside is None or _is_marked(own):
            settings, inside = own, _relative(path, own.root)
    return Located(request, settings, _root(settings), inside, None if inside is not None else path, python)


def _settings(request: LaunchRequest, folder: Path) -> Settings:
    explicit: Mapping[str, object | None] = {"project": request.project, "snapshot_mode": request.snapshot}
    settings = resolve({key: value for key, value in explicit.items() if value is not None}, start=folder)
    if request.store is not None:
        # A relative path was meant from where the user stands, wherever the project is.
        here = resolve({"store": request.store}, start=Path(request.folder or Path.cwd()))
        settings = replace(
            settings,
            store=_anchored(request.store, Path(request.folder or Path.cwd()), here),
            origins={**settings.origins, "store": here.origin("store")},
        )
    if request.capture:
        added = resolve({"capture": list(request.capture)}, start=folder).capture
        settings = replace(settings, capture=tuple(dict.fromkeys([*settings.capture, *added])))
    return settings


def _anchored(store: str, folder: Path, settings: Settings) -> str:
    if "://" in store or store in settings.stores or Path(store).is_absolute():
        return store
    return str(folder / Path(store).expanduser())


def _is_marked(settings: Settings) -> bool:
    """Whether anything says that the folder is a project."""
    return settings.project_file is not None or any((settings.root / mark).exists() for mark in (".git", ".runfolio"))


def _root(settings: Settings) -> Path:
    return Path(os.path.realpath(settings.root))


def _script(folder: Path, word: str) -> Path:
    """Return the full path of a script, links in its folders resolved."""
    candidates = [folder / word]
    if os.sep == "/" and "\\" in word:
        candidates.append(folder / word.replace("\\", "/"))  # as Windows users write it
    for path in candidates:
        if path.is_file():
            full = Path(os.path.abspath(path))  # noqa: PTH100  (normalised, the script itself not resolved)
            return Path(os.path.realpath(full.parent), full.name)
    if candidates[0].is_dir():
        raise ConfigurationError(f"{word} is a folder: give a script, or a module with -m", key=word)
    hint = " (for a module, use -m)" if "/" not in word and not Path(word).suffix else ""
    raise ConfigurationError(f"There is no script {word} in {folder}{hint}", key=word)


def _relative(path: Path, root: Path) -> str | None:
    real = Path(os.path.realpath(root))
    try:
        return path.relative_to(real).as_posix()
    except ValueError:
        return None


def _python(word: str | None) -> str:
    if word is None:
        return sys.executable
    found = shutil.which(os.path.expanduser(word))  # noqa: PTH111  (a name may be no path)
    if found is None:
        raise ConfigurationError(
            f"There is no interpreter {word!r}: --python takes a path, or a program on PATH", key="python"
        )
    return os.path.abspath(found)  # noqa: PTH100  (a link must not be resolved: it leads out of a virtual environment)


def is_wild_root(located: Located) -> bool:
    """Whether the project is a folder that nobody meant to be one: the home folder, the root, that for temporary files.

    A ``.git`` there does not count: some keep their settings in one.
    """
    if located.settings.project_file is not None:
        return False
    wild = {Path("/"), Path(tempfile.gettempdir()), Path(os.path.expanduser("~"))}  # noqa: PTH111  (no error without a home)
    return located.root in {Path(os.path.realpath(one)) for one in wild}


def refuse_wild_root(located: Located) -> None:
    """Refuse to copy a folder that nobody meant to be a project.

    Raises:
        ConfigurationError: the project is such a folder, and no configuration file in it says that it is a project.
    """
    if is_wild_root(located):
        raise ConfigurationError(
            f"{located.root} would be copied as the project. Make a folder for it (`runfolio init NAME`), or use "
            "--in-place",
            key=str(located.root),
        )
