"""Packed models small enough for a test, and ways to damage their files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from attrs import evolve

from bebertlab.config.codec import OptionsCodec
from bebertlab.data.tokenizer import ModelTokenizer, read_tokenizer
from bebertlab.interfaces.architecture import QuantSpec
from bebertlab.interfaces.batch import Batch
from bebertlab.interfaces.scheme import SchemeOptions
from bebertlab.model.bert import BertClassifier
from bebertlab.model.folder import CONFIGURATION, TENSORS
from bebertlab.packed.container import Array, read_container, write_container
from bebertlab.packed.contract import SECTION, metadata
from bebertlab.packed.write import PRODUCER, PackSource, write_packed
from bebertlab.testing.tiny import tiny_model, tiny_task, tiny_tokenizer
from bebertlab_bebert.merging import WeightedProbabilityOptions

CLASSES = ("blame", "praise")
Damage = Callable[[dict[str, Array], dict[str, Any]], object]


def batch(*lengths: int, seed: int = 0) -> Batch:
    """Sentences of these lengths, padded to the longest one."""
    generator, longest = torch.Generator().manual_seed(seed), max(lengths)
    mask = torch.arange(longest)[None] < torch.tensor(lengths)[:, None]
    tokens = torch.randint(1, 23, mask.shape, generator=generator) * mask
    segments = torch.randint(0, 2, mask.shape, generator=generator) * mask
    index = torch.arange(len(lengths))
    return Batch(positions=index, tokens=tokens, segments=segments, mask=mask, labels=index % 2)


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> ModelTokenizer:
    return read_tokenizer(tiny_tokenizer(tmp_path_factory.mktemp("tokenizer")))


@pytest.fixture(scope="session")
def scheme_spec(codec: OptionsCodec) -> Callable[..., QuantSpec]:
    """The specification of a shipped scheme."""

    def build(kind: str, **options: object) -> QuantSpec:
        return codec.load({"kind": kind, **options}, SchemeOptions).spec()  # type: ignore[type-abstract]

    return build


@pytest.fixture(scope="session")
def bibert(scheme_spec: Callable[..., QuantSpec]) -> BertClassifier:
    return tiny_model(tiny_task(), scheme_spec("bibert")).eval()


@pytest.fixture(scope="session")
def pack_into(tokenizer: ModelTokenizer, codec: OptionsCodec) -> Callable[..., Path]:
    """Packs models into a folder and returns it; members weigh 1, 2, ..."""

    def write(folder: Path, *models: BertClassifier, **fields: Any) -> Path:  # noqa: ANN401 - of the source
        source = PackSource(models=models, tokenizer=tokenizer, classes=CLASSES)
        if len(models) > 1:
            weights = [1.0 + index for index in range(len(models))]
            source = evolve(source, weights=weights, rule=WeightedProbabilityOptions())
        write_packed(evolve(source, **fields), folder, codec)
        return folder

    return write


@pytest.fixture
def pack(pack_into: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """Packs models into a folder of the test and returns it."""
    return lambda *models, name="packed", **fields: pack_into(tmp_path / name, *models, **fields)


@pytest.fixture(scope="session")
def templates(
    pack_into: Callable[..., Path],
    bibert: BertClassifier,
    scheme_spec: Callable[..., QuantSpec],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A packed BiBERT and two of different weights as an ensemble, to be copied."""
    folder = tmp_path_factory.mktemp("templates")
    pack_into(folder / "packed", bibert)
    pack_into(folder / "ensemble", bibert, tiny_model(tiny_task(), scheme_spec("bibert"), seed=1))
    return folder


@pytest.fixture
def packed(templates: Path, tmp_path: Path) -> Path:
    """The folder of a packed BiBERT."""
    return Path(shutil.copytree(templates / "packed", tmp_path / "packed"))


@pytest.fixture
def ensemble(templates: Path, tmp_path: Path) -> Path:
    """The folder of two packed BiBERTs of different weights."""
    return Path(shutil.copytree(templates / "ensemble", tmp_path / "ensemble"))


def rewrite(folder: Path, damage: Damage) -> None:
    """Change tensors and the section of config.json, and make all hashes agree with them."""
    container = read_container(folder / TENSORS, folder)
    config = json.loads((folder / CONFIGURATION).read_text(encoding="utf-8"))
    tensors = {name: array.copy() for name, array in container.tensors.items()}
    damage(tensors, config[SECTION])
    write_container(tensors, metadata(config[SECTION], tensors, PRODUCER), folder / TENSORS)
    (folder / CONFIGURATION).write_text(json.dumps(config), encoding="utf-8")


def write_raw(header: Mapping[str, Any] | bytes, data: bytes, path: Path) -> None:
    """A safetensors file with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def set_config(folder: Path, **fields: object) -> None:
    """Set fields of config.json outside of the section."""
    path = folder / CONFIGURATION
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **fields}), encoding="utf-8")
