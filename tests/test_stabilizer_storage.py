"""Stabilisers as files: what is saved comes back, and what is none is said to be none."""

from __future__ import annotations

import json
import re
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from stabilizer_cases import ALL, make_face, make_paper, make_velocity, steady

from steadyface.errors import ConfigError, WeightsError
from steadyface.stabilizer import (
    DEFAULT_STABILIZER,
    KINDS,
    Stabilizer,
    load_stabilizer,
    save_stabilizer,
    stabilizer_path,
)
from steadyface.stabilizer.baselines import FirstOrder

NETWORKS = ["tiny", "nano"]
"""Networks to whose errors `sta` was fitted once more."""

every = pytest.mark.parametrize("stabilizer", ALL, ids=lambda each: each.kind)


class TestSavedAndLoaded:
    @every
    def test_it_is_the_same(self, tmp_path: Path, stabilizer: Stabilizer) -> None:
        stabilizer = replace(stabilizer, fps=25.0, fitted="λ by hand")
        save_stabilizer(stabilizer, tmp_path / "a.json")
        loaded = load_stabilizer(tmp_path / "a.json")
        assert type(loaded) is type(stabilizer)
        assert (loaded.fps, loaded.fitted) == (25, "λ by hand")
        for field in fields(stabilizer):
            one, other = getattr(loaded, field.name), getattr(stabilizer, field.name)
            if isinstance(other, np.ndarray):
                # At least six digits are kept.
                np.testing.assert_allclose(one, other, rtol=1e-6, err_msg=field.name)
            else:
                assert one == other
        points = make_face(1)
        # Coordinates of 200 px, with the basis rounded to six digits, twice.
        np.testing.assert_allclose(steady(loaded, points), steady(stabilizer, points), rtol=0, atol=1e-3)

    @pytest.mark.parametrize("components", [1, 2, 3, 5])
    def test_with_any_number_of_components(self, tmp_path: Path, components: int) -> None:
        for i, each in enumerate((make_paper(3, components, 6), make_velocity(3, components, 6))):
            save_stabilizer(each, tmp_path / f"{i}.json")
            assert len(load_stabilizer(tmp_path / f"{i}.json").as_dict()["alphas"]) == components

    @pytest.mark.parametrize("reading", ["mean", "heaviest", "map"])
    @pytest.mark.parametrize("full", [False, True])
    def test_how_the_papers_is_read(self, tmp_path: Path, reading: str, full: bool) -> None:
        save_stabilizer(make_paper(3, dimension=6, reading=reading, full=full), tmp_path / "a.json")
        loaded = load_stabilizer(str(tmp_path / "a.json")).as_dict()
        assert (loaded["reading"], loaded["full"]) == (reading, full)

    def test_once_more_after_a_change(self, tmp_path: Path) -> None:
        for weight in (0.25, 0.5):
            save_stabilizer(FirstOrder(weight), tmp_path / "a.json")
            assert load_stabilizer(tmp_path / "a.json").as_dict()["weight"] == weight

    @every
    def test_twice_is_once(self, tmp_path: Path, stabilizer: Stabilizer) -> None:
        save_stabilizer(stabilizer, tmp_path / "a.json")
        save_stabilizer(load_stabilizer(tmp_path / "a.json"), tmp_path / "b.json")
        assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


GOOD = {"version": 2, **make_paper(3, dimension=4).as_dict()}
GOOD_VELOCITY = {"version": 2, **make_velocity(3, dimension=4).as_dict()}


