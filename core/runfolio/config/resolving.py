"""Putting the sources together: explicit argument, environment, project, user, site, in this order."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from runfolio.config.origins import Origin
from runfolio.config.places import Places
from runfolio.config.project import PYPROJECT, Project, find_project
from runfolio.config.settings import Settings
from runfolio.config.sources import (
    Layer,
    environment_layer,
    explicit_layer,
    file_layer,
    misspelt_variables,
    table_layer,
)
from runfolio.config.stores import StoreAddress, StoreProfile, address_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runfolio.config.targets import TargetProfile

_RELATIVE_TO_CURRENT: Final = frozenset(["argument", "environment"])


def resolve(
    explicit: Mapping[str, object] | None = None,
    start: Path | str | None = None,
    environ: Mapping[str, str] | None = None,
    places: Places | None = None,
) -> Settings:
    """Return the settings that hold in a folder.

    Args:
        explicit: values by attribute or key; these win. None stands for not given.
        start: the folder; by default the current one.
        environ: the environment; by default this process's.
        places: the user's and site's folders; by default those of this platform.

    Raises:
        ConfigurationError: a source cannot be read, or says something unknown or wrong. The message names the source
            and key.
    """
    environ = os.environ if environ is None else environ
    start = Path.cwd() if start is None else Path(start).absolute()
    places = places or Places.of(environ)
    project = find_project(start)
    layers = [
        explicit_layer(explicit or {}),
        environment_layer(environ),
        _project_layer(project),
        file_layer(places.user_file, Origin("user", str(places.user_file))),
        file_layer(places.site_file, Origin("site", str(places.site_file))),
    ]
    return _merged(layers, project, start, [*project.notes, *misspelt_variables(environ)])


def _project_layer(project: Project) -> Layer:
    if project.file is None:
        return Layer()
    prefix = "tool.runfolio." if project.file.name == PYPROJECT else ""
    return table_layer(project.table, Origin("project", str(project.file)), prefix)


def _merged(layers: Sequence[Layer], project: Project, start: Path, notes: Sequence[str]) -> Settings:
    values: dict[str, object] = {}
    origins: dict[str, Origin] = {}
    stores: dict[str, StoreProfile] = {}
    targets: dict[str, TargetProfile] = {}
    for layer in reversed(layers):
        for attribute, (value, origin) in layer.values.items():
            values[attribute], origins[attribute] = value, origin
        # A profile replaces one of the same name as a whole: see StoreProfile.
        stores.update(layer.stores)
        targets.update(layer.targets)
    values.setdefault("project", project.folder_name)
    values.setdefault("store", str(project.default_store))
    spool = values.get("spool")
    if isinstance(spool, str):
        values["spool"] = str(start / Path(spool).expanduser())
    return Settings(
        **cast("dict[str, Any]", values),
        stores=stores,
        targets=targets,
        root=project.root,
        project_file=project.file,
        start=start,
        notes=tuple(notes),
        origins=origins,
    )


def store_address(settings: Settings) -> StoreAddress:
    """Return the store that the settings mean.

    Raises:
        ConfigurationError: the word for it is neither a path, nor a valid URL, nor the name of a store.
    """
    origin = settings.origin("store")
    base: Path | None = None
    if origin.kind in _RELATIVE_TO_CURRENT:
        base = settings.start
    elif origin.kind in ("project", "default"):
        base = settings.root
    return address_of(settings.store, origin=origin, profiles=settings.stores, base=base)
