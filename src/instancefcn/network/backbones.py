"""Backbones: images in, feature maps of one width at one or more strides out.

The contract, checked for each backbone by tests/network/test_backbones.py: ``forward`` takes RGB
images (B, 3, H, W) in 0..1 whose sides are multiples of ``multiple``, normalises them as the
pretrained weights expect, and returns a map (B, channels, H / s, W / s) for each s of ``strides``:
``features`` of what ``encode`` returned, maps of ``encoded_channels`` at the same strides.
An input of (2, 3, 64, 96) gives

    Vgg16              [(2, 512, 8, 12)]
    FeaturePyramid     [(2, 96, 16, 24), (2, 96, 8, 12), (2, 96, 4, 6), (2, 96, 2, 3)]

No constructor downloads or reads a file: pretrained weights are taken over by ``load``.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models import VGG16_Weights
from torchvision.models.vgg import cfgs, make_layers
from torchvision.ops import FeaturePyramidNetwork

from instancefcn.core.errors import UserError


class Backbone(nn.Module):
    """The interface. ``mean`` and ``std`` are those of the pretrained weights, RGB in 0..1.

    Two steps, so that one pass serves heads and labellers: ``encode``, the encoder's own maps,
    which know more of what a thing is, and ``features``, what heads read.
    """

    channels: int
    strides: tuple[int, ...]
    encoded_channels: tuple[int, ...]
    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1))

    @property
    def multiple(self) -> int:
        """What the sides of an image must be multiples of."""
        return max(self.strides)

    @property
    @abstractmethod
    def pretrained(self) -> nn.Module:
        """The part that ``load`` fills, which a recipe may train more slowly."""

    @abstractmethod
    def encode(self, images: Tensor) -> list[Tensor]:
        """The encoder's own maps of normalised images, one a stride."""

    def features(self, encoded: Sequence[Tensor]) -> list[Tensor]:
        """The maps that heads read; the encoder's own where a backbone adds nothing."""
        return list(encoded)

    def normalised(self, images: Tensor) -> Tensor:
        """RGB images in 0..1 as the pretrained weights expect them."""
        return (images - self.mean) / self.std

    @abstractmethod
    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Take over pretrained weights under their publisher's names; others are left out.

        Raises UserError if one that the backbone has is missing or of another shape.
        """

    @abstractmethod
    def download(self) -> Mapping[str, Tensor]:
        """The publisher's pretrained weights, for ``load``; needs a network."""

    def forward(self, images: Tensor) -> list[Tensor]:
        return self.features(self.encode(self.normalised(images)))


class Vgg16(Backbone):
    """VGG-16's 13 convolutions at stride 8, by the hole algorithm (paper, section 3.3).

    pool4 has stride 1 and conv5_1 to conv5_3 are dilated by 2. The default mean is that of the
    Caffe weights that the paper used (torchvision's VGG16_Weights.IMAGENET1K_FEATURES).
    """

    channels = 512
    strides = (8,)
    encoded_channels = (512,)

    def __init__(
        self,
        mean: Sequence[float] = (0.48235, 0.45882, 0.40784),
        std: Sequence[float] = (1 / 255, 1 / 255, 1 / 255),
    ) -> None:
        super().__init__(mean, std)
        layers: list[nn.Module] = list(make_layers(cfgs["D"]))[:-1]
        # Behind a ReLU a border of zeros never wins a maximum: the map keeps its size.
        layers[23] = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.MaxPool2d(2, stride=1))
        for i in (24, 26, 28):
            layers[i] = nn.Conv2d(512, 512, 3, padding=2, dilation=2)
        self.layers = nn.Sequential(*layers)

    @property
    def pretrained(self) -> nn.Module:
        return self.layers

    def encode(self, images: Tensor) -> list[Tensor]:
        return [self.layers(images)]

    def load(self, weights: Mapping[str, Tensor]) -> None:
        _take_over(weights, nn.ModuleDict({"features": self.layers}), "torchvision's VGG-16")

    def download(self) -> Mapping[str, Tensor]:
        weights = VGG16_Weights.IMAGENET1K_FEATURES.get_state_dict(weights_only=True)
        assert isinstance(weights, Mapping)
        return weights


