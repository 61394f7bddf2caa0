"""The Azure backend beyond the kit and beyond what it shares with S3."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

import runfolio as rf
from runfolio.errors import PermissionDeniedError
from runfolio_backends.azure import AzureBackend

if TYPE_CHECKING:
    from azurite_blobs import AzuriteBlobs
    from store_access import TestStore


def enter(store: TestStore, monkeypatch: pytest.MonkeyPatch) -> TestStore:
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    return store


def test_a_run_from_start_to_end(azure_store: TestStore) -> None:
    with rf.open_history(azure_store.url, storage_options=azure_store.options) as history:
        with history.start_run(project="iris", name="baseline") as run:
            for step in range(100):
                run.log("loss", 1 / (step + 1), step=step)
            run.log_bytes("model.bin", b"weights")
        stored = history.run(run.id)
        assert stored.status == "Completed"
        assert stored.metric("loss").to_arrow().num_rows == 100
        assert stored.artifacts["outputs/model.bin"].open().read() == b"weights"
        assert [one.id for one in history.runs(project="iris")] == [run.id]


def test_the_schemes_of_other_tools(azurite: AzuriteBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    store = enter(azurite.store(), monkeypatch)
    account = azurite.endpoint.rsplit("/", 1)[1]
    with AzureBackend(store.url) as backend:
        backend.put("k", b"x")
    place = store.url.removeprefix("az://").replace("/", f"@{account}/", 1)
    for url in (f"abfss://{place}", f"az://{place}"):
        with AzureBackend(url) as backend:
            assert backend.url == url
            assert backend.get("k") == b"x"


def test_a_signature_that_only_reads(azurite: AzuriteBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    container = azurite.container()
    with AzureBackend(enter(azurite.store(container=container), monkeypatch).url) as owner:
        owner.put("a/k", b"x")
    reading = azurite.connection_string(sas=azurite.sas(container, "rl"))
    with AzureBackend(enter(azurite.store(reading, container), monkeypatch).url) as reader:
        assert reader.get("a/k") == b"x"
        assert [info.key for info in reader.list()] == ["a/k"]
        refused: tuple[Callable[[], object], ...] = (
            lambda: reader.put("a/k", b"y"),
            lambda: reader.create("a/n", b"y"),
            lambda: reader.delete(["a/k"]),
            lambda: reader.delete(["a/k", "a/l"]),
        )
        for send in refused:
            with pytest.raises(PermissionDeniedError):
                send()


def test_copying_with_a_signature(azurite: AzuriteBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    container = azurite.container()
    signed = azurite.connection_string(sas=azurite.sas(container, "rwdlc"))
    url = enter(azurite.store(signed, container), monkeypatch).url
    with AzureBackend(f"{url}/one") as one, AzureBackend(f"{url}/two") as two:
        one.put("k", b"x")
        assert two.copy_from(one, "k", "k")
        assert two.get("k") == b"x"


def test_a_signature_that_has_expired(azurite: AzuriteBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    container = azurite.container()
    old = azurite.sas(container, "rl", until=datetime.now(UTC) - timedelta(hours=1))
    with (
        AzureBackend(enter(azurite.store(azurite.connection_string(sas=old), container), monkeypatch).url) as late,
        pytest.raises(PermissionDeniedError, match="expired") as caught,
    ):
        late.get("k")
    signature = old.split("sig=")[1].split("&")[0]
    assert signature not in repr(late)
    assert signature not in str(caught.value)


def test_a_listing_begins_after_a_name(azure_store: TestStore) -> None:
    with AzureBackend(azure_store.url, **azure_store.options) as backend:
        for at in range(30):
            backend.put(f"p/{at:02d}", b"")
        assert [info.key for info in backend.list("p/", start_after="p/20", limit=3)] == ["p/21", "p/22", "p/23"]
        assert [info.key for info in backend.list("p/", start_after="a")] == [f"p/{at:02d}" for at in range(30)]
        assert [*backend.list("p/", start_after="p/29")] == []
