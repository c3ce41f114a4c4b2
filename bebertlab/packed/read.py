"""Packed models are read: every byte is checked before it is used, since a file may come from anywhere.

Memory and time are bounded by the size of the files: nothing is allocated by what a file says of itself.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from bebertlab.accounting.size import branch_sites
from bebertlab.data.tokenizer import (
    TOKENIZER_FILES,
    ModelTokenizer,
    check_segments,
    check_vocabulary,
    has_tokenizer,
    read_tokenizer,
)
from bebertlab.data.tokenizer_file import TOKENIZER_FILE, panics_as_errors
from bebertlab.errors import SetupError, UserError
from bebertlab.files import parse_object
from bebertlab.formats import PACKED_MODEL
from bebertlab.interfaces.architecture import Architecture, QuantSpec
from bebertlab.interfaces.ensemble import MergerOptions
from bebertlab.interfaces.stage import Codec
from bebertlab.model.bert import MetaStates
from bebertlab.model.classes import check_problem, class_names
from bebertlab.model.folder import CONFIGURATION, TENSORS
from bebertlab.model.huggingface import PACKED_MODEL_TYPE
from bebertlab.packed.container import Array, read_contained, read_container
from bebertlab.packed.contract import (
    OFFSET,
    PLANES,
    SECTION,
    SHARED,
    STEP,
    Cascade,
    MemberConfig,
    PackedConfig,
    PackedContents,
    Score,
    WeightCodes,
    member_prefix,
    metadata_problem,
    vocabulary_hash,
)
from bebertlab.packed.expected import check_stored
from bebertlab.packed.messages import named, shown
from bebertlab.packed.tensors import StoredTensors, stored_parts
from bebertlab.packed.weight import PackedWeight

LARGEST_CONFIG = 2**24  #: bytes of config.json
LARGEST_TOKENIZER = 2**28  #: bytes of a file of a tokenizer


@frozen(kw_only=True, eq=False)
class PackedMember:
    """A packed model: the only one, or a member of an ensemble."""

    architecture: Architecture
    spec: QuantSpec
    weight: float  #: in the ensemble
    matrices: Mapping[str, PackedWeight]  #: by the prefix of the tensors of the branch, with its last dot
    tensors: Mapping[str, Array]  #: everything else, by its name in `BertClassifier`


@frozen(kw_only=True, eq=False)
class PackedFile:
    """What is in the folder of a packed model; arrays are views of the bytes that were read."""

    folder: Path
    members: tuple[PackedMember, ...]
    rule: MergerOptions | None  #: how the members of an ensemble are merged; None for a single model
    tokenizer: ModelTokenizer
    classes: tuple[str, ...]  #: names of the outputs; empty for a regression
    task: str | None
    score: Score | None  #: of the model that was packed
    cascade: Cascade | None  #: how members may be asked one after the other
    plugins: Mapping[str, str]  #: versions of the plugins that it was packed with
    producer: str
    full_precision: Mapping[str, str]  #: names of matrices that are not packed, and why
    parts: Mapping[str, int]  #: bytes of tensors by part, named as in `ModelSize`
    file_bytes: int  #: of the file of tensors
    contents: PackedContents  #: as they are in the files

    @property
    def header(self) -> int:
        """Bytes of the file of tensors that are not of tensors."""
        return self.file_bytes - sum(self.parts.values())


def read_packed(folder: Path, codec: Codec) -> PackedFile:
    """Read the folder of a packed model, whoever wrote it.

    Raises:
        SetupError: the folder or a file is missing or cannot be read; or a plugin is.
        UserError: a file is damaged, of another model, of another format, or leads out of the folder; names the file
            and the tensor.
    """
    config = _read_config(folder)
    section = config[SECTION]
    container = read_container(folder / TENSORS, folder)
    _check_format(container.metadata, folder / TENSORS)
    with named(folder / TENSORS):
        if problem := metadata_problem(container.metadata, section, container.tensors):
            raise UserError(problem)
    with named(folder / CONFIGURATION, SECTION):
        packed = PackedConfig.of(section, codec)
        _check_ensemble(packed)
    with named(folder / CONFIGURATION):
        outputs = packed.members[0].architecture.classes
        check_problem(config, outputs)
        classes = class_names(config, outputs) or ()
    with named(folder / TENSORS):
        members = _members(packed, container.tensors)
    return PackedFile(
        folder=folder,
        members=members,
        rule=packed.rule,
        tokenizer=_read_tokenizer(folder, packed),
        classes=classes,
        task=packed.task,
        score=packed.score,
        cascade=packed.cascade,
        plugins=packed.plugins,
        producer=packed.producer,
        full_precision=packed.full_precision,
        parts=stored_parts(
            StoredTensors(arrays=container.tensors),
            [branch_sites(member.architecture, member.spec) for member in members],
        ),
        file_bytes=container.size,
        contents=PackedContents(config=packed, section=section, arrays=container.tensors),
    )


def _read_config(folder: Path) -> dict[str, Any]:
    """config.json of a packed model, with a section of the known format."""
    path = folder / CONFIGURATION
    if not folder.is_dir():
        raise SetupError(f"{folder}: no such folder")
    config = parse_object(read_contained(path, folder, LARGEST_CONFIG).tobytes(), path)
    with named(path):
        if (kind := config.get("model_type")) != PACKED_MODEL_TYPE:
            raise UserError(f"model_type is {shown(kind)}, expected '{PACKED_MODEL_TYPE}', that of a packed model")
        section = config.get(SECTION)
        if not isinstance(section, dict):
            raise UserError(f"{SECTION} is {shown(section)}, expected an object")
    PACKED_MODEL.check(section.get("format_version"), path)
    return config


def _check_format(metadata: Mapping[str, str], path: Path) -> None:
    text, known = metadata.get("format_version"), str(PACKED_MODEL.number)
    PACKED_MODEL.check(PACKED_MODEL.number if text == known else text and shown(text), path)


def _check_ensemble(config: PackedConfig) -> None:
    """Check that members can be merged, which tensors cannot show."""
    outputs = {member.architecture.classes for member in config.members}
    if len(outputs) > 1:
        raise UserError(f"members have {' and '.join(map(str, sorted(outputs)))} outputs, expected the same")
    if (config.rule is None) != (len(config.members) == 1):
        raise UserError(f"{len(config.members)} members {'without' if config.rule is None else 'with'} a rule")
    if not any(member.weight for member in config.members):
        raise UserError("no member has a weight above 0")
    if config.rule is not None:
        config.rule.build(min(outputs))
    if config.cascade is not None and (config.rule is None or len(config.cascade.shares) != len(config.members)):
        raise UserError(f"a cascade of {len(config.cascade.shares)} members, and {len(config.members)} members")


def _members(config: PackedConfig, tensors: Mapping[str, Array]) -> tuple[PackedMember, ...]:
    names = _names_by_member(tensors, len(config.members))
    if unknown := (config.codes.keys() | config.full_precision.keys()) - tensors.keys():
        raise UserError(f"{SECTION} of {CONFIGURATION} names {shown(min(unknown))}, which is no tensor of the file")
    members, states = [], MetaStates()
    for member, stored in zip(config.members, names, strict=True):
        arrays = {name: tensors[key] for name, key in stored.items()}
        codes = {name: config.codes[key] for name, key in stored.items() if key in config.codes}
        check_stored(member, arrays, codes, states)
        for name in codes:
            prefix = name.removesuffix(PLANES)
            for scale in (STEP, OFFSET):
                if stored.get(prefix + scale, key := stored[name].removesuffix(PLANES) + scale) != key:
                    raise UserError(f"{shown(key)} is not stored where its planes are, shared or of a member")
        members.append(_member(member, arrays, codes))
    return tuple(members)


def _names_by_member(names: Collection[str], count: int) -> list[dict[str, str]]:
    """For each member its tensors: ordinary names to those in the file."""
    if count == 1:
        return [{name: name for name in names}]
    members: list[dict[str, str]] = [{} for _ in range(count)]
    prefixes = {member_prefix(index): [members[index]] for index in range(count)} | {SHARED: members}
    for key in names:
        prefix = next((prefix for prefix in prefixes if key.startswith(prefix)), None)
        if prefix is None:
            raise UserError(f"{shown(key)} is of no member: its name begins with neither {SHARED} nor members.0. ...")
        for member in prefixes[prefix]:
            name = key.removeprefix(prefix)
            if name in member:
                raise UserError(f"{shown(name)} is there twice for a member, shared and of its own")
            member[name] = key
    return members


def _member(config: MemberConfig, arrays: Mapping[str, Array], codes: Mapping[str, WeightCodes]) -> PackedMember:
    matrices = {}
    for name, value in codes.items():
        prefix = name.removesuffix(PLANES)
        matrices[prefix] = PackedWeight(
            planes=arrays[name],
            step=arrays[f"{prefix}{STEP}"],
            offset=arrays.get(f"{prefix}{OFFSET}"),
            alphabet=value.alphabet(),
            columns=value.columns,
        )
    packed = {f"{prefix}{name}" for prefix in matrices for name in (PLANES, STEP, OFFSET)}
    return PackedMember(
        architecture=config.architecture,
        spec=config.design,
        weight=config.weight,
        matrices=matrices,
        tensors={name: array for name, array in arrays.items() if name not in packed},
    )


def _read_tokenizer(folder: Path, config: PackedConfig) -> ModelTokenizer:
    """The tokenizer in a folder, if it is that of the model."""
    if not has_tokenizer(folder):
        raise SetupError(f"{folder} has no {TOKENIZER_FILE}; copy that of the model into it")
    for name in TOKENIZER_FILES:
        if os.path.lexists(folder / name):
            read_contained(folder / name, folder, LARGEST_TOKENIZER)
    with named(folder), panics_as_errors(Path(TOKENIZER_FILE)):
        tokenizer = read_tokenizer(folder)
        for member in config.members:
            check_vocabulary(tokenizer, member.architecture)
            check_segments(tokenizer, member.architecture, pairs=False, model="the model")
        if vocabulary_hash(tokenizer) != config.vocabulary:
            raise UserError(f"{TOKENIZER_FILE} has another vocabulary than that which the model was packed with")
    return tokenizer
