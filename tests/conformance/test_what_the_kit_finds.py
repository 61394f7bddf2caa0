"""The kit finds what is wrong: backends that are broken on purpose, each with the rules that catch it."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from runfolio.backend import Capabilities
from runfolio.testing.conformance import ABILITIES, BackendConformance, deviates

BROKEN = Path(__file__).parents[1] / "fixtures" / "broken_backends" / "test_broken.py"
FOUND_BY: dict[str, list[str]] = {
    "LooksThenCreates": ["test_one_creator_wins"],
    "LooksThenCreatesFile": ["test_one_process_wins[spawn]", "test_one_process_wins[fork]"],
    "Overwrites": ["test_create", "test_create_over_put"],
    "SameBytesAreNoConflict": ["test_unanswered_create[answer lost-once]"],
    "ForgetsTheConditionOfLargeOnes": ["test_create_large"],
    "WritesInTwoHalves": ["test_no_torn_reads"],
    "WritesInPlace": ["test_a_killed_process[spawn]", "test_a_killed_process[fork]"],
    "CutsKeys": ["test_long_keys"],
    "LosesEmptyObjects": ["test_round_trip[empty-a/x]"],
    "DeleteOfTheAbsentRaises": ["test_delete", "test_unanswered_delete[answer lost]"],
    "DeletesWhatBeginsLikeIt": ["test_delete", "test_against_a_dict"],
    "MissingIsNone": ["test_missing_key", "test_a_folder_is_no_object"],
    "MissingIsAKeyError": ["test_missing_key"],
    "NoRangesFromTheEnd": ["test_range[[-3:]]"],
    "StatLies": ["test_stat", "test_same_information"],
    "TimesWithoutZone": ["test_store_time"],
    "RemembersTooLong": ["test_against_a_dict"],
    "PrefixIsText": ["test_prefix[a/]"],
    "OrderOfFolders": ["test_order"],
    "OnePage": ["test_many"],
    "ListsLate": ["test_sees_at_once"],
    "HoldsALockWhileListing": ["test_left_early", "test_changes_while_listing"],
    "NotForkSafe": ["test_processes_work_side_by_side[fork]", "test_processes_share[fork]"],
    "NotPickled": ["test_pickle", "test_processes_share[spawn]"],
    "ClosedForGood": ["test_close_and_use_again"],
    "LeavesItsLockBehind": ["test_a_killed_process[fork]"],
    "SaysItIsShared": ["test_processes_share[spawn]", "test_processes_share[fork]"],
    "IsSharedAndSaysNot": ["test_processes_share[spawn]"],
    "ShowsTimesThatAreNotItsOwn": ["test_store_time", "test_clock"],
    "OverwritesAndSaysSo": ["test_create"],
    "AwayAndLooksEmpty": ["test_unreachable"],
    "AwayAndSwallowsIt": ["test_unreachable"],
    "AwayWithAnErrorOfTheLibrary": ["test_unreachable"],
    "WaitsForEver": ["test_unreachable"],
    "RefusesAsIfNothingWereThere": ["test_denied"],
    "TellsThePassword": ["test_denied"],
}
"""Broken backends, each with rules that must fail."""
ON_SOUND_MEMORY = ["Overwrites", "MissingIsNone", "StatLies", "PrefixIsText", "OrderOfFolders", "ListsLate"]
SOUND = {"SoundMemory", "SoundLocal", "AwayAndSaysSo"}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Run every named rule on its broken backend, and on a sound one of the same kind, in a pytest of its own."""
    folder = tmp_path_factory.mktemp("broken")
    module = folder / "test_broken.py"
    module.write_text(BROKEN.read_text(encoding="utf-8"), encoding="utf-8")
    chosen = [f"{module}::Test{name}::{rule}" for name, found in FOUND_BY.items() for rule in found]
    # All rules hold for sound ones, as test_backends.py shows. Here a few show that the harness itself is not broken.
    chosen += [f"{module}::TestSoundMemory::{rule}" for name in ON_SOUND_MEMORY for rule in FOUND_BY[name]]
    chosen += [f"{module}::TestSoundLocal::{rule}" for rule in FOUND_BY["NotForkSafe"]]
    chosen += [f"{module}::TestAwayAndSaysSo::test_unreachable"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "--strict-markers", "-W", "error",
         "-rA", "--rootdir", str(folder), "-c", os.devnull, *chosen],
        cwd=folder, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def outcomes(report: str, outcome: str) -> set[tuple[str, str]]:
    """Return class and rule of each test that came out like this."""
    return set(re.findall(rf"^{outcome} test_broken.py::Test(\w+)::(.+?)(?: - .*)?$", report, re.MULTILINE))


