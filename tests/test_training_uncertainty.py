"""The fit of visibility and error: views of faces, losses, calibration, and the trunk that stays as it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from steadyface.checkpoint import load_network, save_network
from steadyface.datasets.three_hundred_w import find_samples, hold_out
from steadyface.demo import portrait
from steadyface.errors import ConfigError, DataError
from steadyface.geometry import Region
from steadyface.images import write_image
from steadyface.landmarker import Landmarker
from steadyface.nets.compact import CompactConfig, CompactNet
from steadyface.nets.hourglass import HourglassConfig, HourglassNet
from steadyface.nets.uncertainty import UncertaintyHead
from steadyface.pts import write_pts
from steadyface.training import uncertainty
from steadyface.training.augmentation import Augmentation
from steadyface.training.uncertainty import Fit, calibrate, fit_uncertainty, train_head, whiten
from steadyface.training.views import Face, Views, view_faces

PLAIN = Augmentation(scale=0.0, shift=0.0, roll=0.0, flip=0.0, camera=0.0, occlusion=0.0, reflect=0.0)
QUICK = Fit(width=8, passes=1, epochs=1, batch_size=4)
EVERYTHING = 68 * 6


def small_head() -> UncertaintyHead:
    torch.manual_seed(0)
    return UncertaintyHead(4, 68, 16)


def views(faces: int, errors: Tensor, visible: Tensor) -> Views:
    """Features that show nothing but, in the first, whether a point is visible."""
    features = 0.1 * torch.randn(faces, 2, 68, 8)
    features[..., 0] += visible.nan_to_num()
    return Views(features.half(), torch.randn(faces, 2, EVERYTHING), errors, visible)


def covered(faces: int) -> Tensor:
    """Every point in sight at first; a third of them behind an object then."""
    visible = torch.ones(faces, 2, 68)
    visible[:, 1] = (torch.rand(faces, 68) > 0.3).float()
    return visible


def test_whitened_errors_are_those_of_the_inverse_factor() -> None:
    torch.manual_seed(1)
    factor = torch.randn(9, 2, 2).tril() + 2 * torch.eye(2)
    errors = torch.randn(9, 2)
    torch.testing.assert_close(whiten(factor, errors), torch.linalg.solve(factor, errors[..., None])[..., 0])


def test_calibration_finds_spread_power_and_veil() -> None:
    """Errors drawn from the head's own covariances with known k, p and q, which it is then to find again."""
    head = small_head().eval()
    head.sight_own.data.normal_()
    head.face_readout.bias.data[::3] = torch.linspace(-1.5, 0.0, 68)  # σ differs between landmarks
    visible = torch.ones(400, 2, 68)
    visible[:, 1, ::2] = 0.0
    for weights in (head.local.weight, head.context.weight, head.readout):
        weights.data.zero_()
    head.local.weight.data[:, 0] = head.feature_scale[0]  # the first feature tells what is visible
    head.mix.weight.data.copy_(torch.eye(16))
    head.readout.data[..., 0] = 1.0
    head.offset.data[:, 0] = -9.0
    shown = views(400, torch.zeros(400, 2, 68, 2), visible)
    shown.features[..., 0] = visible.half()
    head.spread.fill_(1.6)
    head.power.fill_(0.2)
    head.veil.fill_(0.7)
    with torch.no_grad():
        _, factor = head(shown.features.flatten(0, 1).float(), shown.context.flatten(0, 1))
    noise = torch.randn(800, 68, 2, 1)
    errors = (factor @ noise).reshape(400, 2, 68, 2)
    assert calibrate(head, [replace(shown, errors=errors)]) < 0.01
    assert float(head.spread) == pytest.approx(1.6, abs=0.05)
    assert float(head.power) == pytest.approx(0.2)
    assert float(head.veil) == pytest.approx(0.7, abs=0.08)


def test_the_head_learns_what_is_hidden_and_that_errors_grow_there() -> None:
    torch.manual_seed(2)
    visible = covered(64)
    errors = torch.randn(64, 2, 68, 2) * torch.where(visible == 1, 1.0, 4.0)[..., None]
    errors[:, :, 5] = torch.nan
    visible[:, :, 9] = torch.nan
    shown, head = views(64, errors, visible), small_head()
    train_head(head, shown, Fit(epochs=60, batch_size=8), lambda line: None)
    with torch.no_grad():
        logits, factor = head(shown.features[:, 1].float(), shown.context[:, 1])
    hidden, sight = visible[:, 1] == 0, visible[:, 1] == 1
    assert (logits[hidden] < 0).float().mean() > 0.95
    assert (logits[sight] > 0).float().mean() > 0.95
    sigma = torch.linalg.det(factor).sqrt()
    assert 0.6 < float(sigma[sight].median()) < 1.2
    assert 2.5 < float(sigma[hidden].median() / sigma[sight].median()) < 5.0


