"""On an NVIDIA GPU everything is as on the CPU. Without one, only that this is said."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch

from steadyface import heatmap
from steadyface.demo import portrait
from steadyface.detector import FaceFinder
from steadyface.errors import ConfigError
from steadyface.landmarker import Landmarker

HAS_PROVIDER = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
needs_provider = pytest.mark.skipif(not HAS_PROVIDER, reason="this ONNX Runtime has no CUDA provider")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no NVIDIA GPU")


@pytest.mark.skipif(HAS_PROVIDER, reason="this ONNX Runtime has a CUDA provider")
@pytest.mark.parametrize("open_network", [Landmarker, FaceFinder])
def test_where_there_is_none_it_is_said(open_network: type) -> None:
    with pytest.raises(ConfigError, match=r"no CUDA provider; run these two: pip uninstall"):
        open_network(device="cuda")


@needs_provider
@pytest.mark.parametrize("network", ["compact", "tiny", "nano"])
def test_points_are_those_of_the_cpu(network: str) -> None:
    image = portrait().still
    there, here = Landmarker(network, device="cuda"), Landmarker(f"{network}-float32", device="cpu")
    assert there.name == here.name
    [box] = FaceFinder(device="cuda")(image)
    away = there.predict(image, box).points - here.predict(image, box).points
    assert np.abs(away).max() < 0.05  # px: TF32 and other orders of summing


@needs_cuda
@pytest.mark.parametrize("method", heatmap.METHODS)
def test_decoding_is_that_of_numpy(method: str) -> None:
    rng = np.random.default_rng(0)
    maps = heatmap.encode(rng.uniform(8, 56, (4, 68, 2)), (64, 64), sigma=1.5)
    maps = (maps + rng.normal(0, 0.01, maps.shape)).astype(np.float32)
    there = heatmap.decode(torch.from_numpy(maps).cuda(), sigma=1.5, method=method)
    here = heatmap.decode(maps, sigma=1.5, method=method)
    assert there.points.device.type == "cuda"
    np.testing.assert_allclose(there.points.cpu().numpy(), here.points, atol=1e-3)
