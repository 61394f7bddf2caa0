"""Fixtures that start real servers, once for each process of pytest and only when a test asks.

A ``…_store`` fixture gives a `TestStore` of the test's own and sets its environment in this process, so that the test
and the processes it starts reach the store alike. A test that needs two S3 servers asks for the servers instead, and
sets what it needs.

``RUNFOLIO_TEST_S3_URL`` and ``RUNFOLIO_TEST_AZURE_URL`` point `s3_store` and `azure_store` at any other server or a
live account: each test works below a new random prefix, with the credentials of the environment.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from azurite_blobs import AzuriteBlobs
    from moto_s3 import MotoS3
    from ray_cluster import RayCluster
    from rclone_s3 import RcloneS3
    from seaweed_s3 import SeaweedS3
    from slurm_cluster import SlurmCluster
    from store_access import TestStore

# The environment in which the tests were started: the tests themselves see none of it.
_STARTED_WITH: Final[Mapping[str, str]] = {
    name: value for name, value in os.environ.items() if name.startswith(("AWS_", "AZURE_", "RUNFOLIO_TEST_"))
}

_SERVERS: Final = {"moto", "seaweed", "rclone", "azurite", "s3_store", "seaweed_store", "rclone_store", "azure_store"}

_CLUSTERS: Final = {"slurm", "ray"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test that asks for a server with `cloud`, or for a cluster with `cluster`: they can be left out."""
    for item in items:
        asked: set[str] = set(getattr(item, "fixturenames", ()))
        if _SERVERS & asked:
            item.add_marker("cloud")
        if _CLUSTERS & asked:
            item.add_marker("cluster")
            item.add_marker("slow")
        if "slurm" in asked:
            item.add_marker("root")


@contextmanager
def _installed() -> Generator[None, None, None]:
    from server_process import MissingServerError

    try:
        yield
    except MissingServerError as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MotoS3]:
    """S3 and IAM by moto."""
    pytest.importorskip("moto")
    from moto_s3 import moto_s3

    with moto_s3(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedS3]:
    """S3 by SeaweedFS."""
    pytest.importorskip("botocore")
    from seaweed_s3 import seaweed_s3

    with ExitStack() as stack:
        with _installed():
            server = stack.enter_context(seaweed_s3(tmp_path_factory.mktemp("seaweed")))
        yield server


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RcloneS3]:
    """S3 by rclone, which ignores conditional puts."""
    pytest.importorskip("botocore")
    from rclone_s3 import rclone_s3

    with ExitStack() as stack:
        with _installed():
            server = stack.enter_context(rclone_s3(tmp_path_factory.mktemp("rclone")))
        yield server


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzuriteBlobs]:
    """Azure Blob Storage by Azurite."""
    pytest.importorskip("azure.storage.blob")
    from azurite_blobs import azurite_blobs

    with ExitStack() as stack:
        with _installed():
            server = stack.enter_context(azurite_blobs(tmp_path_factory.mktemp("azurite")))
        yield server


@pytest.fixture(scope="session")
def slurm_of_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    """A Slurm cluster of one node. Tests ask for `slurm`, which also lets them find it."""
    from slurm_cluster import slurm_cluster

    with ExitStack() as stack:
        with _installed():
            cluster = stack.enter_context(slurm_cluster(tmp_path_factory.mktemp("slurm")))
        yield cluster


@pytest.fixture
def slurm(slurm_of_session: SlurmCluster, monkeypatch: pytest.MonkeyPatch) -> SlurmCluster:
    """A Slurm cluster of one node, which the programs of Slurm find."""
    for name, value in slurm_of_session.environment.items():
        monkeypatch.setenv(name, value)
    return slurm_of_session


@pytest.fixture(scope="session")
def ray_of_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayCluster]:
    """A Ray cluster of one node, the same for all processes of pytest. Tests ask for `ray`."""
    from ray_cluster import RayCluster, ray_cluster
    from shared_server import shared

    @contextmanager
    def start(folder: Path) -> Generator[dict[str, str], None, None]:
        with ray_cluster(folder) as cluster:
            yield {"address": cluster.address, "token": cluster.token}

    root = tmp_path_factory.getbasetemp()
    together = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    with ExitStack() as stack:
        with _installed():
            known = stack.enter_context(shared(together / "ray", start))
        yield RayCluster(**known)


@pytest.fixture
def ray(ray_of_session: RayCluster, monkeypatch: pytest.MonkeyPatch) -> RayCluster:
    """A Ray cluster of one node, which Ray's own tools find."""
    for name, value in ray_of_session.environment.items():
        monkeypatch.setenv(name, value)
    return ray_of_session


@pytest.fixture
def s3_store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> TestStore:
    """A store on moto, or below ``RUNFOLIO_TEST_S3_URL``."""
    elsewhere = _elsewhere("RUNFOLIO_TEST_S3_URL", "AWS_")
    if elsewhere is None:
        server: MotoS3 = request.getfixturevalue("moto")
        return _entered(server.store(), monkeypatch)
    return _entered(elsewhere, monkeypatch)


@pytest.fixture
def seaweed_store(seaweed: SeaweedS3, monkeypatch: pytest.MonkeyPatch) -> TestStore:
    """A store on SeaweedFS."""
    return _entered(seaweed.store(), monkeypatch)


@pytest.fixture
def rclone_store(rclone: RcloneS3, monkeypatch: pytest.MonkeyPatch) -> TestStore:
    """A store on rclone's server."""
    return _entered(rclone.store(), monkeypatch)


@pytest.fixture
def azure_store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> TestStore:
    """A store on Azurite, or below ``RUNFOLIO_TEST_AZURE_URL``."""
    elsewhere = _elsewhere("RUNFOLIO_TEST_AZURE_URL", "AZURE_")
    if elsewhere is None:
        server: AzuriteBlobs = request.getfixturevalue("azurite")
        return _entered(server.store(), monkeypatch)
    return _entered(elsewhere, monkeypatch)


def _elsewhere(variable: str, credentials: str) -> TestStore | None:
    root = _STARTED_WITH.get(variable)
    if not root:
        return None
    from store_access import TestStore, random_name

    variables = {name: value for name, value in _STARTED_WITH.items() if name.startswith(credentials)}
    return TestStore(f"{root.rstrip('/')}/{random_name('test')}", environment=variables)


def _entered(store: TestStore, monkeypatch: pytest.MonkeyPatch) -> TestStore:
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    return store
