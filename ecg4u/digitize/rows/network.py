"""The trace network: which pixels of a page are trace, text, calibration pulse or straight print.

A small U-net of about a quarter of a million weights. It works at half resolution, where a page
is affordable on a CPU, and gives its answer at full resolution: each half-resolution pixel speaks
for its four (Shi et al. 2016, sub-pixel convolution), corrected by a light full-resolution branch
that keeps thin lines and one-pixel gaps sharp.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ecg4u.cores import spread
from ecg4u.digitize.page.darkness import brightest, white_on_black
from ecg4u.digitize.types import FloatArray, InkMap

if TYPE_CHECKING:
    from torch import Tensor, nn

Pixels = npt.NDArray[np.uint8]

CHANNELS = ("trace", "text", "pulse", "separator")
WIDTHS = (24, 32, 48, 64)
MULTIPLE = 16
TILE_PX = 1024
OVERLAP_PX = 64
PAPER_PX = 60
WEIGHTS = Path(__file__).parents[1] / "weights" / "trace.safetensors"


def available() -> bool:
    """Whether trained weights are installed; without them only the classical ink map can serve."""
    return WEIGHTS.exists()


def ink(image: Pixels) -> InkMap:
    """Ink map of a rectified page; ask `available` first.

    Parameters
    ----------
    image : (H, W, 3) uint8 RGB at 10 px/mm
        Any light, also white on black.

    Returns
    -------
    InkMap
        ``trace``, ``text``, ``pulse`` and ``separator`` (separators between leads, frames, rules:
        print that runs straight), each (H, W) float32 in 0..1, and ``look``, all that is known of
        the page at half that resolution. Processors that know bfloat16 compute in it, in less
        than half the time; the probabilities differ by about 0.01.
    """
    seen = normalise(image)
    answer = answer_of(seen)
    trace, text, pulse, separator = answer
    return InkMap(trace, text, pulse, separator, look=look_of(seen, answer))


def look_of(seen: FloatArray, answer: FloatArray) -> FloatArray:
    """The page (3, H, W) and what the network makes of it (4, H, W) together, (7, H / 2, W / 2)."""
    import cv2

    height, width = seen.shape[1:]
    size = max(1, width // 2), max(1, height // 2)
    return np.stack([cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in (*seen, *answer)])


def answer_of(seen: FloatArray) -> FloatArray:
    """What the network makes of a page as `normalise` gives it: (4, H, W), as `CHANNELS` say."""
    import torch

    net = _trained()
    height, width = seen.shape[1:]
    out = np.zeros((len(CHANNELS), height, width), np.float32)
    short = bool(torch.cpu.get_capabilities().get("avx512_bf16"))

    def answer(start: tuple[int, int]) -> None:
        """Fill in one tile; of what tiles share, each keeps its own half."""
        top, left = start
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=short):
            tile = _answer(net, seen[:, top : top + TILE_PX, left : left + TILE_PX])
        rows, columns = _kept(top, height), _kept(left, width)
        out[:, rows, columns] = tile[
            :, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
        ]

    spread(answer, product(_starts(height), _starts(width)))
    return out


def normalise(image: Pixels) -> FloatArray:
    """The page free of its paper's colour and shading: (3, H, W) float32, 0 paper, 1 black.

    In memory it lies pixel by pixel, as the convolutions work on it.
    """
    import cv2

    if white_on_black(brightest(image)):
        image = 255 - image
    height, width = image.shape[:2]
    size = max(1, width // 4), max(1, height // 4)
    small = cv2.medianBlur(cv2.resize(image, size, interpolation=cv2.INTER_AREA), 3)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (PAPER_PX // 4, PAPER_PX // 4))
    paper = cv2.GaussianBlur(cv2.morphologyEx(small, cv2.MORPH_CLOSE, kernel), (0, 0), 8)
    paper = cv2.resize(paper, (width, height), interpolation=cv2.INTER_LINEAR)
    ratio = cv2.divide(image, np.maximum(paper, 16), dtype=cv2.CV_32F)
    seen = np.subtract(1.0, ratio, out=ratio)
    return np.clip(seen, -0.2, 1.0, out=seen).transpose(2, 0, 1)


def build(into: int = 3, out: int = len(CHANNELS)) -> nn.Module:
    """The network: (n, into, H, W) -> (n, out, H, W) log odds; H, W by `MULTIPLE`.

    The trace network's input is that of `normalise`.
    """
    import torch
    from torch import nn

    def conv(into: int, out: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(into, out, 3, stride, dilation, dilation, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(inplace=True),
        )

    class TraceNet(nn.Module):
        """Encoder and decoder with skips by addition; see the module's docstring."""

        def __init__(self) -> None:
            super().__init__()
            a, b, c, d = WIDTHS
            self.stem = nn.Sequential(conv(into, a, stride=2), conv(a, a))
            self.down1 = nn.Sequential(conv(a, b, stride=2), conv(b, b))
            self.down2 = nn.Sequential(conv(b, c, stride=2), conv(c, c))
            self.down3 = nn.Sequential(
                conv(c, d, stride=2), conv(d, d), conv(d, d, dilation=2), conv(d, d, dilation=4)
            )
            self.flat3 = nn.Conv2d(d, c, 1)
            self.up2 = conv(c, c)
            self.flat2 = nn.Conv2d(c, b, 1)
            self.up1 = conv(b, b)
            self.flat1 = nn.Conv2d(b, a, 1)
            self.up0 = conv(a, a)
            self.spread = nn.Sequential(nn.Conv2d(a, 4 * 8, 1), nn.PixelShuffle(2))
            self.fine = conv(into, 8)
            self.head = nn.Sequential(conv(16, 12), nn.Conv2d(12, out, 1))

        def forward(self, image: Tensor) -> Tensor:
            def larger(low: Tensor) -> Tensor:
                return nn.functional.interpolate(low, scale_factor=2, mode="nearest")

            half = self.stem(image)
            quarter = self.down1(half)
            eighth = self.down2(quarter)
            low = self.down3(eighth)
            eighth = self.up2(eighth + larger(self.flat3(low)))
            quarter = self.up1(quarter + larger(self.flat2(eighth)))
            half = self.up0(half + larger(self.flat1(quarter)))
            joined = torch.cat([self.spread(half), self.fine(image)], dim=1)
            answer: Tensor = self.head(joined)
            return answer

    return TraceNet()


