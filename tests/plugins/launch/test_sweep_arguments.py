"""Which arguments the runs of a sweep get."""

from __future__ import annotations

from pathlib import Path

import pytest

import runfolio as rf
from runfolio_plugins.launch.sweep_arguments import MOST, from_csv, grid, sample


def test_a_grid_is_every_combination_in_order() -> None:
    found = grid(["--lr", "0.1,1", "--name=a,b", "fixed", "x,y"])
    assert 8 == len(found)
    assert ("--lr", "0.1", "--name=a", "fixed", "x") == found[0].words
    assert ("--lr", "0.1", "--name=a", "fixed", "y") == found[1].words
    assert {"lr": 1, "name": "b", "arg2": "y"} == found[-1].params


def test_kinds_of_values_are_kept() -> None:
    (params,) = {
        tuple(map(type, one.params.values())) for one in grid(["-n", "1,2", "-x", "0.5,1e3", "-f", "true,false"])
    }
    assert (int, float, bool) == params


@pytest.mark.parametrize("words", [[], ["--lr", "0.1"], ["a b"], [r"1\,2"]])
def test_without_lists_there_is_one_run(words: list[str]) -> None:
    (only,) = grid(words)
    assert {} == only.params
    assert [word.replace("\\", "") for word in words] == list(only.words)


def test_empty_values_and_negative_numbers_are_values() -> None:
    assert [("--x", "-1"), ("--x", "")] == [one.words for one in grid(["--x", "-1,"])]


def test_chance_repeats_itself_with_a_seed_and_chooses_each_point_once() -> None:
    words = ["--a", "1,2,3,4,5", "--b", "1,2,3,4,5"]
    once = sample(words, 10, seed=7)
    assert once == sample(words, 10, seed=7)
    assert once != sample(words, 10, seed=8)
    assert 10 == len({one.words for one in once})
    assert {one.words for one in grid(words)} == {one.words for one in sample(words, 1000, seed=None)}


def test_ranges_are_drawn_from() -> None:
    found = sample(["--lr", "0.001..1:log", "--layers", "1..3", "--drop", "0..0.5"], 300, seed=1)
    rates = sorted(one.params["lr"] for one in found)
    assert 0.001 <= rates[0] <= rates[-1] <= 1
    assert rates[150] < 0.1, "half of them would be above 0.5 without a logarithm"
    assert {1, 2, 3} == {one.params["layers"] for one in found}
    assert all(0 <= one.params["drop"] <= 0.5 for one in found)


def test_a_csv_has_a_run_a_row(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text('\ufefflr,-b,name\n0.1,32,"a, b"\n\n1,,c\n', encoding="utf-8")
    found = from_csv(["data.csv"], path)
    assert [("data.csv", "--lr", "0.1", "-b", "32", "--name", "a, b"), ("data.csv", "--lr", "1", "--name", "c")] == [
        one.words for one in found
    ]
    assert [{"lr": 0.1, "b": 32, "name": "a, b"}, {"lr": 1, "name": "c"}] == [one.params for one in found]


@pytest.mark.parametrize("text", ["", "lr\n", "lr,\n1,2\n", "lr,lr\n1,2\n", "lr\n1,2\n"])
def test_a_csv_that_says_nothing_clear_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "s.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(rf.ConfigurationError, match=r"s\.csv"):
        from_csv([], path)


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    with pytest.raises(rf.ConfigurationError, match="--random"):
        grid(["--lr", "0.1..1"])
    with pytest.raises(rf.ConfigurationError, match="range"):
        sample(["--lr", "0..1:log"], 3, None)
    with pytest.raises(rf.ConfigurationError, match="choose from"):
        sample(["--lr", "1"], 3, None)
    with pytest.raises(rf.ConfigurationError, match="two lists"):
        grid(["--lr", "1,2", "--lr", "3,4"])
    with pytest.raises(rf.ConfigurationError, match="runs"):
        sample(["--lr", "0..1"], MOST + 1, None)
    with pytest.raises(rf.ConfigurationError, match=r"absent\.csv"):
        from_csv([], tmp_path / "absent.csv")