class FeaturePyramid(Backbone):
    """A feature pyramid (Lin et al., CVPR 2017) over a timm encoder, at strides 4 to 32.

    ``encoder`` is a timm name with features at these strides; its batch normalisations are folded
    into its convolutions, so that training equals inference and no image's result depends on
    the others of its batch.
    """

    strides = (4, 8, 16, 32)

    def __init__(self, encoder: str = "tf_efficientnet_lite0", channels: int = 96) -> None:
        config = timm.get_pretrained_cfg(encoder)
        if config is None:
            raise UserError(
                f"encoder {encoder!r} is not a timm model; timm.list_models() names them"
            )
        super().__init__(config.mean, config.std)
        self.name = encoder
        self.channels = channels
        plain = self._plain_encoder()
        stages: Any = plain.feature_info
        if tuple(stages.reduction()) != self.strides:
            raise UserError(
                f"encoder {encoder!r} has features at strides {stages.reduction()}; "
                f"expected {list(self.strides)}, as convolutional timm models have"
            )
        self.encoded_channels = tuple(stages.channels())
        self.pyramid = FeaturePyramidNetwork(stages.channels(), channels)
        self.encoder = _folded(plain)
        if any(isinstance(layer, nn.BatchNorm2d) for layer in self.encoder.modules()):
            raise UserError(
                f"encoder {encoder!r} has batch normalisations that follow no convolution, into "
                "which they could be folded; take one without, as ResNets and EfficientNets are"
            )

    @property
    def pretrained(self) -> nn.Module:
        return self.encoder

    def _plain_encoder(self) -> nn.Module:
        # timm lists the stages from fine to coarse, to stride 32; some begin at 2, some at 4.
        encoder: nn.Module = timm.create_model(
            self.name, features_only=True, out_indices=(-4, -3, -2, -1)
        )
        return encoder

    def encode(self, images: Tensor) -> list[Tensor]:
        return list(self.encoder(images))

    def features(self, encoded: Sequence[Tensor]) -> list[Tensor]:
        return list(self.pyramid(dict(enumerate(encoded))).values())

    def load(self, weights: Mapping[str, Tensor]) -> None:
        plain = self._plain_encoder()
        _take_over(weights, plain, f"timm's {self.name}")
        self.encoder.load_state_dict(_folded(plain).state_dict())

    def download(self) -> Mapping[str, Tensor]:
        weights: Mapping[str, Tensor] = timm.create_model(self.name, pretrained=True).state_dict()
        return weights


class FullPrecision(nn.Module):
    """Runs a layer in float32 under a CPU's autocast too.

    Why: the backward pass of a depthwise convolution in bfloat16 is two to five times slower on
    CPUs than in float32, and took more than half of a training step.
    """

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            y: Tensor = self.layer(x.float() if x.device.type == "cpu" else x)
        return y


def _take_over(weights: Mapping[str, Tensor], module: nn.Module, publisher: str) -> None:
    """Fill a module from weights that may hold more. Counters of batches need not be there."""
    own = {k: v for k, v in module.state_dict().items() if not k.endswith("num_batches_tracked")}
    wrong = [k for k, v in own.items() if k not in weights or weights[k].shape != v.shape]
    if wrong:
        raise UserError(
            f"these weights are not of {publisher}: of {len(own)} tensors {len(wrong)} are missing "
            f"or of another shape, {wrong[0]!r} the first; give a file with the publisher's names"
        )
    module.load_state_dict({key: weights[key] for key in own}, strict=False)


def _folded(encoder: nn.Module) -> nn.Module:
    """Fold each batch normalisation into the convolution registered right before it, in place."""
    encoder.eval()
    for parent in list(encoder.modules()):
        children = list(parent.named_children())
        for (name, conv), (next_name, norm) in pairwise(children):
            if not (isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)):
                continue
            if conv.out_channels == norm.num_features:
                setattr(parent, next_name, getattr(norm, "act", nn.Identity()))
                fused = fuse_conv_bn_eval(conv, norm)
                fused.requires_grad_(True)  # torch leaves a bias that it makes without a gradient
                depthwise = fused.groups == fused.in_channels
                setattr(parent, name, FullPrecision(fused) if depthwise else fused)
    return encoder