class TestViews:
    def face(self, **changes: object) -> Face:
        still = portrait().still
        points = np.random.default_rng(0).uniform([180, 80], [270, 160], (68, 2))
        face = Face(still, points, np.ones(68), Region(225.0, 120.0, 130.0))
        return replace(face, **changes)  # type: ignore[arg-type]

    def net(self) -> CompactNet:
        torch.manual_seed(0)
        return CompactNet(CompactConfig(input_size=64, widths=(16, 16, 16, 16))).eval()

    def test_an_object_hides_points_and_changes_what_is_seen(self) -> None:
        shown = view_faces(self.net(), [self.face()] * 9, [self.face()], PLAIN, seed=0)
        assert len(shown) == 9
        assert (shown.visible[:, 0] == 1).all()
        hidden = shown.visible[:, 1] == 0
        assert 0 < hidden.float().mean() < 1
        assert hidden.any(1).float().mean() > 0.5
        assert not torch.equal(shown.features[:, 0], shown.features[:, 1])
        torch.testing.assert_close(shown.features[0, 0], shown.features[8, 0])  # only the object is random

    def test_what_nobody_annotated_may_be_known_as_hidden(self) -> None:
        face = self.face()
        points, visible = face.points.copy(), np.ones(68)
        points[:20] = np.nan
        visible[:10], visible[10:20] = 0.0, np.nan
        points[20] = [400.0, 120.0]
        shown = view_faces(self.net(), [replace(face, points=points, visible=visible)], [face], PLAIN, seed=0)
        assert (shown.visible[0, :, :10] == 0).all()
        assert shown.visible[0, :, 10:21].isnan().all()  # the last one is outside the crop
        assert shown.errors[0, :, :21].isnan().all()
        assert shown.errors[0, :, 21:].isfinite().all()

    def test_errors_lead_from_the_point_found_to_the_true_one(self) -> None:
        face, step = self.face(), np.array([1.3, -2.6])  # 1 and -2 % of the region
        moved = replace(face, points=face.points + step)
        one, other = (
            view_faces(self.net(), [each], [face], PLAIN, seed=0).errors[:, 0] for each in (face, moved)
        )
        torch.testing.assert_close(
            other - one, torch.tensor([1.0, -2.0]).expand_as(one), atol=1e-4, rtol=1e-4
        )


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A tiny LFPW: 40 photographs of one face, of which some are held out."""
    folder = tmp_path / "data" / "300w" / "lfpw" / "trainset"
    folder.mkdir(parents=True)
    still = portrait().still
    points = Landmarker().predict(still, np.array([172.0, 75.0, 274.0, 165.0])).points.astype(float)
    for i in range(40):
        write_image(folder / f"image_{i:04d}.png", still)
        write_pts(folder / f"image_{i:04d}.pts", points)
    return tmp_path / "data"


def test_a_fit_leaves_the_trunk_as_it_is(data: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = CompactConfig(input_size=64, widths=(16, 16, 16, 16))
    save_network(CompactNet(config), tmp_path / "net.safetensors")
    lines: list[str] = []
    out = fit_uncertainty(
        tmp_path / "net.safetensors", data, tmp_path / "told.safetensors", fit=QUICK, report=lines.append
    )
    before, after = (load_network(path).state_dict() for path in (tmp_path / "net.safetensors", out))
    assert load_network(out).config == replace(config, uncertainty=8)
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert {name.split(".")[0] for name in set(after) - set(before)} == {"uncertainty"}
    assert lines[0].startswith("300-W: ")
    assert lines[-1].startswith("coverage differs by ")


def test_what_cannot_end_well_is_refused_before_the_network_runs(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder in place of the file, too few faces for a batch, no face held out."""
    net, silent = tmp_path / "net.safetensors", lambda line: None
    save_network(CompactNet(CompactConfig(input_size=64, widths=(16, 16, 16, 16))), net)
    monkeypatch.setattr(uncertainty, "view_faces", None)
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="folder: is a folder, not the name of a file"):
        fit_uncertainty(net, data, tmp_path / "folder", fit=QUICK, report=silent)
    with pytest.raises(DataError, match=r"300w: .* faces to train on; a batch takes 99"):
        fit_uncertainty(net, data, tmp_path / "out", fit=replace(QUICK, batch_size=99), report=silent)
    for sample in hold_out(find_samples(data / "300w", ["lfpw-train"]))[1]:
        sample.points_path.unlink()
    with pytest.raises(DataError, match=r"300w: too few annotated faces: .* 0 held out"):
        fit_uncertainty(net, data, tmp_path / "out", fit=QUICK, report=silent)


def test_only_a_compact_network_has_a_head(tmp_path: Path) -> None:
    net = HourglassNet(HourglassConfig(input_size=64, stacks=1, features=16))
    save_network(net, tmp_path / "net.safetensors")
    with pytest.raises(ConfigError, match="only a compact network"):
        fit_uncertainty(tmp_path / "net.safetensors", tmp_path, tmp_path / "out.safetensors")
