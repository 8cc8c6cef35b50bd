"""Small data sets in the layouts of their official archives, and a server on loopback for them."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import numpy as np
from PIL import Image
from scipy.io import savemat

from instancefcn.data.archives import COCO, SBD, VOC, Archive

TRAIN = ("2008_000002", "2008_000007", "2009_000001")
VAL = ("2010_000003", "2010_000006")
IN_SBD = ("2008_000002", "2009_000001", "2010_000003")
OBJECTS = np.zeros((6, 8), np.uint8)
OBJECTS[1:4, 1:5] = 1
NOISE = np.random.default_rng(0).bytes(400_000)
"""A file of no meaning, so that archives are long enough to be cut."""
INSTANCES = b"""{"images": [{"id": 5, "file_name": "5.jpg", "height": 6, "width": 8}],
"annotations": [{"id": 1, "image_id": 5, "category_id": 1, "segmentation": [[1, 1, 5, 1, 5, 4]]}],
"categories": [{"id": 1, "name": "cat"}]}"""


def image(kind: str) -> bytes:
    file = io.BytesIO()
    if kind == "png":
        labels = Image.fromarray(OBJECTS)
        labels.putpalette(list(range(256)) * 3)
        labels.save(file, "png")
    else:
        Image.fromarray(OBJECTS).convert("RGB").save(file, "jpeg")
    return file.getvalue()


def mat() -> bytes:
    file = io.BytesIO()
    savemat(file, {"GTinst": {"Segmentation": OBJECTS, "Categories": np.array([[8]])}})
    return file.getvalue()


def voc_files() -> dict[str, bytes]:
    names = "".join(f"{name}\n" for name in TRAIN).encode()
    files = {
        "ImageSets/Segmentation/val.txt": names,
        "ImageSets/Segmentation/train.txt": names,
        "ImageSets/Main/train.txt": names,
        "ImageSets/Main/val.txt": "\n".join(VAL).encode(),
        "noise": NOISE,
    }
    for name in TRAIN:
        files[f"JPEGImages/{name}.jpg"] = image("jpeg")
        files[f"SegmentationClass/{name}.png"] = image("png")
        files[f"SegmentationObject/{name}.png"] = image("png")
    return {f"VOCdevkit/VOC2012/{name}": content for name, content in files.items()}


def sbd_files() -> dict[str, bytes]:
    files = {
        "README": b"not data",
        "dataset/noise": NOISE,
        "dataset/train.txt": "\n".join(IN_SBD).encode(),
    }
    for name in IN_SBD:
        files |= {f"dataset/img/{name}.jpg": image("jpeg"), f"dataset/inst/{name}.mat": mat()}
    return {f"benchmark_RELEASE/{name}": content for name, content in files.items()}


def tar(files: Mapping[str, bytes], mode: str = "w") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def zipped(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


class Site(ThreadingHTTPServer):
    """A web server for archives.

    requests: path and Range header of each request. sent: the bytes of each answer's body.
    cuts: after how many bytes the next answers for a path break off. ranges: whether it knows
    them. lengths: whether it says how much is to come. encoding: the Content-Encoding it gives,
    right or wrong. moved: paths it has elsewhere.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.files: dict[str, bytes] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.sent: list[int] = []
        self.cuts: dict[str, list[int]] = {}
        self.moved: dict[str, str] = {}
        self.ranges = True
        self.lengths = True
        self.encoding = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def offer(self, archive: Archive, content: bytes) -> Archive:
        """The archive with this content, at this server's address."""
        self.files[f"/{archive.name}"] = content
        return replace(
            archive,
            url=f"{self.url}/{archive.name}",
            checksum=f"md5:{hashlib.md5(content).hexdigest()}",
            size=len(content),
            unpacked=len(content),
        )

    def offer_sets(self) -> dict[str, tuple[Archive, ...]]:
        """All that the official servers have, in small."""
        images = [zipped({f"{split}2017/5.jpg": image("jpeg")}) for split in ("val", "train")]
        names = [f"annotations/instances_{split}2017.json" for split in ("val", "train")]
        contents = [zipped(dict.fromkeys(names, INSTANCES)), *images]
        return {
            "voc2012": (self.offer(VOC, tar(voc_files())),),
            "sbd": (self.offer(SBD, tar(sbd_files(), "w:gz")),),
            "coco2017": tuple(map(self.offer, COCO, contents)),
        }


class _Answer(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        site, path, asked = self.server, self.path, self.headers.get("Range")
        site.requests.append((path, asked))
        content = site.files.get(path)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and site.ranges else 0
        if path in site.moved:
            self.answer(301, b"moved", Location=site.moved[path])
        elif content is None:
            self.answer(404, b"no such file")
        elif asked and site.ranges and start >= len(content):
            self.answer(416, b"")
        else:
            self.answer(206 if start else 200, content[start:], **self.encoding())

    def encoding(self) -> dict[str, str]:
        return {"Content-Encoding": self.server.encoding} if self.server.encoding else {}

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        if self.server.lengths:
            self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        cuts = self.server.cuts.get(self.path)
        body = body[: cuts.pop(0)] if cuts else body
        self.wfile.write(body)
        self.server.sent.append(len(body))

    def log_message(self, *_: Any) -> None:
        """Nothing on stderr, where tests look."""


@contextmanager
def serving() -> Iterator[Site]:
    with Site() as site:
        thread = Thread(target=site.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield site
        finally:
            site.shutdown()
            thread.join()
