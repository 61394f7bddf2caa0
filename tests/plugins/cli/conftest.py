"""Records as the SDK makes them, and the command line as a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from runfolio.records import FIELDS
from runfolio_plugins.cli.program import build

MakeRecord = Callable[..., dict[str, Any]]
Invoke = Callable[..., Result]


@pytest.fixture
def make_record() -> MakeRecord:
    """Return a function that makes a flat record from some fields and metrics."""

    def make(**values: object) -> dict[str, Any]:
        record: dict[str, Any] = dict.fromkeys(FIELDS)
        record.update(
            run_id="Demo_1506000000250-k3f9q",
            run_number=8,
            experiment_id="5f0c3f6e-8a52-5b5e-9d1a-2f4c0e6d7b11",
            heartbeat_enabled=True,
            status="Completed",
            duration="0:00:05.250125",
            duration_seconds=5.250125,
            script_name="iris_sklearn.py",
            start_time_utc="2017-09-21T13:20:04.100000+00:00",
            params={},
            tags=[],
        )
        record.update(values)
        return dict(sorted(record.items()))

    return make


@pytest.fixture
def invoke() -> Invoke:
    """Return a function that runs ``runfolio`` with arguments, in this process."""

    def run(*arguments: str, code: int | None = 0, **options: Any) -> Result:
        result = CliRunner().invoke(build(), list(arguments), **options)
        if code is not None:
            assert result.exit_code == code, result.output + result.stderr
        assert "Traceback" not in result.stderr
        return result

    return run
