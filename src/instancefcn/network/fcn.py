"""The network: images in, levels out, nothing more."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from instancefcn.core.errors import UserError
from instancefcn.core.types import Level
from instancefcn.network.backbones import Backbone
from instancefcn.network.heads import MaskHead, ObjectnessHead


class Branch(nn.Module):
    """The heads for windows of m x m cells, shared over the feature maps that they read.

    ``maps`` and ``centres`` index the backbone's feature maps, one pair a level: masks are drawn
    on the first, windows are centred at the positions of the second, which may be coarser. A
    window need not start at every cell: objectness is cheaper, and sees more, on a coarser map.
    The paper's network (section 3.3) is one branch of m = 21 with maps = centres = [0].
    """

    def __init__(
        self,
        m: int,
        mask_head: MaskHead,
        objectness_head: ObjectnessHead,
        maps: Sequence[int] = (0,),
        centres: Sequence[int] = (0,),
    ) -> None:
        super().__init__()
        if m % 2 == 0 or len(maps) != len(centres):
            raise UserError(
                f"a branch of m = {m}, maps {list(maps)}, centres {list(centres)}; expected an "
                "odd m, so that windows have a centre cell, and as many centres as maps"
            )
        self.m = m
        self.mask_head = mask_head
        self.objectness_head = objectness_head
        self.pairs = tuple(zip(maps, centres, strict=True))

    def forward(self, features: Sequence[Tensor], strides: Sequence[int]) -> list[Level]:
        return [
            Level(
                maps=self.mask_head(features[fine]).float(),
                objectness=self.objectness_head(features[coarse]).float(),
                cell=(strides[fine], strides[fine]),
                m=self.m,
                step=strides[coarse] // strides[fine],
                fill=self.mask_head.fill,
            )
            for fine, coarse in self.pairs
        ]


class InstanceFCN(nn.Module):
    """Instance-sensitive fully convolutional network (Dai et al., ECCV 2016, section 3).

    A backbone and one branch a window size. ``forward`` takes RGB images (B, 3, H, W) in 0..1,
    sides multiples of ``backbone.multiple``, and returns levels in pixels of that input. An image
    has the same levels alone and in a batch.
    """

    def __init__(self, backbone: Backbone, branches: Sequence[Branch]) -> None:
        super().__init__()
        for branch in branches:
            _check(branch, backbone.strides)
        self.backbone = backbone
        self.branches = nn.ModuleList(branches)

    def forward(self, images: Tensor) -> list[Level]:
        features = self.backbone(images)
        return [
            level for branch in self.branches for level in branch(features, self.backbone.strides)
        ]


def _check(branch: Branch, strides: Sequence[int]) -> None:
    for fine, coarse in branch.pairs:
        known = {fine, coarse} <= set(range(len(strides)))
        if not known or strides[coarse] % strides[fine]:
            raise UserError(
                f"a branch with maps {fine} and centres {coarse} on a backbone with strides "
                f"{list(strides)}; expected indices of these, and centres no finer than maps"
            )