class TestNoStabilizer:
    @pytest.mark.parametrize(
        "text",
        [
            "",
            "not json",
            "[1, 2]",
            "3",
            '"sta"',
            "null",
            "{}",
            '{"version": 2}',
            '{"version": 2, "kind": "x"}',
        ],
    )
    def test_garbage(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "theta.json"
        path.write_text(text)
        with pytest.raises(WeightsError, match=r"theta\.json: not a stabiliser's file"):
            load_stabilizer(path)

    @pytest.mark.parametrize("content", [b"\xff\xfe\x00{", b"\x89PNG\r\n"])
    def test_no_text(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "theta.json"
        path.write_bytes(content)
        with pytest.raises(WeightsError, match=r"theta\.json: not a stabiliser's file"):
            load_stabilizer(path)

    def test_half_a_file(self, tmp_path: Path) -> None:
        path = tmp_path / "theta.json"
        path.write_text(json.dumps(GOOD)[:-100])
        with pytest.raises(WeightsError, match=r"theta\.json: not a stabiliser's file"):
            load_stabilizer(path)

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(WeightsError, match=r"theta\.json: No such file"):
            load_stabilizer(tmp_path / "theta.json")
        with pytest.raises(WeightsError, match="Is a directory"):
            load_stabilizer(tmp_path)

    @pytest.mark.parametrize("version", [1, 99, "2", None])
    def test_of_another_version(self, tmp_path: Path, version: object) -> None:
        path = tmp_path / "theta.json"
        for content in (GOOD, {"gamma": 0.5}):
            path.write_text(json.dumps({**content, "version": version}))
            with pytest.raises(WeightsError, match=rf"theta\.json: version {version}.*reads version 2"):
                load_stabilizer(path)

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"gama": 0.5}, r"keys differ: \['gama'\]"),
            ({"gamma": 7.0}, "out of range"),
            ({"gamma": "half"}, ""),
            ({"gamma": None}, ""),
            ({"walks": [[1.0], [1.0, 2.0]]}, ""),
            ({"walks": [1.0, 2.0]}, ""),
            ({"noise": [1.0, 2.0]}, ""),
            ({"noise": [1.0, None, 2.0, 3.0]}, ""),
            ({"noise": 1.0}, ""),
            ({"basis": "identity"}, ""),
            ({"basis": [[1.0] * 4] * 4}, "not orthonormal"),
            ({"basis": [[float("nan")] * 4] * 4}, ""),
            ({"reading": "median"}, "unknown reading 'median'"),
            ({"fps": 0}, "fps"),
            ({"fps": "30"}, ""),
        ],
        ids=str,
    )
    def test_wrong_values(self, tmp_path: Path, change: dict[str, object], said: str) -> None:
        path = tmp_path / "theta.json"
        path.write_text(json.dumps(GOOD | change))
        with pytest.raises(WeightsError, match=rf"theta\.json: .*{said}"):
            load_stabilizer(path)

    @pytest.mark.parametrize(
        "change",
        [
            {"basis": [[1.0] * 4] * 4},
            {"basis": [[float("nan")] * 4] * 4},
            {"pushes": [[1.0, 2.0], [1.0]]},
            {"pushes": [[0.0] * 4] * 2},
            {"trust": None},
            {"doubts": [[0.1, 0.1]]},
            {"damping": [1.0] * 4},
        ],
        ids=str,
    )
    def test_wrong_values_of_the_default(self, tmp_path: Path, change: dict[str, object]) -> None:
        path = tmp_path / "theta.json"
        path.write_text(json.dumps(GOOD_VELOCITY | change))
        with pytest.raises(WeightsError, match=r"theta\.json: "):
            load_stabilizer(path)

    @pytest.mark.parametrize(
        ("kind", "left_out"), [("sta", "trust"), ("one-euro", "beta"), ("sta-paper", "fps")]
    )
    def test_a_key_left_out(self, tmp_path: Path, kind: str, left_out: str) -> None:
        path = tmp_path / "theta.json"
        values = {"version": 2, **load_stabilizer(kind).as_dict()}
        del values[left_out]
        path.write_text(json.dumps(values))
        with pytest.raises(WeightsError, match=rf"theta\.json: keys differ: \['{left_out}'\]"):
            load_stabilizer(path)

    @pytest.mark.parametrize(
        "values",
        [
            {"kind": "first-order", "weight": 1.1},
            {"kind": "first-order", "weight": "half"},
            {"kind": "moving-average", "frames": 0},
            {"kind": "savitzky-golay", "window": 4, "order": 2},
        ],
        ids=str,
    )
    def test_wrong_values_of_a_filter(self, tmp_path: Path, values: dict[str, object]) -> None:
        path = tmp_path / "filter.json"
        path.write_text(json.dumps({"version": 2, "fps": 30.0, "fitted": "", **values}))
        with pytest.raises(WeightsError, match=r"filter\.json: "):
            load_stabilizer(path)

    @pytest.mark.parametrize("name", ["median", "", "STA", "sta.JSON", "none"])
    def test_unknown_names(self, name: str) -> None:
        with pytest.raises(ConfigError, match=rf"unknown stabilizer '{name}'.*sta, sta-paper.*FILE\.json"):
            load_stabilizer(name)


