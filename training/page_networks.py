"""The digitizer's networks in torch, and how they get into the package.

    python -m training.page_networks

Trained weights are kept in ``training/weights``; the package ships the same networks as ONNX files,
without torch. Each training writes both; the command writes the package's files anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecg4u.digitize.networks import WEIGHTS as SHIPPED
from ecg4u.digitize.rows.network import CHANNELS
from ecg4u.digitize.rows.row_network import LOOKS, MARKS, STRIP_PX
from ecg4u.digitize.text.labels import OF_NAMES, OF_UNITS, UNITS
from ecg4u.digitize.text.names import NAMES, WINDOW
from ecg4u.digitize.text.printed import LINE_PX, SYMBOLS

if TYPE_CHECKING:
    from torch import Tensor, nn

WEIGHTS = Path(__file__).parent / "weights"
WIDTHS = (24, 32, 48, 64)
"""Channels of the trace network and the row network at 1/2, 1/4, 1/8 and 1/16 of the page."""
PLACES_WIDTHS = (32, 56, 64, 96)
"""Channels of the finder of names at 1/2, 1/4, 1/4 once joined, and 1/8."""
OPSET = 17
"""Version of ONNX's operators; onnxruntime has known it since 1.12."""


@dataclass(frozen=True)
class Shipped:
    """A network of the package: how it is built, an example of its input, and the axes of that
    which may have any length."""

    name: str
    build: Callable[[], nn.Module]
    example: tuple[int, ...]
    free: tuple[int, ...]
    softmax: tuple[slice, ...] = ()
    """Outputs that are log odds of which one is true; the others stay as they are. With none, each
    output is by itself."""

    @property
    def weights(self) -> Path:
        """Where training writes them."""
        return WEIGHTS / f"{self.name}.safetensors"

    def trained(self) -> nn.Module:
        """With the kept weights; it answers in log odds, and with the sides of boxes."""
        from safetensors.torch import load_file

        net = self.build()
        net.load_state_dict(load_file(self.weights))
        return net.eval()

    def keep(self, net: nn.Module, card: Mapping[str, Any], out: Path | None = None) -> None:
        """Write weights, the package's network and its card; into one folder if it is given."""
        from safetensors.torch import save_file

        weights, package = out or WEIGHTS, out or SHIPPED
        weights.mkdir(parents=True, exist_ok=True)
        values = {key: value.contiguous() for key, value in net.state_dict().items()}
        save_file(values, weights / self.weights.name)
        (package / f"{self.name}.json").write_text(json.dumps(card, indent=1) + "\n")
        self.ship(net, card, package)

    def ship(self, net: nn.Module, card: Mapping[str, Any], package: Path) -> None:
        """Write the ONNX file that the package runs, which answers in probabilities."""
        import torch

        torch.onnx.export(
            _probable(net, self.softmax, card.get("temperature", 1.0)),
            (torch.zeros(self.example),),
            package / f"{self.name}.onnx",
            dynamo=False,
            opset_version=OPSET,
            input_names=["seen"],
            output_names=["probability"],
            dynamic_axes={"seen": {axis: f"axis{axis}" for axis in self.free}},
        )


