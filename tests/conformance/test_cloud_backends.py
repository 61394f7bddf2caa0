"""The kit on the backends of the clouds, against real servers."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

pytest.register_assert_rewrite("runfolio.testing.conformance")

from runfolio.testing.conformance import BackendConformance, deviates  # noqa: E402 (after asking for readable assertions)

if TYPE_CHECKING:
    from runfolio.backend import Backend
    from store_access import TestStore


class TestS3OnMoto(BackendConformance):
    @pytest.fixture
    def backend(self, s3_store: TestStore) -> Backend:
        from runfolio_backends.s3 import S3Backend

        return S3Backend(s3_store.url, **s3_store.options)


class TestS3OnSeaweed(BackendConformance):
    @pytest.fixture
    def backend(self, seaweed_store: TestStore) -> Backend:
        from runfolio_backends.s3 import S3Backend

        return S3Backend(seaweed_store.url, **seaweed_store.options)

    @pytest.mark.parametrize("start_after", ["", "a", "b/B", "b/a", "b/lower", "b/z", "z"])
    @pytest.mark.parametrize("limit", [None, 0, 1, 2, 99])
    @deviates("SeaweedFS lists one folder after the other, and begins after a key within its folder only")
    def test_start_after_and_limit(self, backend: Backend, start_after: str, limit: int | None) -> None:
        keys = ["b/B", "b/a", "b/a-b", "b/a0", "b/lower", "b/\u00e4"]
        for key in reversed(keys):
            backend.put(key, b"x")
        expected = [key for key in keys if key > start_after]
        assert [info.key for info in backend.list("b/", start_after=start_after, limit=limit)] == expected[:limit]

    @deviates("as above: the operations are the kit's, in one folder")
    def test_against_a_dict(self, backend: Backend) -> None:
        chance, model = random.Random(1), dict[str, bytes]()
        keys = [f"b/{one}{two}" for one in ("a", "a-", "a0") for two in ("x", "y", "-1")]
        for _ in range(150):
            key, data = chance.choice(keys), bytes(chance.randrange(5))
            if chance.randrange(2):
                backend.put(key, data)
                model[key] = data
            else:
                backend.delete([key])
                model.pop(key, None)
            after = chance.choice(keys)
            assert [info.key for info in backend.list("b/", start_after=after)] == sorted(
                key for key in model if key > after
            )
        assert {info.key: backend.get(info.key) for info in backend.list()} == model


class TestS3WithoutConditions(BackendConformance):
    """On a server that takes the condition and ignores it: a single writer's store."""

    @pytest.fixture
    def backend(self, rclone_store: TestStore) -> Backend:
        from runfolio_backends.s3 import S3Backend

        return S3Backend(rclone_store.url, single_writer=True, **rclone_store.options)


class TestAzure(BackendConformance):
    @pytest.fixture
    def backend(self, azure_store: TestStore) -> Backend:
        from runfolio_backends.azure import AzureBackend

        return AzureBackend(azure_store.url, **azure_store.options)
