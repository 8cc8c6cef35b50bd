"""A run over many images, used as a library: what it writes, keeps, and goes on past."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import pytest
from PIL import Image

from builders import predictor_of, small_network
from instancefcn.core.errors import UserError
from instancefcn.core.proposals import CLASS_AGNOSTIC, Proposals
from instancefcn.formats.ledger import Ledger
from instancefcn.formats.plan import Plan
from instancefcn.formats.sources import to_sources
from instancefcn.inference.predictor import Predictor
from instancefcn.inference.run import Proposer, Run
from instancefcn.inference.sampling import Pixels
from instancefcn.network.fcn import InstanceFCN


def begin(output: Path, failed: list[Path]) -> Run:
    """A run that keeps what is done, and notes the images that fail."""

    @contextmanager
    def caught(image: Path) -> Iterator[None]:
        try:
            yield
        except UserError:
            failed.append(image)

    plan = Plan.of(output, ["coco", "png"], CLASS_AGNOSTIC)
    ledger = Ledger(output)
    ledger.resume({"model": "small"}, plan.names_at_the_end())
    return Run(plan, ledger, caught)


def test_a_run_goes_on_past_what_fails_and_keeps_what_is_done(tmp_path: Path) -> None:
    names = [tmp_path / f"{name}.png" for name in "abc"]
    for seed, path in enumerate(names):
        pixels = np.random.default_rng(seed).integers(0, 256, (40, 60, 3), np.uint8)
        Image.fromarray(pixels).save(path)
    names[1].write_bytes(b"no image")
    sources = to_sources(names)
    predictor = predictor_of(small_network(), [64], batch=2)

    failed: list[Path] = []
    run = begin(tmp_path / "out", failed)
    todo = run.take_up(sources)
    assert todo == sources
    assert list(run.do(todo, predictor)) == sources
    run.finish()
    assert failed == [names[1]]
    assert list(run.done) == [1, 3]
    content = json.loads((tmp_path / "out" / "proposals.json").read_bytes())
    assert [image["file_name"] for image in content["images"]] == ["a.png", "c.png"]
    assert len(content["annotations"]) == run.masks > 0

    again = begin(tmp_path / "out", failed)
    assert again.take_up(sources) == [sources[1]]
    assert again.masks == run.masks


class Pool:
    """Two predictors that share images out, each in a thread of its own."""

    batch = 4

    def __init__(self, network: InstanceFCN) -> None:
        self.free: SimpleQueue[Predictor] = SimpleQueue()
        self.shares: list[int] = []
        for _ in range(2):
            self.free.put(predictor_of(network, [64]))

    def propose(self, images: Sequence[Pixels]) -> Sequence[Proposals]:
        self.shares.append(len(images))
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(self._one, images))

    def _one(self, image: Pixels) -> Proposals:
        predictor = self.free.get()
        (proposals,) = predictor.propose([image])
        self.free.put(predictor)
        return proposals


def test_whatever_finds_proposals_can_do_the_work(tmp_path: Path) -> None:
    """A pool writes what a predictor writes, to the byte; what it cannot do is one image's loss."""
    for name in "abcdef":
        pixels = np.random.default_rng(ord(name)).integers(0, 256, (40, 60, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    (tmp_path / "b.png").write_bytes(b"no image")
    sources = to_sources([tmp_path / f"{name}.png" for name in "abcdef"])
    network = small_network()
    pool = Pool(network)
    failed: list[Path] = []
    proposers: dict[str, Proposer] = {"one": predictor_of(network, [64]), "pool": pool}
    for name, proposer in proposers.items():
        run = begin(tmp_path / name, failed)
        assert list(run.do(run.take_up(sources), proposer)) == sources
        run.finish()
    assert failed == [tmp_path / "b.png"] * 2
    assert pool.shares == [3, 2]
    for file in ("proposals.json", "labels/a.png", "labels/f.png"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "pool" / file).read_bytes()


def test_a_run_without_images_done_writes_nothing(tmp_path: Path) -> None:
    run = begin(tmp_path / "out", [])
    assert list(run.do([], predictor_of(small_network(), [64]))) == []
    with pytest.raises(UserError, match="no image was done"):
        run.finish()
    assert not (tmp_path / "out").exists()