class TestBundled:
    @pytest.mark.parametrize("kind", KINDS)
    def test_each_is_of_its_kind(self, kind: str) -> None:
        bundled = load_stabilizer(kind)
        assert type(bundled) is KINDS[kind]
        assert bundled.kind == kind
        assert bundled.fps == 30
        assert bundled.fitted

    @pytest.mark.parametrize("kind", KINDS)
    def test_each_calms_a_shaking_face(self, kind: str) -> None:
        points = make_face(1, frames=60)
        output = steady(load_stabilizer(kind), points)
        calmed = np.diff(output, axis=0).std() / np.diff(points, axis=0).std()
        if kind == "moving-average" and load_stabilizer(kind).as_dict()["frames"] == 1:
            # The fit may well find that no average is worth its delay.
            np.testing.assert_array_equal(output, points)
        else:
            assert calmed < (0.8 if kind.startswith("sta") else 0.95)
        assert np.abs(output - points).mean() < 2

    def test_the_default_is_one(self) -> None:
        assert load_stabilizer() is load_stabilizer(DEFAULT_STABILIZER)
        assert load_stabilizer().as_dict()["kind"] == DEFAULT_STABILIZER

    @pytest.mark.parametrize("kind", ["sta", "sta-paper"])
    def test_the_learned_ones_have_68_landmarks(self, kind: str) -> None:
        assert np.shape(load_stabilizer(kind).as_dict()["basis"]) == (136, 136)

    def test_none_is_forgotten(self) -> None:
        folder = stabilizer_path("sta").parent
        assert {path.stem for path in folder.glob("*.json")} == {
            *KINDS,
            *(f"sta-{name}" for name in NETWORKS),
        }


class TestByNetwork:
    @pytest.mark.parametrize("network", NETWORKS)
    @pytest.mark.parametrize("precision", ["", "-int8", "-float16", "-float32"])
    def test_a_network_with_parameters_of_its_own_gets_them(self, network: str, precision: str) -> None:
        assert stabilizer_path("sta", network + precision).name == f"sta-{network}.json"
        own = load_stabilizer("sta", network + precision)
        assert own is load_stabilizer("sta", network) is not load_stabilizer("sta")
        # It says whose errors it was fitted to, and they are that network's.
        assert re.match(rf"\d+ sequences of {network}-int8( and [a-z]+-int8)?, ", own.fitted)

    @pytest.mark.parametrize(
        "network",
        [
            None,
            "",
            "compact",
            "compact-int8",
            "mine",
            "tiny-mine",
            "int8",
            "paper",
            "paper-int8",
            "../sta",
            "*",
        ],
    )
    def test_every_other_network_gets_those_for_all(self, network: str | None) -> None:
        assert stabilizer_path("sta", network) == stabilizer_path("sta")
        assert load_stabilizer("sta", network) is load_stabilizer("sta")

    @pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "sta"])
    def test_the_others_are_for_all(self, kind: str) -> None:
        for network in NETWORKS:
            assert stabilizer_path(kind, network).name == f"{kind}.json"

    def test_a_file_is_itself_whatever_the_network(self, tmp_path: Path) -> None:
        save_stabilizer(load_stabilizer("sta"), path := tmp_path / "mine.json")
        given = load_stabilizer(path, "tiny")
        assert given.as_dict() == load_stabilizer("sta").as_dict()

    def test_their_kinds_are_the_names(self) -> None:
        with pytest.raises(ConfigError, match=r"unknown stabilizer 'sta-tiny'.*sta, sta-paper"):
            stabilizer_path("sta-tiny")


@pytest.mark.usefixtures("unannotated")
@pytest.mark.parametrize("name", [None, 3, b"sta", ["sta"]])
def test_a_name_is_a_text_or_a_path(name: object) -> None:
    with pytest.raises(ConfigError, match="unknown stabilizer"):
        load_stabilizer(name)  # type: ignore[call-overload]


def test_the_smoother_of_sta_is_no_kind_of_its_own() -> None:
    with pytest.raises(ConfigError, match=r"use load_stabilizer\(\)\.smooth\(points\)"):
        load_stabilizer("sta-offline")
