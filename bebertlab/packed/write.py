"""Packed models are written: a model, or the members of an ensemble, to a folder that appears when it is complete."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import evolve, field, frozen

from bebertlab import __version__
from bebertlab.accounting.size import branch_sites
from bebertlab.data.tokenizer import TOKENIZER_FILES, ModelTokenizer, check_vocabulary
from bebertlab.errors import SetupError, UserError
from bebertlab.files import read_json
from bebertlab.formats import PACKED_MODEL
from bebertlab.interfaces.architecture import Architecture
from bebertlab.interfaces.ensemble import MergerOptions
from bebertlab.interfaces.stage import Codec
from bebertlab.model.bert import BertClassifier
from bebertlab.model.folder import CONFIGURATION, TENSORS
from bebertlab.model.huggingface import PACKED_MODEL_TYPE, configuration
from bebertlab.packed.card import card_text
from bebertlab.packed.container import write_container
from bebertlab.packed.contract import (
    ARCHITECTURE,
    CARD,
    SECTION,
    Cascade,
    MemberConfig,
    PackedConfig,
    PackedContents,
    Score,
    metadata,
    vocabulary_hash,
)
from bebertlab.packed.tensors import StoredTensors, model_tensors, shared_tensors, stored_parts
from bebertlab.packed.tokenizer import write_tokenizer

PRODUCER = f"bebertlab {__version__}"
#: where transformers is to find the weights. Without the key, its BERT classes would find no weight that they know in
#: the file, draw all of them at random and only warn; with it they raise an error that shows this text.
NO_OTHER_LOADER = (
    "packed weights; import bebertlab.hub and load them by AutoModelForSequenceClassification.from_pretrained"
)


@frozen(kw_only=True, eq=False)
class PackSource:
    """What is packed: a model, or the members of an ensemble with their rule."""

    models: Sequence[BertClassifier] = field()  #: their outputs in the same order
    tokenizer: ModelTokenizer  #: of all of them
    weights: Sequence[float] = (1.0,)  #: of the members, in order
    rule: MergerOptions | None = None  #: how members are merged; None for a single model
    classes: Sequence[str] = ()  #: names of the outputs, if they are known
    task: str | None = None  #: that they were trained on
    score: Score | None = None  #: that they reached, together
    plugins: Mapping[str, str] = field(factory=dict)  #: versions of the plugins whose parts they have
    cascade: Cascade | None = None  #: of an ensemble, if one was chosen


@frozen(kw_only=True)
class PackReport:
    """What was written."""

    parts: Mapping[str, int]  #: bytes of tensors by part, named as in `ModelSize`
    header: int  #: bytes of the file of tensors that are not of tensors
    other: int  #: bytes of the other files: tokenizer, config.json, model card
    full_precision: Mapping[str, str]  #: matrices that are not packed, by their names in the file, and why
    positions: int  #: rows of position embeddings that were left out, since no input reaches them

    @property
    def file(self) -> int:
        """Bytes of the file of tensors."""
        return sum(self.parts.values()) + self.header


def write_packed(
    source: PackSource,
    folder: Path,
    codec: Codec,
    *,
    force: bool = False,
    check: Callable[[Path], object] | None = None,
) -> PackReport:
    """Write a packed model with its tokenizer and its model card, and return what takes how many bytes.

    The folder is written under another name and renamed, so that it is complete or not there. Rows of position
    embeddings beyond the longest input, as the tokenizer has it, are left out.

    Args:
        source: what is packed; its models are set to evaluation mode
        folder: to write to; it must not exist, or be empty
        codec: writes the options of quantizers and of the rule
        force: a packed model that is there already is replaced
        check: called with the folder before it is renamed; if it raises, nothing is left

    Raises:
        UserError: the folder is there already, or is something else than a packed model where `force` is set; members
            do not fit together; a tensor is not finite.
        SetupError: the folder cannot be written.
    """
    check_target(folder, force=force)
    sizes = packed_sizes(source)
    stored = shared_tensors([model_tensors(model.eval(), sizes.positions) for model in source.models])
    config = _config(source, stored, sizes.positions)
    contents = PackedContents(config=config, section=config.section(codec), arrays=stored.arrays)
    with write_errors(folder), renamed_folder(folder) as temporary:
        file_bytes = _write_files(contents, source.classes, source.tokenizer, temporary, folder.absolute().name)
        if check is not None:
            check(temporary)
        other = sum(path.stat().st_size for path in temporary.iterdir()) - file_bytes
    parts = stored_parts(stored, [branch_sites(model.architecture, model.spec) for model in source.models])
    return PackReport(
        parts=parts,
        header=file_bytes - sum(parts.values()),
        other=other,
        full_precision=stored.full_precision,
        positions=source.models[0].architecture.positions - sizes.positions,
    )


def write_again(contents: PackedContents, classes: Sequence[str], tokenizer: ModelTokenizer, folder: Path) -> None:
    """Write what was read from a packed model to a folder; its file of tensors is the same to the byte.

    As transformers does, files that are there already are replaced and others are left as they are, but those of
    another tokenizer are removed, since together they would be a third one.

    Args:
        contents: from `read_packed`
        classes: names of the outputs; empty: they are numbered, or it is a regression
        tokenizer: from `read_packed`
        folder: to write to; it is created if it is missing

    Raises:
        SetupError: the folder cannot be written.
        UserError: there are more or fewer classes than outputs.
    """
    name = folder.absolute().name
    with write_errors(folder), _temporary(folder) as temporary:
        _write_files(contents, classes, tokenizer, temporary, name)
        folder.mkdir(exist_ok=True)
        names = {path.name for path in temporary.iterdir()}
        for other in {*TOKENIZER_FILES} - names:
            (folder / other).unlink(missing_ok=True)
        for written in sorted(names):
            os.replace(temporary / written, folder / written)


def packed_configuration(config: PackedConfig, classes: Sequence[str]) -> dict[str, Any]:
    """config.json without the section, as transformers expects it; the sizes are those of the first member.

    Raises:
        UserError: there are more or fewer classes than outputs, and not none.
    """
    sizes = config.members[0].architecture
    problem = "regression" if sizes.classes == 1 else "single_label_classification"
    own = {"model_type": PACKED_MODEL_TYPE, "architectures": [ARCHITECTURE], "problem_type": problem}
    return configuration(sizes, classes) | own | {"transformers_weights": NO_OTHER_LOADER}


def check_target(folder: Path, *, force: bool) -> None:
    """Check that a packed model may be written to a folder.

    Raises:
        UserError: something is there that is not to be replaced.
    """
    if not os.path.lexists(folder):
        return
    if not folder.is_dir() or folder.is_symlink():
        raise UserError(f"{folder} is no folder; choose another one with --out")
    if not any(folder.iterdir()):
        return
    if not force:
        raise UserError(f"{folder} is not empty; choose a new folder with --out, or replace a packed model by --force")
    if not is_packed(folder):
        raise UserError(f"{folder} is not the folder of a packed model, so it is not replaced; choose another --out")


def is_packed(folder: Path) -> bool:
    """Whether a folder is that of a packed model, by its config.json."""
    path = folder / CONFIGURATION
    try:
        return path.is_file() and read_json(path).get("model_type") == PACKED_MODEL_TYPE
    except UserError:
        return False


def packed_sizes(source: PackSource) -> Architecture:
    """The sizes of the first model as they are stored, with as many positions as its longest input has.

    Raises:
        UserError: the members do not fit together, or not the tokenizer.
    """
    first = source.models[0].architecture
    if len(source.models) > 1 and source.rule is None:
        raise UserError(f"{len(source.models)} models are packed, and no rule merges them")
    for model in source.models:
        check_vocabulary(source.tokenizer, model.architecture)
        if model.architecture.classes != first.classes:
            raise UserError(f"members have {first.classes} and {model.architecture.classes} outputs")
        if model.architecture.positions < source.tokenizer.longest_input(first):
            raise UserError(
                f"members have {first.positions} and {model.architecture.positions} positions, so their longest inputs"
                " differ; only members with the same are packed together"
            )
    return evolve(first, positions=source.tokenizer.longest_input(first))


def _config(source: PackSource, stored: StoredTensors, positions: int) -> PackedConfig:
    members = tuple(
        MemberConfig(architecture=evolve(model.architecture, positions=positions), design=model.spec, weight=weight)
        for model, weight in zip(source.models, map(float, source.weights), strict=True)
    )
    return PackedConfig(
        format_version=PACKED_MODEL.number,
        producer=PRODUCER,
        members=members,
        rule=source.rule if len(members) > 1 else None,
        codes=stored.codes,
        vocabulary=vocabulary_hash(source.tokenizer),
        full_precision=stored.full_precision,
        task=source.task,
        score=source.score,
        plugins=source.plugins,
        cascade=source.cascade,
    )


def _write_files(
    contents: PackedContents, classes: Sequence[str], tokenizer: ModelTokenizer, folder: Path, name: str
) -> int:
    """Write all files to a folder, which will have a name, and return the bytes of the file of tensors."""
    config = contents.config
    header = metadata(contents.section, contents.arrays, config.producer)
    file_bytes = write_container(contents.arrays, header, folder / TENSORS)
    _write_json(packed_configuration(config, classes) | {SECTION: contents.section}, folder / CONFIGURATION)
    write_tokenizer(tokenizer, folder, config.members[0].architecture.positions)
    (folder / CARD).write_text(card_text(config, classes, file_bytes, name), encoding="utf-8")
    return file_bytes


def _write_json(data: Mapping[str, Any], path: Path) -> None:
    path.write_text(json.dumps(data, indent=2, sort_keys=True) + "\n", encoding="utf-8")


@contextmanager
def write_errors(folder: Path) -> Iterator[None]:
    """Within, an error of the system is a SetupError that names a folder."""
    try:
        yield
    except OSError as error:
        raise SetupError(f"{folder}: cannot be written: {error.strerror or error}") from error


@contextmanager
def renamed_folder(folder: Path) -> Iterator[Path]:
    """A new folder next to another one, whose place it takes in the end; removed if that is not reached."""
    with _temporary(folder) as temporary:
        yield temporary
        if folder.exists():
            previous = temporary.with_suffix(".old")
            os.replace(folder, previous)
            os.replace(temporary, folder)
            shutil.rmtree(previous)
        else:
            os.replace(temporary, folder)


@contextmanager
def _temporary(folder: Path) -> Iterator[Path]:
    """A new folder next to another one, removed in the end."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.parent / f".{folder.name}.{uuid.uuid4().hex[:8]}.part"
    temporary.mkdir()
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