@pytest.mark.slow
@pytest.mark.parametrize("name", FOUND_BY)
def test_a_broken_backend_is_found_by_name(name: str, report: str) -> None:
    assert {(name, rule) for rule in FOUND_BY[name]} <= outcomes(report, "FAILED")


@pytest.mark.slow
def test_the_same_rules_hold_for_what_is_sound(report: str) -> None:
    assert {name for name, _ in outcomes(report, "PASSED")} == SOUND
    assert {name for name, _ in outcomes(report, "FAILED") | outcomes(report, "ERROR")} == set(FOUND_BY)


@pytest.mark.slow
def test_a_report_reads_like_the_specification(report: str) -> None:
    """A failed rule shows what it says, and the assertion shows both sides."""
    assert "the rule of the kit" in report
    assert "A prefix names a folder: `a/` matches neither `ab/x` nor `a-b`." in report
    assert re.search(r"assert \[.*'a-b'.*\] == \[", report)
    assert "8 of 8 threads created one key" in report


def test_each_ability_has_its_negative_rule() -> None:
    assert {field.name for field in fields(Capabilities)} == set(ABILITIES)
    assert all((rule.__doc__ or "").strip() for rule in ABILITIES.values())


def rules() -> dict[str, object]:
    """Return the rules of the kit by name."""
    return {name: getattr(BackendConformance, name) for name in dir(BackendConformance) if name.startswith("test_")}


@pytest.mark.parametrize("name", rules())
def test_each_rule_says_what_it_asks_for(name: str) -> None:
    text = (rules()[name].__doc__ or "").strip()
    assert text.endswith((".", ":"))
    assert len(text) > 20


def test_rules_are_not_shadowed_in_silence() -> None:
    with pytest.raises(TypeError, match="test_delete"):

        class Lazy(BackendConformance):  # pyright: ignore[reportUnusedClass]  # making it is the error
            def test_delete(self) -> None:  # type: ignore[override]
                pass

    with pytest.raises(TypeError, match="test_delete"):

        class Emptied(BackendConformance):  # pyright: ignore[reportUnusedClass]
            test_delete = None  # type: ignore[assignment]

    class Aside:
        def test_delete(self) -> None:
            pass

    with pytest.raises(TypeError, match="test_delete"):

        class Mixed(Aside, BackendConformance):  # type: ignore[misc]  # pyright: ignore[reportUnusedClass]
            pass


def test_deviations_say_why_and_from_what() -> None:
    class Honest(BackendConformance):
        @deviates("this storage cannot delete")
        def test_delete(self) -> None:  # type: ignore[override]
            pass

    class Heir(Honest):
        pass

    assert Heir is not None
    with pytest.raises(ValueError, match="reason"):
        deviates(" ")
    with pytest.raises(TypeError, match="test_deletes"):

        class Misspelt(BackendConformance):  # pyright: ignore[reportUnusedClass]
            @deviates("this storage cannot delete")
            def test_deletes(self) -> None:
                pass


def test_a_kit_without_a_store_is_loud(tmp_path: Path) -> None:
    """Not an abstract class, which pytest would leave out without a word."""

    class Nothing(BackendConformance):
        pass

    assert not inspect.isabstract(Nothing)
    with pytest.raises(NotImplementedError, match="make_backend"):
        Nothing().make_backend(tmp_path)
