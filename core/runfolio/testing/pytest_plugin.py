"""What pytest loads of Runfolio by itself: a marker, readable assertions for the kit, and the rule in a failed report.

It is loaded in every environment that has both, so it does nothing else and imports nothing of the kit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

pytest.register_assert_rewrite("runfolio.testing.conformance")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker that every rule of the kit carries."""
    config.addinivalue_line("markers", "runfolio_rule: a rule of the conformance kit of Runfolio")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failed rule what it says."""
    report = yield
    if report.failed and item.get_closest_marker("runfolio_rule") is not None:
        function = getattr(item, "function", None)
        rule = " ".join((getattr(function, "__doc__", None) or "").split())
        reason = getattr(function, "_deviates", "")
        if rule or reason:
            report.sections.append(("the rule of the kit", rule or f"replaced by yours: {reason}"))
    return report