@lru_cache(maxsize=1)
def _trained() -> nn.Module:
    return ready(build(), WEIGHTS)


def ready(net: nn.Module, weights: Path) -> nn.Module:
    """The network with its trained weights, made fast for use."""
    import torch
    from safetensors.torch import load_file

    net.load_state_dict(load_file(weights))
    for module in net.eval().modules():
        _fuse(module)
    for weight in net.parameters():
        if weight.dim() == 4:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    return net


def _fuse(block: nn.Module) -> None:
    """Fold the normalisation of a block into the convolution before it, in place."""
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    if isinstance(block, nn.Sequential) and len(block) == 3:
        convolution, normalisation = block[0], block[1]
        if isinstance(convolution, nn.Conv2d) and isinstance(normalisation, nn.BatchNorm2d):
            block[0] = fuse_conv_bn_eval(convolution, normalisation)
            block[1] = nn.Identity()


def _starts(length: int) -> list[int]:
    return list(range(0, max(1, length - OVERLAP_PX), TILE_PX - OVERLAP_PX))


def _kept(start: int, length: int) -> slice:
    """What of a tile's places along one side is its own."""
    last = start == _starts(length)[-1]
    half = OVERLAP_PX // 2
    return slice(start + half if start else 0, length if last else start + TILE_PX - half)


def _answer(net: nn.Module, tile: FloatArray) -> FloatArray:
    import torch

    height, width = tile.shape[1:]
    seen = torch.from_numpy(tile)[None]
    padded = torch.nn.functional.pad(seen, (0, -width % MULTIPLE, 0, -height % MULTIPLE))
    rolled = padded.contiguous(memory_format=torch.channels_last)
    answer = net(rolled).float().sigmoid()[0].numpy()
    return np.asarray(answer[:, :height, :width])
