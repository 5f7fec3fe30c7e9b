"""Device that a network runs on: the CPU, or CUDA if the installed ONNX Runtime has it."""

from __future__ import annotations

from contextlib import redirect_stdout
from importlib.metadata import PackageNotFoundError, version
from io import StringIO

import onnxruntime

from steadyface.errors import ConfigError

DEVICES = ("auto", "cpu", "cuda")
CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"

_PACKAGES = ("onnxruntime", "onnxruntime-gpu")
_COMMANDS = "pip uninstall --yes onnxruntime onnxruntime-gpu && pip install 'onnxruntime-gpu[cuda,cudnn]'"


class CudaError(ConfigError):
    """CUDA is asked for, but not available."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"device 'cuda' is not available: {reason}; or use --device cpu")


def wants_cuda(device: str) -> bool:
    """Whether to ask ONNX Runtime for CUDA; loads NVIDIA's libraries, if so.

    Raises:
        ConfigError: unknown device.
        CudaError: `cuda` on an ONNX Runtime without it; the message has the commands that bring it.
    """
    if device not in DEVICES:
        raise ConfigError.choice("device", device, DEVICES)
    if device == "cpu":
        return False
    if CUDA in onnxruntime.get_available_providers():
        with redirect_stdout(StringIO()):  # it prints what is missing; the session then does not start
            onnxruntime.preload_dlls()
        return True
    if device == "cuda":
        raise CudaError(f"{_why_not()}; run these two: {_COMMANDS}")
    return False


def _why_not() -> str:
    """Reason why ONNX Runtime has no CUDA.

    Both of its packages fill the same folder: whichever is installed last replaces the other.
    """
    if all(map(_installed, _PACKAGES)):
        return "onnxruntime and onnxruntime-gpu are both installed, and the first has replaced the second"
    return "the ONNX Runtime that is installed has no CUDA provider"


def _installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True
