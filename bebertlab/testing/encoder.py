"""Kits for where full-precision and published models come from: encoders and importers."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from attrs import evolve
from torch import Tensor

from bebertlab.data.examples import load_examples
from bebertlab.data.tokenizer import ModelTokenizer, read_tokenizer
from bebertlab.errors import UserError
from bebertlab.inference.predict import predict
from bebertlab.interfaces.architecture import Architecture, Checkpoint, QuantSpec
from bebertlab.interfaces.batch import Batch
from bebertlab.interfaces.encoder import EncoderOptions
from bebertlab.interfaces.importer import ImporterOptions
from bebertlab.interfaces.task import TRAIN, Task
from bebertlab.model.bert import BertClassifier
from bebertlab.testing.contract import ContractError, call, require
from bebertlab.testing.tiny import tiny_task

_CLASSIFIER = "classifier.weight"


def check_encoder(options: EncoderOptions) -> None:
    """Check an encoder on texts of the tiny task; one line in a plugin's tests.

    The digest is a string and the tokenizer the same each time; the saved tokenizer can be read back, and no id is
    beyond its length. The checkpoint is a full-precision model in float32 with finite tensors, an embedding for every
    token and position, and the number of outputs asked for; it is a function of its arguments: the seed decides the
    classifier, torch's global generator is neither read nor changed. The model reads texts of any length. `plan` gives
    the sizes of the checkpoint or None, and allows pairs of texts only if there is an embedding for their segments.

    Raises:
        ContractError: an AssertionError that says what does not hold.
    """
    try:
        maximum = options.maximum_tokens
        require(isinstance(maximum, int) and maximum >= 3, f"maximum_tokens is {maximum!r}, expected an integer >= 3")
        digest = options.digest()
        require(isinstance(digest, str), f"digest() returns {type(digest).__name__}, not a string")
        require(digest == options.digest(), "digest() returns something else when it is called again")
        with tempfile.TemporaryDirectory() as folder:
            tokenizer = _check_tokenizer(options, Path(folder))
            checkpoint = _check_checkpoint(options, len(tokenizer))
            _check_texts(options, checkpoint, Path(folder) / "first")
            _check_plan(options, checkpoint.architecture, tokenizer)
    except (ContractError, UserError) as error:
        message = "; ".join(str(error).splitlines())
        raise ContractError(f"encoder '{options.kind}': {message}") from error


def _check_tokenizer(options: EncoderOptions, folder: Path) -> ModelTokenizer:
    texts = tiny_task().splits[TRAIN].texts
    saved = []
    for name in ("first", "again"):
        (folder / name).mkdir()
        tokenizer = options.tokenizer(iter(texts))
        tokenizer.save_pretrained(folder / name)
        saved.append(read_tokenizer(folder / name))
        rows = len(saved[-1])
        require(len(tokenizer) >= rows, f"the tokenizer has length {len(tokenizer)}, but ids up to {rows - 1}")
    first, again = saved
    require(first.parts == again.parts, "the same texts give another tokenizer when it is called again")
    return first


def _check_checkpoint(options: EncoderOptions, vocabulary: int) -> Checkpoint:
    state = torch.get_rng_state()
    checkpoint = options.checkpoint(vocabulary, 2, 0)
    require(torch.equal(torch.get_rng_state(), state), "checkpoint() changes the state of torch's global generator")
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(1)
        again, other = options.checkpoint(vocabulary, 2, 0), options.checkpoint(vocabulary, 2, 1)
    require(checkpoint.spec == QuantSpec(), "the checkpoint is quantized; an encoder is in full precision")
    sizes = checkpoint.architecture
    require(sizes.vocabulary >= vocabulary, f"{vocabulary} tokens, but {sizes.vocabulary} rows of the word embedding")
    maximum = options.maximum_tokens
    require(sizes.positions >= maximum, f"maximum_tokens is {maximum}, but there are {sizes.positions} positions")
    for outputs in (1, 2):
        classes = options.checkpoint(vocabulary, outputs, 0).architecture.classes
        require(classes == outputs, f"the checkpoint has {classes} outputs, expected {outputs}")
    BertClassifier.from_checkpoint(checkpoint)
    for name, tensor in checkpoint.tensors.items():
        require(tensor.dtype == torch.float32, f"'{name}' is {tensor.dtype}, expected torch.float32")
        require(bool(tensor.isfinite().all()), f"'{name}' has NaN or infinite values")
        require(torch.equal(tensor, again.tensors[name]), f"the same seed gives another '{name}'")
    same = torch.equal(checkpoint.tensors[_CLASSIFIER], other.tensors[_CLASSIFIER])
    require(not same, "another seed gives the same classifier")
    return checkpoint


def _check_texts(options: EncoderOptions, checkpoint: Checkpoint, tokenizer: Path) -> None:
    task = tiny_task(examples=4)
    split = task.splits[TRAIN]
    texts = (" ".join(split.texts * options.maximum_tokens), *split.texts[1:])
    task = evolve(task, splits={**task.splits, TRAIN: evolve(split, texts=texts)})
    examples = load_examples(task, TRAIN, tokenizer, options.maximum_tokens)
    logits = predict(BertClassifier.from_checkpoint(checkpoint), examples)
    require(bool(logits.isfinite().all()), "the logits of some texts are NaN or infinite")


def _check_plan(options: EncoderOptions, sizes: Architecture, tokenizer: ModelTokenizer) -> None:
    planned = options.plan(tiny_task())
    same = planned is None or evolve(planned, vocabulary=sizes.vocabulary) == sizes
    require(same, f"plan() says {planned}, but the checkpoint has {sizes}")
    pairs: Task = tiny_task(pairs=True)
    try:
        planned = options.plan(pairs)
    except UserError:
        return
    needed = tokenizer.segments(pairs=True)
    fits = planned is None or planned.segments >= needed
    require(fits, f"plan() allows pairs of texts, which need {needed} segments; the model has {sizes.segments}")


#: sizes that config.json and the tensors both have, so that they can contradict each other
_SIZES = ("vocab_size", "hidden_size", "num_hidden_layers", "intermediate_size", "max_position_embeddings")


def check_importer(
    options: ImporterOptions,
    tensors: Mapping[str, Tensor],
    config: Mapping[str, Any],
    *,
    batch: Batch | None = None,
    logits: Tensor | None = None,
    tolerance: float = 1e-5,
) -> None:
    """Check an importer on a small checkpoint of its code: tensors by name, and its config.json.

    The checkpoint it returns makes a model, has finite tensors in single or integer precision, is the same each time
    and whatever the order of the tensors, and has float32 tensors for a checkpoint in half precision; the arguments
    stay unchanged. A tensor that is missing or has another shape, an empty config.json, or one with another size is
    refused with a `UserError` (unless the model does not use that tensor); nothing raises another exception. With
    `batch` and `logits` (B, C), the model computes the logits of the published code, to `tolerance`.

    Raises:
        ContractError: an AssertionError that says what does not hold.
    """
    try:
        checkpoint = _read(options, dict(tensors), dict(config))
        _check_imported(checkpoint)
        _check_arguments(options, tensors, config, checkpoint)
        _check_refusals(options, tensors, config, checkpoint)
        if batch is not None and logits is not None:
            with torch.no_grad():
                output = BertClassifier.from_checkpoint(checkpoint).eval()(batch).logits
            difference = float((output - logits).abs().max())
            require(difference <= tolerance, f"its logits differ from the published ones by {difference:.3g}")
    except (ContractError, UserError) as error:
        message = "; ".join(str(error).splitlines())
        raise ContractError(f"importer '{options.kind}': {message}") from error


def _read(options: ImporterOptions, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Checkpoint:
    checkpoint = call("read()", lambda: options.read(tensors, config))
    require(isinstance(checkpoint, Checkpoint), f"read() returns {type(checkpoint).__name__}, not a Checkpoint")
    return checkpoint


def _check_imported(checkpoint: Checkpoint) -> None:
    for name, tensor in checkpoint.tensors.items():
        if tensor.is_floating_point():
            require(tensor.dtype == torch.float32, f"'{name}' is {tensor.dtype}, expected torch.float32")
            require(bool(tensor.isfinite().all()), f"'{name}' has NaN or infinite values")
    BertClassifier.from_checkpoint(checkpoint)


def _check_arguments(
    options: ImporterOptions, tensors: Mapping[str, Tensor], config: Mapping[str, Any], checkpoint: Checkpoint
) -> None:
    arguments, settings = {name: tensor.clone() for name, tensor in tensors.items()}, dict(config)
    again = _read(options, arguments, settings)
    require(_same(checkpoint, again), "read() returns another checkpoint when it is called again")
    require(settings == config, "read() changes config")
    unchanged = list(arguments) == list(tensors) and all(map(torch.equal, arguments.values(), tensors.values()))
    require(unchanged, "read() changes the tensors it was given")
    reordered = _read(options, dict(reversed([*tensors.items()])), config)
    require(_same(checkpoint, reordered), "the checkpoint depends on the order of the tensors")
    half = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    _check_imported(_read(options, half, config))


def _check_refusals(
    options: ImporterOptions, tensors: Mapping[str, Tensor], config: Mapping[str, Any], checkpoint: Checkpoint
) -> None:
    for name in _one_of_each_kind(tensors):
        rest = {other: tensor for other, tensor in tensors.items() if other != name}
        _check_refused(options, rest, config, checkpoint, f"without '{name}'")
        resized = torch.cat([tensors[name], tensors[name]], dim=-1) if tensors[name].ndim else tensors[name].repeat(2)
        _check_refused(options, {**tensors, name: resized}, config, checkpoint, f"with another shape of '{name}'")
    for size in _SIZES:
        if isinstance(config.get(size), int):
            contradicting = {**config, size: config[size] + 1}
            _check_refused(options, tensors, contradicting, None, f"with another {size}")
    _check_refused(options, {}, config, None, "without any tensors")
    _check_refused(options, tensors, {}, None, "with an empty config.json")
    for setting in config:
        settings = {name: value for name, value in config.items() if name != setting}
        try:
            _read(options, tensors, settings)
        except UserError:
            continue


def _check_refused(
    options: ImporterOptions,
    tensors: Mapping[str, Tensor],
    config: Mapping[str, Any],
    unaffected: Checkpoint | None,
    what: str,
) -> None:
    """Such a checkpoint is refused, or gives the same model because what is wrong is not used."""
    try:
        checkpoint = _read(options, tensors, config)
    except UserError:
        return
    except ContractError as error:
        raise ContractError(f"{what}: {error}, expected a UserError") from error
    require(unaffected is not None and _same(checkpoint, unaffected), f"a checkpoint {what} is not refused")


def _one_of_each_kind(names: Mapping[str, Tensor]) -> Iterator[str]:
    """The first name of those that differ in numbers alone, such as the layer."""
    kinds: set[str] = set()
    for name in names:
        kind = re.sub(r"\d+", "0", name)
        if kind not in kinds:
            kinds.add(kind)
            yield name


def _same(one: Checkpoint, other: Checkpoint) -> bool:
    if (one.architecture, one.spec) != (other.architecture, other.spec) or one.tensors.keys() != other.tensors.keys():
        return False
    return all(torch.equal(tensor, other.tensors[name]) for name, tensor in one.tensors.items())
