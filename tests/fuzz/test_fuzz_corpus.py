"""What fuzzing found stays fixed; and seeds, randomly damaged, never escape untyped."""

from __future__ import annotations

import random

import pytest
from fuzz_inputs import CORPUS, TARGETS


@pytest.mark.parametrize("target", TARGETS)
def test_kept_findings(target: str) -> None:
    read, _ = TARGETS[target]
    for path in sorted((CORPUS / target).glob("*")):
        read(path.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_damaged_seeds(target: str) -> None:
    read, seeds = TARGETS[target]
    chance = random.Random(target)
    for seed in seeds()[:7]:
        read(seed)
        for _ in range(30):
            data = bytearray(seed)
            for _ in range(chance.randint(1, 4)):
                position = chance.randrange(len(data))
                data[position : position + chance.randint(0, 3)] = chance.randbytes(
                    chance.randint(0, 3)
                )
            read(bytes(data))
