"""Networks by a few numbers: those that recipes name. Each is an ``InstanceFCN``, nothing more."""

from __future__ import annotations

from collections.abc import Sequence

from instancefcn.core.errors import UserError
from instancefcn.network.backbones import FeaturePyramid, Vgg16
from instancefcn.network.fcn import Branch, InstanceFCN
from instancefcn.network.heads import MaskHead, ObjectnessHead, ScoreMapHead
from instancefcn.network.losses import Logistic, LogisticDice, Quality, Sampled

MOST_SIZES = 32


class PaperNetwork(InstanceFCN):
    """The paper's network (section 3.3): VGG-16 at stride 8, k x k score maps, windows of m cells.

    mean, std: of the pretrained weights, RGB in 0..1; by default those of Caffe's.
    """

    def __init__(
        self,
        k: int = 5,
        m: int = 21,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        backbone = Vgg16() if mean is None or std is None else Vgg16(mean, std)
        mask_head = ScoreMapHead(512, 512, k, Logistic())
        super().__init__(backbone, [Branch(m, mask_head, ObjectnessHead(512, 512, 0.5, Sampled()))])


class OneLevelNetwork(InstanceFCN):
    """The paper's system on a small encoder: one level of a feature pyramid.

    level: which, from 0 at stride 4 on. mask_head: what fills windows instead of k x k score maps;
    it reads ``channels`` channels.
    """

    def __init__(
        self,
        *,
        encoder: str = "tf_efficientnet_lite0",
        channels: int = 96,
        k: int = 5,
        m: int = 21,
        level: int = 1,
        mask_head: MaskHead | None = None,
    ) -> None:
        mask_head = mask_head or ScoreMapHead(channels, channels, k, Logistic())
        objectness_head = ObjectnessHead(channels, channels, 0.5, Sampled())
        branch = Branch(m, mask_head, objectness_head, [level], [level])
        super().__init__(FeaturePyramid(encoder, channels), [branch])


class PyramidNetwork(InstanceFCN):
    """Several window sizes over a feature pyramid, in one pass; the network of ``general``.

    sizes: m of each window size. maps, centres: of each, the levels of the pyramid on which masks
    are drawn and windows are centred, see ``Branch``. prior: the objectness it starts from.
    """

    def __init__(
        self,
        *,
        encoder: str = "tf_efficientnet_lite0",
        channels: int = 96,
        k: int = 5,
        sizes: Sequence[int] = (21, 41, 29, 57, 81),
        maps: Sequence[Sequence[int]] = ((0,), (0, 1), (0,), (0, 1, 2), (1,)),
        centres: Sequence[Sequence[int]] = ((1,), (1, 2), (1,), (1, 2, 3), (3,)),
        prior: float = 0.01,
    ) -> None:
        if not len(sizes) == len(maps) == len(centres) <= MOST_SIZES:
            raise UserError(
                f"{len(sizes)} sizes, {len(maps)} maps and {len(centres)} centres; give as many "
                f"of each, at most {MOST_SIZES}"
            )
        branches = [
            Branch(
                m,
                ScoreMapHead(channels, channels, k, LogisticDice()),
                ObjectnessHead(channels, channels, prior, Quality()),
                fine,
                coarse,
            )
            for m, fine, coarse in zip(sizes, maps, centres, strict=True)
        ]
        super().__init__(FeaturePyramid(encoder, channels), branches)
