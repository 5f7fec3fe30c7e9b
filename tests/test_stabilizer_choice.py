"""Choice of a stabiliser by name, file or object, causal or offline."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from steadyface.errors import ConfigError, WeightsError
from steadyface.stabilizer import KINDS, load_stabilizer, save_stabilizer
from steadyface.stabilizer.baselines import FirstOrder, SavitzkyGolay
from steadyface.stabilizer.choice import STABILIZERS, Choice, choose_stabilizer


class TestChooseStabilizer:
    @pytest.mark.parametrize("name", STABILIZERS)
    def test_every_name(self, name: str) -> None:
        choice = choose_stabilizer(name)
        assert choice.name == name
        assert choice.lag is None
        chosen = [each for each in (choice.causal, choice.offline) if each is not None]
        assert [each.kind for each in chosen] == [
            kind for kind in KINDS if kind == name.removesuffix("-offline")
        ]
        assert (choice.offline is not None) == (name in ("sta-offline", "savitzky-golay"))

    @pytest.mark.parametrize("name", STABILIZERS)
    def test_what_runs_while_tracking(self, name: str) -> None:
        choice = choose_stabilizer(name)
        assert choice.first_pass(motion=False) is choice.causal
        first = choice.first_pass(motion=True)
        assert (None if first is None else first.kind) == {
            "sta-offline": "sta",
            "savitzky-golay": None,
            "none": None,
        }.get(name, name)

    @pytest.mark.usefixtures("unannotated")
    @pytest.mark.parametrize("lag", ["a", 1.5, True])
    def test_a_lag_that_is_no_whole_number(self, lag: object) -> None:
        with pytest.raises(ConfigError, match=f"^lag must be a whole number, got {lag!r}$"):
            choose_stabilizer("sta", lag)  # type: ignore[arg-type]

    def test_names_are_all_kinds_and_two_more(self) -> None:
        assert set(STABILIZERS) == {*KINDS, "sta-offline", "none"}

    def test_a_file_is_what_was_saved(self, tmp_path: Path) -> None:
        for stabilizer, offline in ((FirstOrder(0.4), False), (SavitzkyGolay(5, 2), True)):
            path = str(tmp_path / f"{stabilizer.kind}.json")
            save_stabilizer(stabilizer, path)
            choice = choose_stabilizer(path)
            assert choice.name == path
            chosen = choice.offline if offline else choice.causal
            assert chosen is not None
            assert chosen.as_dict() == stabilizer.as_dict()
            assert (choice.causal is None) == offline

    def test_an_object_is_itself(self) -> None:
        first, golay, sta = FirstOrder(0.4), SavitzkyGolay(5, 2), load_stabilizer()
        assert choose_stabilizer(first) == Choice("first-order", causal=first)
        assert choose_stabilizer(golay) == Choice("savitzky-golay", offline=golay)
        assert choose_stabilizer(sta, 4) == Choice("sta", offline=sta, lag=4)

    def test_lag(self) -> None:
        sta = load_stabilizer("sta")
        causal = Choice("sta", causal=sta, parameters="sta")
        offline = Choice("sta-offline", offline=sta, parameters="sta")
        assert choose_stabilizer("sta", 0) == choose_stabilizer("sta") == causal
        assert choose_stabilizer("sta", 3) == Choice("sta", offline=sta, lag=3, parameters="sta")
        assert choose_stabilizer("sta-offline") == offline
        assert choose_stabilizer("sta-offline", 0) == replace(offline, lag=0)
        assert choose_stabilizer("sta-offline", 5) == replace(offline, lag=5)
        assert choose_stabilizer("none", 0) == choose_stabilizer("none") == Choice("none")

    def test_a_network_s_own_parameters(self) -> None:
        own = load_stabilizer("sta", "tiny")
        assert choose_stabilizer("sta", network="tiny-int8") == Choice("sta", own, parameters="sta-tiny")
        assert choose_stabilizer("sta-offline", 5, "tiny-int8") == Choice(
            "sta-offline", offline=own, lag=5, parameters="sta-tiny"
        )
        assert choose_stabilizer("one-euro", network="tiny-int8").parameters == "one-euro"
        assert choose_stabilizer("none", network="tiny-int8") == Choice("none")

    @pytest.mark.parametrize("name", [name for name in STABILIZERS if name not in ("sta", "sta-offline")])
    def test_what_has_no_lag_says_so_at_once(self, name: str) -> None:
        with pytest.raises(ConfigError, match=name):
            choose_stabilizer(name, 2)

    def test_what_cannot_be_chosen(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="at least 0 frames, got -1"):
            choose_stabilizer("sta", -1)
        with pytest.raises(
            ConfigError, match=r"'kalman'; choose one of: sta, .*sta-offline, none, FILE\.json"
        ):
            choose_stabilizer("kalman")
        with pytest.raises(ConfigError, match="savitzky-golay has no fixed lag"):
            choose_stabilizer("savitzky-golay", 0)
        with pytest.raises(WeightsError, match="No such file"):
            choose_stabilizer(str(tmp_path / "none.json"))
        (tmp_path / "bad.json").write_text("{}")
        with pytest.raises(WeightsError, match="not a stabiliser's file"):
            choose_stabilizer(str(tmp_path / "bad.json"))
