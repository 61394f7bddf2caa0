"""Every setting there is: its key, its type, what it means, and what holds when nobody says anything."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from runfolio.config import readers
from runfolio.config.origins import DEFAULT, Origin
from runfolio.costs import Prices

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runfolio.config.readers import Reader
    from runfolio.config.stores import StoreProfile
    from runfolio.config.targets import TargetProfile

Mode: TypeAlias = Literal["online", "offline", "disabled"]
SnapshotMode: TypeAlias = Literal["full", "git", "off"]
DEFAULT_ARTIFACT_LIMIT: Final = 512 * 1024 * 1024
DEFAULT_UNTRACKED_LIMIT: Final = 10 * 1000**2
DEFAULT_SNAPSHOT_LIMIT: Final = 500 * 1000**2


class Setting(NamedTuple):
    """What is known of one setting.

    Attributes:
        attribute: its name in `Settings`, and as an explicit argument.
        key: its name in files; a dot stands for a table.
        variables: the environment variables that set it; the first is ``RUNFOLIO_`` and the key.
        read: turns a found value into its type.
        doc: what it means.
        default: what holds when nobody says anything.
    """

    attribute: str
    key: str
    variables: tuple[str, ...]
    read: Reader
    doc: str
    default: object


def _setting(read: Reader, doc: str, *, default: object = None, key: str = "", also: str = "") -> Any:
    return field(default=default, metadata={"read": read, "doc": doc, "key": key, "also": also})


@dataclass(frozen=True)
class Settings:
    """The configuration that holds in one folder. Made by `resolve`; `origin` says where each value came from."""

    store: str = _setting(
        readers.location,
        "The store: a path, a URL, or the name of one of `stores`. A relative path in a project's file starts at the "
        "file's folder; elsewhere at the current folder. By default `.runfolio/store` of the project.",
        default=".runfolio/store",
    )
    project: str = _setting(readers.text, "The name of the project. By default the name of its folder.", default="")
    experiment: str | None = _setting(
        readers.text, "The experiment that runs belong to. By default the name of the script."
    )
    mode: Mode = _setting(  # noqa: RUF009  # it only wraps field()
        readers.one_of("online", "offline", "disabled"),
        "`online` sends runs to the store, `offline` keeps them in the spool folder until `runfolio sync`, `disabled` "
        "records nothing.",
        default="online",
    )
    user_id: str | None = _setting(
        readers.text,
        "Who you are in the record of a run, and to `@last`. By default the user of the operating system.",
        also="RUNFOLIO_USER",
    )
    spool: str | None = _setting(
        readers.location,
        "The folder in which runs wait until they are in the store. By default `spool` in the user's state folder, or "
        "`.runfolio/spool` of the project where that cannot be written. A project's file may only name a folder of its "
        "project.",
    )
    capture: tuple[str, ...] = _setting(
        readers.folders, "Folders of the project that are stored with a run, besides `outputs`.", default=()
    )
    artifact_limit: int = _setting(
        readers.size,
        "The largest file that is stored, in bytes or as `'512 MiB'`. Larger ones are named in the record. 0 means no "
        "limit.",
        default=DEFAULT_ARTIFACT_LIMIT,
    )
    fsync: bool = _setting(
        readers.flag,
        "Whether each logged value is forced to disk, so that it also survives a power failure. Much slower.",
        default=False,
    )
    flush_interval: float = _setting(
        readers.seconds,
        "Seconds between two writes of new values to the store, at least; the interval grows during long runs.",
        default=2.0,
    )
    beat_interval: float = _setting(
        readers.seconds,
        "Seconds between the first signs of life of a run, by which others see that it is running; the interval grows.",
        default=30.0,
    )
    finish_timeout: float = _setting(
        readers.seconds,
        "Seconds without any answer from the store after which the end of a run stops waiting, and leaves what is not "
        "sent to the next run or `runfolio sync`.",
        default=60.0,
    )
    snapshot_mode: SnapshotMode = _setting(  # noqa: RUF009
        readers.one_of("full", "git", "off"),
        "What of the project is stored before a tracked run: `full` all of its files, `git` those that Git tracks, "
        "`off` nothing.",
        default="full",
        key="snapshot.mode",
    )
    snapshot_untracked_limit: int = _setting(
        readers.size,
        "The largest file that is stored with the source of a project although Git does not track it, in bytes or as "
        "`'20 MB'`. Larger ones are named in the record. 0 means no limit.",
        default=DEFAULT_UNTRACKED_LIMIT,
        key="snapshot.untracked_limit",
    )
    snapshot_limit: int = _setting(
        readers.size,
        "The size of all files of a source snapshot together, stored or restored. 0 means no limit.",
        default=DEFAULT_SNAPSHOT_LIMIT,
        key="snapshot.limit",
    )
    system_metrics: bool = _setting(
        readers.flag,
        "Whether CPU, memory, disk, network and GPU are sampled during a run.",
        default=True,
        key="system_metrics.enabled",
        also="RUNFOLIO_SYSTEM_METRICS",
    )
    system_metrics_interval: float = _setting(
        readers.seconds, "Seconds between two samples.", default=15.0, key="system_metrics.interval"
    )
    plugins_enabled: tuple[str, ...] | None = _setting(
        readers.texts,
        "The plugins to load, and no others. By default all that are installed.",
        key="plugins.enabled",
    )
    plugins_disabled: tuple[str, ...] = _setting(
        readers.texts, "Plugins that are not loaded; `*` stands for all.", default=(), key="plugins.disabled"
    )
    output_format: str | None = _setting(
        readers.one_of("json", "jsonc", "table", "tsv"),
        "How the command line prints. By default a table for lists and JSON for one run.",
        key="output.format",
    )
    output_columns: tuple[str, ...] | None = _setting(
        readers.texts, "The columns of `runfolio list`. By default those that fit.", key="output.columns"
    )
    output_limit: int | None = _setting(
        readers.whole, "How many runs `runfolio list` shows at most. By default all.", key="output.limit"
    )
    price_write: float = _setting(
        readers.price,
        "What 1,000 requests cost that write or list: for the estimate of `runfolio store info`. By default as on S3.",
        default=Prices().write,
        key="prices.write",
    )
    price_read: float = _setting(
        readers.price, "What 1,000 requests cost that read.", default=Prices().read, key="prices.read"
    )
    price_storage: float = _setting(
        readers.price,
        "What a gigabyte (10^9 bytes) costs a month.",
        default=Prices().storage,
        key="prices.storage",
    )
    stores: Mapping[str, StoreProfile] = field(default_factory=dict)
    """Stores that have a name: `[stores.NAME]` with `url`, `options` and `single_writer`."""
    targets: Mapping[str, TargetProfile] = field(default_factory=dict)
    """Targets that have options: `[targets.NAME]` with `kind` and what that kind takes."""
    root: Path = field(default_factory=Path.cwd)
    """The folder of the project."""
    project_file: Path | None = None
    """The project's configuration file, or None."""
    start: Path = field(default_factory=Path.cwd)
    """The folder that the settings hold in."""
    notes: tuple[str, ...] = ()
    """What should be told to the user about how the settings were found."""
    origins: Mapping[str, Origin] = field(default_factory=dict, repr=False)
    """Where values came from, by attribute; what is missing is a default."""

    def origin(self, name: str) -> Origin:
        """Return where a value came from.

        Args:
            name: an attribute or a key, for example ``store`` or ``output.limit``.
        """
        found = by_key().get(name)
        return self.origins.get(found.attribute if found else name, DEFAULT)


@cache
def all_settings() -> tuple[Setting, ...]:
    """Return what is known of every setting that has a single value, in the order of the documentation."""
    found: list[Setting] = []
    for one in fields(Settings):
        if "read" in one.metadata:
            key: str = one.metadata["key"] or one.name
            variables = [variable_of(key), *filter(None, [one.metadata["also"]])]
            found.append(
                Setting(one.name, key, tuple(variables), one.metadata["read"], one.metadata["doc"], one.default)
            )
    return tuple(found)


@cache
def by_key() -> Mapping[str, Setting]:
    """Return the settings by their keys."""
    return MappingProxyType({one.key: one for one in all_settings()})


def variable_of(key: str) -> str:
    """Return the environment variable of a key: ``output.limit`` is set by ``RUNFOLIO_OUTPUT_LIMIT``."""
    return f"RUNFOLIO_{key.replace('.', '_').upper()}"