def u_net(into: int, out: int) -> nn.Module:
    """The network of `ecg4u.digitize.rows.network`: (n, into, H, W) -> (n, out, H, W) log odds."""
    import torch
    from torch import nn

    def conv(into: int, out: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(into, out, 3, stride, dilation, dilation, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(inplace=True),
        )

    class TraceNet(nn.Module):
        """Encoder and decoder with skips by addition, and a branch at full resolution."""

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


def places_net() -> nn.Module:
    """(n, 3, H, W) -> (n, 32, H / 4, W / 4): log odds of the names and of none, and the sides of
    the name's box; the same of the units of a printed scale (`UNITS`); about 463,000 weights.

    A name is told by what stands within 11 mm of a place, on each side; a unit by up to 14 mm.
    """
    import torch
    from torch import nn

    def conv(into: int, out: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(into, out, 3, stride, dilation, dilation, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(inplace=True),
        )

    class PlacesNet(nn.Module):
        """Convolutions at 1/2, 1/4 and 1/8 of the page, the last two joined."""

        def __init__(self) -> None:
            super().__init__()
            a, b, c, d = PLACES_WIDTHS
            self.stem = nn.Sequential(nn.PixelUnshuffle(2), conv(4 * 3, a))
            self.q = nn.Sequential(conv(a, b, 2), conv(b, b), conv(b, b))
            self.e = nn.Sequential(conv(b, d, 2), conv(d, d), conv(d, d), conv(d, d, 1, 2))
            self.up = nn.Conv2d(d, b, 1)
            self.join = conv(b, c)
            self.head = nn.Conv2d(c, len(NAMES) + 1 + 4, 1)
            bias = torch.zeros(len(NAMES) + 1 + 4)
            bias[len(NAMES)], bias[len(NAMES) + 1 :] = 5.0, 1.0  # nearly every place shows none
            self.head.bias = nn.Parameter(bias)
            self.units = nn.Sequential(
                conv(c, 48), conv(48, 48, 1, 2), nn.Conv2d(48, len(UNITS) + 1 + 4, 1)
            )

        def seen(self, image: Tensor) -> Tensor:
            """What names and units are told by, (n, 64, H / 4, W / 4)."""
            quarter = self.q(self.stem(image))
            eighth = self.up(self.e(quarter))
            larger = nn.functional.interpolate(eighth, scale_factor=2, mode="nearest")
            joined: Tensor = self.join(quarter + larger)
            return joined

        def forward(self, image: Tensor) -> Tensor:
            joined = self.seen(image)
            return torch.cat([self.head(joined), self.units(joined)], dim=1)

    return PlacesNet()


def names_net() -> nn.Module:
    """(n, 1, 24, 56) -> (n, 21) log odds of names; about 128,000 weights."""
    from torch import nn

    def conv(into: int, out: int) -> list[nn.Module]:
        return [nn.Conv2d(into, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]

    height, width = WINDOW
    return nn.Sequential(
        *conv(1, 16),
        nn.MaxPool2d(2),
        *conv(16, 40),
        nn.MaxPool2d(2),
        *conv(40, 80),
        nn.MaxPool2d(2),
        *conv(80, 80),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(80 * (height // 8) * (width // 8), len(NAMES) + 1),
    )


def printed_net() -> nn.Module:
    """(n, 1, 24, w) -> (n, 42, w / 2) log odds of letters; about 186,000 weights.

    Each letter is judged with some three letters on either side in view.
    """
    from torch import nn

    def conv(into: int, out: int, size: tuple[int, int], dilation: int = 1) -> list[nn.Module]:
        pad = size[0] // 2, dilation * (size[1] // 2)
        layer = nn.Conv2d(into, out, size, padding=pad, dilation=(1, dilation), bias=False)
        return [layer, nn.BatchNorm2d(out), nn.ReLU()]

    return nn.Sequential(
        nn.Conv2d(1, 32, 5, stride=2, padding=2, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        *conv(32, 48, (3, 3)),
        nn.MaxPool2d((2, 1)),
        *conv(48, 64, (3, 3)),
        nn.MaxPool2d((2, 1)),
        nn.Conv2d(64, 96, (3, 3), padding=(0, 1), bias=False),
        nn.BatchNorm2d(96),
        nn.ReLU(),
        *conv(96, 96, (1, 3)),
        *conv(96, 96, (1, 3), 2),
        *conv(96, 96, (1, 3), 4),
        nn.Conv2d(96, len(SYMBOLS) + 1, (1, 1)),
        nn.Flatten(1, 2),
    )


TRACE = Shipped("trace", lambda: u_net(3, len(CHANNELS)), (1, 3, 64, 64), (0, 2, 3))
ROWS = Shipped("rows", lambda: u_net(LOOKS + MARKS, 1), (1, LOOKS + MARKS, STRIP_PX, 64), (0, 3))
FINDER_OF_NAMES = Shipped("places", places_net, (1, 3, 64, 64), (0, 2, 3), (OF_NAMES, OF_UNITS))
READER_OF_NAMES = Shipped("names", names_net, (1, 1, *WINDOW), (0,), (slice(0, len(NAMES) + 1),))
READER_OF_PRINT = Shipped(
    "printed", printed_net, (1, 1, LINE_PX, 64), (0, 3), (slice(0, len(SYMBOLS) + 1),)
)
"""Those that ship. That of rows answers for one row: (n, 9, 256, W) of `row_network.strip_of`."""


def _probable(net: nn.Module, softmax: tuple[slice, ...], temperature: float) -> nn.Module:
    """The network, answering in probabilities instead of log odds, which are divided by the
    temperature first; what is no log odds, such as the sides of boxes, stays as it is."""
    import torch
    from torch import nn

    class Probable(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, seen: Tensor) -> Tensor:
            answer: Tensor = self.net(seen)
            if not softmax:
                return (answer / temperature).sigmoid()
            parts, at = [], 0
            for odds in softmax:
                if odds.start > at:
                    parts.append(answer[:, at : odds.start])
                parts.append((answer[:, odds] / temperature).softmax(dim=1))
                at = odds.stop
            return torch.cat([*parts, answer[:, at:]], dim=1)

    return Probable().eval()


def main() -> None:
    """Write the package's files anew from the kept weights."""
    for network in (TRACE, ROWS, FINDER_OF_NAMES, READER_OF_NAMES, READER_OF_PRINT):
        card = json.loads((SHIPPED / f"{network.name}.json").read_text())
        network.ship(network.trained(), card, SHIPPED)
        print(SHIPPED / f"{network.name}.onnx")


if __name__ == "__main__":
    main()
