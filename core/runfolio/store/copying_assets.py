"""Assets, copied after the runs that they name ("Assets" in ``docs/design/006-copy.md``)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, final

from runfolio import layout
from runfolio.errors import FormatError, NotFoundError
from runfolio.store.asset_records import ALIAS, PROMOTE, RETRACT, AssetReader, list_assets
from runfolio.store.documents import decode

if TYPE_CHECKING:
    from collections.abc import Collection

    from runfolio.store.asset_records import AssetListing
    from runfolio.store.carrying import Carrier
    from runfolio.store.environment import Environment


@final
class AssetCopy:
    """Copies assets: the versions that were made of chosen runs, what takes them back, and the aliases that name them.

    Args:
        carrier: the way between the stores.
        environment: parallelism of the target.
        runs: ids of the runs; None chooses all assets.
    """

    def __init__(self, carrier: Carrier, environment: Environment, runs: Collection[str] | None) -> None:
        self._carrier = carrier
        self._environment = environment
        self._runs = runs
        self._folders: dict[str, dict[str, int]] = {}

    def copy(self) -> None:
        """Do it. What cannot be copied as it is becomes a problem of the carrier.

        Raises:
            StorageError: a storage failed. Another copy goes on.
        """
        there = {info.key for info in self._carrier.target.list(layout.ASSETS)}
        for listing in list_assets(self._carrier.source).values():
            try:
                self._asset(listing, there)
            except FormatError as error:
                self._carrier.problems.append(f"The asset {listing.name} was not copied: {error}")

    def _asset(self, listing: AssetListing, there: Collection[str]) -> None:
        reader = AssetReader(self._carrier.source, listing, self._environment)
        documents = {one["version"]: one for one in reader.all()}  # the highest first
        wanted = {number for number, one in documents.items() if one["kind"] == PROMOTE and self._is_chosen(one["run"])}
        wanted |= {number for number, one in documents.items() if one["kind"] == RETRACT and one["retracts"] in wanted}
        # The highest first: nobody sees a version that was taken back, and no number below is given away.
        for number, document in documents.items():
            if number in wanted:
                self._carrier.create(layout.asset(listing.name, number), document, there, self._environment)
        # The version pins the files of a run, deleted or not, from now on; before it, a sweep might have taken them.
        for document in reader.standing():
            if document["version"] in wanted:
                self._files(document)
        if wanted:
            for alias, numbers in listing.aliases.items():
                self._alias(listing.name, alias, numbers, wanted, there)

    def _is_chosen(self, run_id: str) -> bool:
        return self._runs is None or run_id in self._runs

    def _alias(
        self, name: str, alias: str, numbers: list[int], wanted: Collection[int], there: Collection[str]
    ) -> None:
        for number in numbers:
            key = layout.asset_alias(name, alias, number)
            document = decode(self._carrier.source.get(key), key)
            if document.get("kind") == ALIAS and document.get("version") in (None, *wanted):
                self._carrier.create(key, document, there, self._environment)

    def _files(self, document: dict[str, Any]) -> None:
        """Carry what the target lacks: the files of a deleted run, which its copy does not bring."""
        run_id = document["run"]
        if run_id not in self._folders:
            listed = self._carrier.target.list(layout.run_folder(run_id))
            self._folders[run_id] = {info.key: info.size for info in listed}
        there = self._folders[run_id]
        files = {layout.artifact(run_id, file["key"]): file for file in document["files"]}
        absent = [(key, file) for key, file in files.items() if there.get(key) != file["size"]]
        self._environment.gather([partial(self._file, key, file) for key, file in absent])

    def _file(self, key: str, file: dict[str, Any]) -> None:
        try:
            self._carrier.carry(key, key, file["size"], file["sha256"])
        except NotFoundError:
            self._carrier.problems.append(f"{key}, which an asset names, is missing in the source")
