"""The network: images in, levels out; and what it should learn of them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from instancefcn.core.errors import UserError
from instancefcn.core.grid import Layout
from instancefcn.core.level import Level
from instancefcn.network.backbones import Backbone
from instancefcn.network.head import Head, MakeTargets, Targets, Term
from instancefcn.network.heads import MaskHead, ObjectnessHead

LARGEST_M = 255
"""Cells along a window's side: 1,000 masks of such windows take 260 MB."""


class Branch(nn.Module):
    """The heads for windows of m x m cells, shared over the feature maps that they read.

    ``maps`` and ``centres`` index the backbone's feature maps, one pair a level: masks are drawn
    on the first, windows are centred at the positions of the second, which may be coarser. A
    window need not start at every cell: objectness is cheaper, and sees more, on a coarser map.
    The paper's network (section 3.3) is one branch of m = 21 with maps = centres = [0]. ``heads``
    are further ones, whose answers stand in ``Level.answers``.
    """

    def __init__(
        self,
        m: int,
        mask_head: MaskHead,
        objectness_head: ObjectnessHead,
        maps: Sequence[int] = (0,),
        centres: Sequence[int] = (0,),
        *,
        heads: Sequence[Head] = (),
    ) -> None:
        super().__init__()
        if m % 2 == 0 or not 1 <= m <= LARGEST_M or len(maps) != len(centres):
            raise UserError(
                f"a branch of m = {m}, maps {list(maps)}, centres {list(centres)}; expected an odd "
                f"m of at most {LARGEST_M}, so that windows have a centre cell and masks a size, "
                "and as many centres as maps"
            )
        self.m = m
        self.mask_head = mask_head
        self.objectness_head = objectness_head
        self.heads = nn.ModuleList(heads)
        self.pairs = tuple(zip(maps, centres, strict=True))

    def all_heads(self) -> list[Head]:
        """The mask head, the objectness head, and the further ones."""
        further = [head for head in self.heads if isinstance(head, Head)]
        return [self.mask_head, self.objectness_head, *further]

    def layouts(self, strides: Sequence[int]) -> list[Layout]:
        """How each level's windows lie over an input."""
        return [
            Layout(self.m, strides[fine], strides[coarse] // strides[fine])
            for fine, coarse in self.pairs
        ]

    def forward(self, features: Sequence[Tensor], layouts: Sequence[Layout]) -> list[Level]:
        return [
            self._level(features[fine], features[coarse], layout)
            for (fine, coarse), layout in zip(self.pairs, layouts, strict=True)
        ]

    def _level(self, fine: Tensor, coarse: Tensor, layout: Layout) -> Level:
        height, width = (side * layout.cell for side in fine.shape[2:])
        read = {"cells": fine, "centres": coarse}
        _, _, *further = self.all_heads()
        return Level(
            grid=layout.over(height, width),
            maps=self.mask_head(fine).float(),
            objectness=self.objectness_head(coarse).float(),
            fill=self.mask_head.decode,
            answers={head.name: head(read[head.reads]).float() for head in further},
            decoders={head.name: head.decode for head in further},
        )


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
        return self.levels(self.encode(images))

    def encode(self, images: Tensor) -> list[Tensor]:
        """The encoder's maps of images as ``forward`` takes them; what ``levels`` is made of."""
        backbone = self.backbone
        return backbone.encode(backbone.normalised(images))

    def levels(self, encoded: Sequence[Tensor]) -> list[Level]:
        """The levels of what ``encode`` returned."""
        features = self.backbone.features(encoded)
        strides = self.backbone.strides
        return [
            level
            for branch in self.all_branches()
            for level in branch(features, branch.layouts(strides))
        ]

    def layouts(self) -> list[Layout]:
        """How the windows of each level lie over an input; numbers only."""
        strides = self.backbone.strides
        return [layout for branch in self.all_branches() for layout in branch.layouts(strides)]

    def heads(self) -> list[list[Head]]:
        """The heads of each level."""
        return [branch.all_heads() for branch in self.all_branches() for _ in branch.pairs]

    def target_makers(self) -> list[list[MakeTargets]]:
        """What makes the targets of each level's heads; plain functions, for data workers."""
        return [[type(head).make_targets for head in heads] for heads in self.heads()]

    def losses(self, levels: Sequence[Level], targets: Sequence[Targets]) -> dict[str, Tensor]:
        """The loss terms by their heads' names, scalars; what is minimised is their sum."""
        terms: dict[str, Term] = {}
        for level, wanted, heads in zip(levels, targets, self.heads(), strict=True):
            drawn = level.logits(wanted.windows)
            for head in heads:
                term = head.loss(level, wanted, drawn)
                terms[head.name] = terms[head.name] + term if head.name in terms else term
        return {name: term.mean() for name, term in terms.items()}

    def term_names(self) -> list[str]:
        """The names of ``losses``, in order."""
        return list(dict.fromkeys(head.name for heads in self.heads() for head in heads))

    def all_branches(self) -> list[Branch]:
        """The branches, in order."""
        return [branch for branch in self.branches if isinstance(branch, Branch)]


def _check(branch: Branch, strides: Sequence[int]) -> None:
    for fine, coarse in branch.pairs:
        known = {fine, coarse} <= set(range(len(strides)))
        if not known or strides[coarse] % strides[fine]:
            raise UserError(
                f"a branch with maps {fine} and centres {coarse} on a backbone with strides "
                f"{list(strides)}; expected indices of these, and centres no finer than maps"
            )
