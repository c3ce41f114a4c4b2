"""Files that were damaged at random are refused in one line, or are read as what they are; nothing else happens.

`BEBERTLAB_MUTANTS=10000` tries that many.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from attrs import evolve

from bebertlab.config.codec import OptionsCodec
from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import QuantSpec
from bebertlab.interfaces.batch import Batch
from bebertlab.model.bert import BertClassifier
from bebertlab.model.folder import CONFIGURATION, TENSORS
from bebertlab.packed.contract import SECTION
from bebertlab.packed.model import PackedModel
from bebertlab.packed.read import read_packed
from bebertlab.testing.tiny import tiny_model, tiny_task
from tests.packed.conftest import rewrite, write_raw

MUTANTS = int(os.environ.get("BEBERTLAB_MUTANTS", "300"))
MEBIBYTE = 2**20
TOKENIZER = "tokenizer.json"
JUNK: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1,
    7,
    2**31,
    2**63,
    10**30,
    1.5,
    -0.0,
    1e308,
    float("nan"),
    "",
    "bibert",
    "\x00\n\x1b[2J",
    "x" * 5000,
    [],
    [[]],
    [1, 2, 3],
    {},
    {"kind": "sign"},
    {"kind": "elastic", "bits": 16},
    {"": None},
)
Mutation = Callable[[Path, random.Random], object]


def _flip(name: str, most: int = 4) -> Mutation:
    """Flips bits of a file, in half of the cases near its beginning, where headers are."""

    def mutate(folder: Path, chance: random.Random) -> None:
        content = bytearray((folder / name).read_bytes())
        end = len(content) if chance.random() < 0.5 else min(len(content), 300)
        for _ in range(chance.randint(1, most)):
            content[chance.randrange(end)] ^= 1 << chance.randrange(8)
        (folder / name).write_bytes(content)

    return mutate


def _cut(name: str) -> Mutation:
    """Truncates a file, or adds bytes to it, or takes some out."""

    def mutate(folder: Path, chance: random.Random) -> None:
        content = (folder / name).read_bytes()
        begin, end = sorted(chance.randrange(len(content) + 1) for _ in range(2))
        kinds = (content[:begin], content[:begin] + content[end:], content + content[begin:end])
        (folder / name).write_bytes(chance.choice(kinds))

    return mutate


def _replace(folder: Path, chance: random.Random) -> None:
    """Something else is where a file was."""
    path = folder / chance.choice((TENSORS, CONFIGURATION, TOKENIZER))
    path.unlink()
    kind = chance.randrange(6)
    if kind == 0:
        os.mkfifo(path)
    elif kind == 1:
        path.mkdir()
    elif kind == 2:
        path.symlink_to(chance.choice(("/etc/hostname", path.name, "..", "README.md")))
    elif kind == 3:
        path.write_bytes(chance.choice((b"[", b'{"a":')) * 50_000)
    elif kind == 4:
        path.write_bytes(chance.randbytes(chance.randrange(200)))


def _change_header(folder: Path, chance: random.Random) -> None:
    """A header says something else of a tensor than is there."""
    content = (folder / TENSORS).read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    name = chance.choice(sorted(header))
    entry = header[name]
    kind = chance.randrange(5)
    if kind == 0 or name == "__metadata__":
        _junk(header, chance)
    elif kind == 1:
        entry["shape"] = [chance.choice((0, 1, 2, 8, 2**40)) for _ in range(chance.randrange(4))]
    elif kind == 2:
        entry["data_offsets"] = [offset + chance.choice((-8, -1, 0, 1, 8, 2**40)) for offset in entry["data_offsets"]]
    elif kind == 3:
        entry["dtype"] = chance.choice(("F64", "F32", "I64", "U8", "I8", "BOOL", "BF16", "", 3))
    else:
        header[chance.choice(sorted(header))] = entry
    write_raw(header, content[8 + length :], folder / TENSORS)
    if chance.random() < 0.2:
        changed = bytearray((folder / TENSORS).read_bytes())
        changed[:8] = chance.choice((0, 1, length - 8, length + 8, 2**30, 2**63)).to_bytes(8, "little")
        (folder / TENSORS).write_bytes(changed)


def _change_tensor(folder: Path, chance: random.Random) -> None:
    """A tensor has other values, another type or shape, or is missing; all hashes agree."""

    def damage(tensors: dict[str, Any], _: object) -> None:
        name = chance.choice(sorted(tensors))
        array = tensors[name]
        kind = chance.randrange(6)
        if kind == 0:
            del tensors[name]
        elif kind == 1:
            tensors[chance.choice(sorted(tensors))] = array
        elif kind == 2:
            tensors[name] = array.astype(chance.choice(("f8", "f4", "i8", "u1", "i1", "?")))
        elif kind == 3 and array.ndim:
            tensors[name] = chance.choice((array[:-1], array[None], array.reshape(-1), array[..., :0]))
        elif kind == 4 and array.dtype == np.float32:
            array.reshape(-1)[chance.randrange(array.size)] = chance.choice((np.nan, np.inf, -1.0, -0.0, 1e38, 1e-45))
        else:
            content = array.reshape(-1).view(np.uint8)
            content[chance.randrange(content.size)] ^= 1 << chance.randrange(8)

    rewrite(folder, damage)


def _change_section(folder: Path, chance: random.Random) -> None:
    """The section of config.json says something else; all hashes agree."""
    rewrite(folder, lambda _, section: _junk(section, chance))


def _change_config(folder: Path, chance: random.Random) -> None:
    path = folder / chance.choice((CONFIGURATION, TOKENIZER))
    data = json.loads(path.read_text(encoding="utf-8"))
    if SECTION in data:
        section = data.pop(SECTION)
        _junk(data, chance)
        data[SECTION] = section
    else:
        _junk(data, chance)
    path.write_text(json.dumps(data), encoding="utf-8")


def _junk(data: Any, chance: random.Random) -> None:  # noqa: ANN401
    """Puts something else at a random place of plain data."""
    while True:
        keys: list[Any] = sorted(data) if isinstance(data, dict) else list(range(len(data)))
        if not keys:
            return
        key = chance.choice(keys)
        below = data[key]
        if isinstance(below, dict | list) and below and chance.random() < 0.85:
            data = below
            continue
        if isinstance(data, dict) and chance.random() < 0.2:
            del data[key]
        else:
            data[key] = chance.choice(JUNK)
        return


MUTATIONS: tuple[Mutation, ...] = (
    _flip(TENSORS),
    _flip(CONFIGURATION),
    _flip(TOKENIZER),
    _cut(TENSORS),
    _cut(CONFIGURATION),
    _cut(TOKENIZER),
    _replace,
    *(_change_header, _change_tensor, _change_section) * 3,
    _change_config,
)


@pytest.fixture(scope="module")
def originals(
    pack_into: Callable[..., Path], scheme_spec: Callable[..., QuantSpec], tmp_path_factory: pytest.TempPathFactory
) -> list[Path]:
    """A model with every kind of tensor, and an ensemble, each of one layer."""
    folder = tmp_path_factory.mktemp("originals")
    bit, ternary = (_one_layer(scheme_spec(kind), seed) for seed, kind in enumerate(("bit", "ternarybert")))
    return [pack_into(folder / "bit", bit), pack_into(folder / "ensemble", bit, ternary)]


def _one_layer(spec: QuantSpec, seed: int) -> BertClassifier:
    model = tiny_model(tiny_task(), spec, seed=seed, hidden=8)
    sizes = evolve(model.architecture, layers=1)
    tensors = {name: value for name, value in model.state_dict().items() if ".layer.1." not in name}
    small = BertClassifier(sizes, spec)
    small.load_state_dict(tensors)
    return small.eval()


def _answer(folder: Path, codec: OptionsCodec) -> bool:
    """Whether a folder is read; then it answers. Fails where an error is not one of users in one line."""
    try:
        model = PackedModel.of(read_packed(folder, codec))
        tokens = torch.tensor([[2, 6, 3], [2, 3, 0]])
        inputs = Batch(
            positions=torch.arange(2),
            tokens=tokens,
            segments=torch.zeros_like(tokens),
            mask=tokens > 0,
            labels=torch.zeros(2, dtype=torch.int64),
        )
        assert model.logits(inputs).shape == (2, 2)
    except UserError as error:
        text = str(error)
        assert text.isprintable(), repr(text)[:1000]
        assert len(text) < 1000, text[:1000]
        return False
    return True


def test_what_was_damaged_at_random_is_refused_or_read(
    originals: list[Path], codec: OptionsCodec, tmp_path: Path
) -> None:
    for original in originals:
        assert _answer(original, codec)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    read = 0
    for number in range(MUTANTS):
        chance = random.Random(number)
        folder = tmp_path / "mutant"
        shutil.copytree(chance.choice(originals), folder)
        chance.choice(MUTATIONS)(folder, chance)
        try:
            read += _answer(folder, codec)
        except BaseException as error:
            error.add_note(f"mutant {number}")
            raise
        shutil.rmtree(folder)
    # some changes are harmless, such as that of a bias or of a name; the others must be noticed
    assert 0 < read < MUTANTS / 2
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < 100 * MEBIBYTE + MUTANTS * 10_000
