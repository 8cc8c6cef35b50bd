"""The contract of backbones, their folding and dilation, and the weights that they take over."""

from __future__ import annotations

import ast
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import VGG16_Weights, vgg16

from instancefcn.core.tensors import read_tensors
from instancefcn.network import backbones
from instancefcn.network.backbones import Backbone, FeaturePyramid, FullPrecision, Vgg16

WEIGHTS = Path(__file__).parents[3] / "shared" / "weights"
ENCODERS = (
    "tf_efficientnet_lite0",
    "resnet18",
    "mobilenetv3_small_100",
    "regnety_002",
    "convnext_atto",
)
NORMALISED = [name for name in ENCODERS if name != "convnext_atto"]  # by batch


def images(batch: int = 2, height: int = 64, width: int = 96) -> Tensor:
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(0))


def weights_file(name: str) -> dict[str, Tensor]:
    path = WEIGHTS / name
    if not path.exists():
        pytest.skip(f"needs the pretrained weights {path}")
    tensors, _ = read_tensors(path)
    return tensors


def plain_encoder(name: str) -> nn.Module:
    """As timm makes it, its batch normalisations with statistics of their own."""
    torch.manual_seed(0)
    encoder: nn.Module = timm.create_model(name, features_only=True, out_indices=(-4, -3, -2, -1))
    for layer in encoder.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            nn.init.uniform_(layer.running_mean, -0.2, 0.2)
            nn.init.uniform_(layer.running_var, 0.5, 1.5)
            nn.init.uniform_(layer.weight, 0.8, 1.2)
            nn.init.uniform_(layer.bias, -0.2, 0.2)
    return encoder.eval()


def assert_same_maps(maps: list[Tensor], expected: list[Tensor]) -> None:
    """Within float32's rounding through all layers, by the scale of each map."""
    assert len(maps) == len(expected)
    for one, other in zip(maps, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * float(other.abs().max()))


# --- the contract

MAKERS: dict[str, Callable[[], Backbone]] = {
    "Vgg16": Vgg16,
    **{name: lambda name=name: FeaturePyramid(name, channels=16) for name in ENCODERS},  # type: ignore[misc]
}


@pytest.fixture(scope="module", params=list(MAKERS))
def backbone(request: pytest.FixtureRequest) -> Backbone:
    torch.manual_seed(0)
    return MAKERS[request.param]()


