"""A network runs where it was asked to, or it is said that it cannot, with the commands that mend it."""

from __future__ import annotations

import pickle
from importlib import metadata

import onnxruntime
import pytest

from steadyface import devices, models
from steadyface.detector import FaceFinder
from steadyface.devices import CPU, CUDA, CudaError, wants_cuda
from steadyface.landmarker import Landmarker

COMMANDS = "pip uninstall --yes onnxruntime onnxruntime-gpu && pip install 'onnxruntime-gpu[cuda,cudnn]'"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Packages of ONNX Runtime that seem to be installed; none of them with CUDA."""
    names: list[str] = []

    def version(package: str) -> str:
        if package not in names:
            raise metadata.PackageNotFoundError(package)
        return "1.0"

    monkeypatch.setattr(devices, "version", version)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU])
    return names


@pytest.mark.parametrize(
    ("packages", "reason"),
    [
        (["onnxruntime"], "has no CUDA provider"),
        (["onnxruntime", "onnxruntime-gpu"], "both installed, and the first has replaced the second"),
        (["onnxruntime-directml"], "has no CUDA provider"),
    ],
)
@pytest.mark.parametrize("network", [Landmarker, FaceFinder])
def test_what_is_in_the_way_is_said_with_two_commands(
    installed: list[str], packages: list[str], reason: str, network: type
) -> None:
    installed += packages
    with pytest.raises(CudaError) as error:
        network(device="cuda")
    assert reason in str(error.value)
    assert COMMANDS in str(error.value)
    assert "\n" not in str(error.value)


def test_auto_takes_the_processor_where_there_is_no_cuda(installed: list[str]) -> None:
    installed.append("onnxruntime")
    assert not wants_cuda("auto")
    assert not wants_cuda("cpu")
    assert Landmarker().name == "compact-int8"


@pytest.mark.filterwarnings("ignore:Specified provider")
class TestCudaThatCannotStart:
    """ONNX Runtime lists CUDA and then opens sessions without it, as where NVIDIA's libraries are missing."""

    @pytest.fixture(autouse=True)
    def _listed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])

    @pytest.mark.parametrize("network", [Landmarker, FaceFinder])
    def test_it_does_not_compute_on_the_processor(self, network: type) -> None:
        with pytest.raises(CudaError, match=r"could not start it.*use --device cpu"):
            network(device="cuda")

    def test_an_error_at_the_start_is_the_reason(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*arguments: object, **options: object) -> None:
            raise RuntimeError("no CUDA-capable device is detected")

        monkeypatch.setattr(models, "_Session", fail)
        with pytest.raises(CudaError, match="no CUDA-capable device"):
            Landmarker(device="cuda")

    def test_auto_takes_the_processor_and_its_weights(self) -> None:
        assert Landmarker(device="auto").name == "compact-int8"

    def test_a_session_that_was_on_cuda_does_not_go_on_elsewhere(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(models._Session, "get_providers", lambda session: [CUDA, CPU])
        landmarker = Landmarker(device="cuda")
        assert landmarker.name == "compact-float32"
        sent = pickle.dumps(landmarker)
        monkeypatch.undo()
        with pytest.raises(CudaError, match=r"could not start it"):
            pickle.loads(sent)