@torch.no_grad()
@pytest.mark.parametrize("factors", [(1, 1), (2, 3)])
def test_maps_have_the_promised_channels_and_strides(
    backbone: Backbone, factors: tuple[int, int]
) -> None:
    height, width = (factor * backbone.multiple for factor in factors)
    maps = backbone(images(2, height, width))
    assert [tuple(each.shape) for each in maps] == [
        (2, backbone.channels, height // stride, width // stride) for stride in backbone.strides
    ]
    assert all(each.dtype == torch.float32 and each.isfinite().all() for each in maps)


@torch.no_grad()
def test_the_encoders_own_maps_are_one_a_stride(backbone: Backbone) -> None:
    """What labellers read. Heads read what ``features`` makes of the same maps."""
    height, width = backbone.multiple, 2 * backbone.multiple
    encoded = backbone.encode(backbone.normalised(images(2, height, width)))
    assert [tuple(each.shape) for each in encoded] == [
        (2, channels, height // stride, width // stride)
        for channels, stride in zip(backbone.encoded_channels, backbone.strides, strict=True)
    ]
    assert all(each.dtype == torch.float32 and each.isfinite().all() for each in encoded)
    maps = backbone(images(2, height, width))
    assert_same_maps(backbone.features(encoded), maps)


@torch.no_grad()
def test_images_are_normalised_first(backbone: Backbone) -> None:
    pixels = images(1)
    by_hand = torch.stack([(pixels[:, c] - backbone.mean[c]) / backbone.std[c] for c in range(3)])
    assert_same_maps(backbone(pixels), backbone.features(backbone.encode(by_hand.transpose(0, 1))))


@torch.no_grad()
def test_training_equals_inference(backbone: Backbone) -> None:
    expected = backbone.eval()(images())
    for one, other in zip(backbone.train()(images()), expected, strict=True):
        assert torch.equal(one, other)


def test_strides_go_from_fine_to_coarse(backbone: Backbone) -> None:
    assert list(backbone.strides) == sorted(backbone.strides)
    assert all(backbone.multiple % stride == 0 for stride in backbone.strides)


def test_what_is_pretrained_is_a_part_of_the_backbone(backbone: Backbone) -> None:
    own = {id(parameter) for parameter in backbone.parameters()}
    pretrained = {id(parameter) for parameter in backbone.pretrained.parameters()}
    assert pretrained
    assert pretrained <= own


@torch.no_grad()
def test_the_worked_examples_of_the_docstring() -> None:
    examples = re.findall(r"^    (\w+) +(\[.*\])$", backbones.__doc__ or "", re.MULTILINE)
    assert [name for name, _ in examples] == ["Vgg16", "FeaturePyramid"]
    for name, shapes in examples:
        maps = getattr(backbones, name)()(images())
        assert [tuple(each.shape) for each in maps] == ast.literal_eval(shapes)


@pytest.mark.parametrize("name", MAKERS)
def test_no_constructor_opens_a_connection(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = []

    def refuse(*args: Any, **kwargs: Any) -> None:
        attempts.append(args)
        raise OSError("no network")

    for function in ("create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, function, refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    MAKERS[name]()
    assert not attempts


# --- pyramids over timm's encoders


@torch.no_grad()
@pytest.mark.parametrize("name", NORMALISED)
def test_a_folded_encoder_equals_timms_own(name: str) -> None:
    plain = plain_encoder(name)
    pyramid = FeaturePyramid(name, channels=8)
    pyramid.load(plain.state_dict())
    assert_same_maps(pyramid.encoder(images()), plain(images()))
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in pyramid.modules())


@torch.no_grad()
def test_the_pretrained_encoder_equals_timms_own() -> None:
    weights = weights_file("tf_efficientnet_lite0.safetensors")
    pyramid = FeaturePyramid("tf_efficientnet_lite0")
    pyramid.load(weights)
    whole: Any = timm.create_model("tf_efficientnet_lite0")
    whole.load_state_dict(weights, strict=False)
    coarsest = whole.eval().blocks(whole.bn1(whole.conv_stem(images())))
    maps = pyramid.encoder(images())
    assert_same_maps([maps[-1]], [coarsest])
    assert maps[-1].std() > 0.1


def test_images_are_normalised_as_timm_does() -> None:
    pyramid = FeaturePyramid("tf_efficientnet_lite0")
    config: Any = timm.create_model("tf_efficientnet_lite0").pretrained_cfg
    assert tuple(pyramid.mean.flatten().tolist()) == pytest.approx(config["mean"])
    assert tuple(pyramid.std.flatten().tolist()) == pytest.approx(config["std"])


def test_loading_fills_the_encoder_alone_and_keeps_its_parameters() -> None:
    pyramid = FeaturePyramid("mobilenetv3_small_100", channels=8)
    lateral = {name: value.clone() for name, value in pyramid.pyramid.state_dict().items()}
    parameters = list(pyramid.encoder.parameters())
    before = [parameter.detach().clone() for parameter in parameters if parameter.ndim > 1]
    pyramid.load(plain_encoder("mobilenetv3_small_100").state_dict())
    assert all(torch.equal(lateral[k], v) for k, v in pyramid.pyramid.state_dict().items())
    assert all(a is b for a, b in zip(parameters, pyramid.encoder.parameters(), strict=True))
    after = [parameter for parameter in parameters if parameter.ndim > 1]
    assert not any(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_all_of_it_is_trained_the_folded_biases_too() -> None:
    pyramid = FeaturePyramid("tf_efficientnet_lite0", channels=8)
    biases = [name for name, _ in pyramid.encoder.named_parameters() if name.endswith(".bias")]
    convolutions = [m for m in pyramid.encoder.modules() if isinstance(m, nn.Conv2d)]
    assert len(biases) == len(convolutions)
    assert all(parameter.requires_grad for parameter in pyramid.parameters())


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("resnet_eighteen", "is not a timm model"),
        ("vit_tiny_patch16_224", r"features at strides \[16, 16, 16, 16\]"),
        ("densenet121", "batch normalisations that follow no convolution"),
    ],
)
def test_encoders_that_do_not_fit_are_refused_in_one_line(name: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"{name}.*{reason}") as error:
        FeaturePyramid(name)
    assert "\n" not in str(error.value)


def test_depthwise_convolutions_stay_in_float32_under_autocast() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(4, 4, 3, padding=1, groups=4)
    x = images(1)[:, [0, 1, 2, 0]].bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
        y = FullPrecision(layer)(x)
    assert y.dtype == torch.float32
    assert torch.equal(y, layer(x.float()))
    y.sum().backward()
    assert x.grad is not None


@torch.no_grad()
def test_autocast_changes_maps_by_rounding_only() -> None:
    pyramid = FeaturePyramid("mobilenetv3_small_100", channels=8)
    pyramid.load(plain_encoder("mobilenetv3_small_100").state_dict())
    expected = pyramid(images())
    with torch.autocast("cpu", torch.bfloat16):
        maps = pyramid(images())
    for one, other in zip(maps, expected, strict=True):
        assert (one - other).norm() < 0.05 * other.norm()


# --- VGG-16


@pytest.fixture(scope="module")
def vgg() -> Vgg16:
    """With weights of a variance at which no layer dies out."""
    torch.manual_seed(0)
    backbone = Vgg16()
    for layer in backbone.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return backbone


def torchvisions_vgg() -> nn.Sequential:
    """On no device: the classifier that comes with it would take half a gigabyte."""
    with torch.device("meta"):
        features: nn.Sequential = vgg16(weights=None, init_weights=False).features
    return features[:-1]


@pytest.fixture(scope="module")
def original(vgg: Vgg16) -> nn.Sequential:
    """At stride 16 before the last pooling, with the same weights."""
    layers = torchvisions_vgg()
    layers.load_state_dict(vgg.layers.state_dict(), assign=True)
    return layers


@torch.no_grad()
def test_vgg_equals_torchvisions_at_every_second_position(
    vgg: Vgg16, original: nn.Sequential
) -> None:
    (dense,) = vgg.encode(images(1))
    assert_same_maps([dense[:, :, ::2, ::2]], [original(images(1))])


@torch.no_grad()
@pytest.mark.parametrize("phase", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_the_hole_algorithm_is_the_original_at_each_phase_of_the_grid(
    vgg: Vgg16, original: nn.Sequential, phase: tuple[int, int]
) -> None:
    """On conv4_3's grid: what lies at positions py, py + 2, ... of the dense map is what the
    original network makes of the grid moved by that phase; with zeros beyond, since max pooling
    behind a ReLU does not see them.
    """
    height, width = 6, 8
    conv4 = torch.rand(1, 512, height, width, generator=torch.Generator().manual_seed(1))
    py, px = phase
    moved = F.pad(conv4, (0, 2, 0, 2))[:, :, py : py + height, px : px + width]
    expected = original[23:](moved)
    assert_same_maps([vgg.layers[23:](conv4)[:, :, py::2, px::2]], [expected])


@torch.no_grad()
def test_pool4_keeps_the_size_by_hand(vgg: Vgg16) -> None:
    grid = torch.tensor([[[[1.0, 4.0, 2.0], [3.0, 0.0, 5.0]]]])
    assert vgg.layers[23](grid).tolist() == [[[[4, 5, 5], [3, 5, 5]]]]


def test_only_the_last_three_convolutions_have_holes(vgg: Vgg16) -> None:
    convolutions = [layer for layer in vgg.layers if isinstance(layer, nn.Conv2d)]
    assert [layer.dilation for layer in convolutions] == [(1, 1)] * 10 + [(2, 2)] * 3


def test_vgg_is_normalised_as_the_caffe_weights_expect() -> None:
    expected = VGG16_Weights.IMAGENET1K_FEATURES.transforms()
    vgg = Vgg16()
    assert vgg.mean.flatten().tolist() == pytest.approx(expected.mean)
    assert vgg.std.flatten().tolist() == pytest.approx(expected.std)


@torch.no_grad()
def test_pretrained_vgg_equals_torchvisions() -> None:
    weights = weights_file("vgg16_features_hed.safetensors")
    vgg = Vgg16()
    vgg.load(weights)
    layers = torchvisions_vgg()
    nn.ModuleDict({"features": layers}).load_state_dict(weights, assign=True)
    assert torch.equal(vgg.layers[:23](images(1)), layers.float()[:23](images(1)))
    (dense,) = vgg.encode(images(1))
    assert_same_maps([dense[:, :, ::2, ::2]], [layers(images(1))])


# --- wrong weights


@pytest.mark.parametrize("name", ["Vgg16", "resnet18"])
def test_missing_weights_are_told_in_one_line(name: str) -> None:
    with pytest.raises(ValueError, match=r"not of (torchvision|timm)'s .* missing") as error:
        MAKERS[name]().load({"foreign.weight": torch.zeros(3)})
    assert "\n" not in str(error.value)


def test_weights_of_another_shape_are_told_in_one_line() -> None:
    pyramid = FeaturePyramid("resnet18", channels=8)
    weights = plain_encoder("resnet18").state_dict()
    weights["layer1.0.conv1.weight"] = weights["layer1.0.conv1.weight"][:32]
    with pytest.raises(ValueError, match=r"1 are missing or of another shape, 'layer1\.0\.conv1"):
        pyramid.load(weights)


def test_wrong_weights_leave_a_backbone_as_it_was() -> None:
    pyramid = FeaturePyramid("mobilenetv3_small_100", channels=8)
    before = {name: value.clone() for name, value in pyramid.state_dict().items()}
    weights = plain_encoder("mobilenetv3_small_100").state_dict()
    del weights["conv_stem.weight"]
    with pytest.raises(ValueError, match=r"1 are missing .* 'conv_stem\.weight'"):
        pyramid.load(weights)
    assert all(torch.equal(before[name], value) for name, value in pyramid.state_dict().items())
