"""A trained model that classifies texts: `bebertlab.load_model`."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from attrs import field, frozen
from torch import Tensor

from bebertlab.artifacts.merged import MERGED_FILE
from bebertlab.config.plugin_codec import plugin_codec
from bebertlab.data.examples import Examples
from bebertlab.data.tokenizer import ModelTokenizer, check_segments, check_vocabulary, has_tokenizer, read_tokenizer
from bebertlab.data.tokenizer_file import TOKENIZER_FILE
from bebertlab.data.tokens import Tokens, TruncatingTokenizer
from bebertlab.errors import SetupError, UserError
from bebertlab.files import read_json
from bebertlab.inference.cascade import ALL_MEMBERS, EnsembleAnswers, Vote, ask_members, cascade_margin, member_logits
from bebertlab.inference.predict import predict
from bebertlab.inference.prepare import InferenceModel, prepare
from bebertlab.interfaces.ensemble import MergerOptions
from bebertlab.interfaces.stage import Codec
from bebertlab.interfaces.task import Scores
from bebertlab.locations import expand_home
from bebertlab.model.classes import check_problem, class_names, listed
from bebertlab.model.folder import CONFIGURATION, DESCRIPTION
from bebertlab.model.folder import load_model as load_model_in
from bebertlab.packed.model import PackedModel
from bebertlab.packed.read import PackedFile, read_packed
from bebertlab.packed.source import read_source
from bebertlab.packed.write import is_packed, packed_sizes
from bebertlab.pipeline.plan import ComputeSettings
from bebertlab.store.ensembles import merged_folders
from bebertlab.store.store import Store
from bebertlab.store.why import input_keys
from bebertlab.text_input.record import text_problem

if TYPE_CHECKING:
    from bebertlab.hub.model import PackedBertForSequenceClassification


@frozen(kw_only=True, eq=False)
class TextClassifier:
    """A trained model with its tokenizer, as `load_model` reads it. Several threads may use it at the same time.

    `texts` is any iterable of str, such as a list or a column of a table. `pairs` has the second text of each pair, for
    a model that was trained on pairs; its folder does not say whether it was, so that without `pairs` the texts are
    classified alone. Batches need not be formed: inputs of similar length share one, and its size is limited.

    Inputs of more than `maximum_tokens` are truncated at their end, or at their start if the tokenizer says so (in a
    pair the longer text is truncated), and a UserWarning counts them.

    All methods raise UserError if they get a single str instead of several, an element that is not a str, or another
    number of pairs than of texts.
    """

    folder: Path  #: it was read from
    classes: tuple[str, ...]  #: names by output; LABEL_0, ... if config.json has none; empty for a regression
    maximum_tokens: int  #: longer inputs are truncated
    device: str  #: where it computes
    cascade: float | None = None  #: the margin below which the next member is asked; None: all members always are
    _members: tuple[InferenceModel, ...] = field(repr=False)  #: those of an ensemble, or a single model
    _vote: Vote | None = field(default=None, repr=False)  #: of an ensemble
    _file: PackedFile | None = field(default=None, repr=False)  #: that a packed model was read from
    _tokenizer: ModelTokenizer = field(repr=False)
    _truncating: TruncatingTokenizer = field(init=False, repr=False)

    @_truncating.default
    def _limited_tokenizer(self) -> TruncatingTokenizer:
        return TruncatingTokenizer(
            tokenizer=self._tokenizer.tokenizer,
            maximum_tokens=self.maximum_tokens,
            truncation_side=self._tokenizer.truncation_side,
        )

    @property
    def members(self) -> int:
        """The number of members of an ensemble; 1 for a single model."""
        return len(self._members)

    def predict(self, texts: Iterable[str], pairs: Iterable[str] | None = None) -> list[str] | list[float]:
        """The name of the most probable class of each text (the first in a tie); for a regression, its value."""
        logits = self._logits(texts, pairs)
        if not self.classes:
            values: list[float] = logits[:, 0].tolist()
            return values
        return [self.classes[index] for index in logits.argmax(axis=1)]

    def predict_proba(self, texts: Iterable[str], pairs: Iterable[str] | None = None) -> Scores:
        """The probabilities (N, C) of the classes, in the order of `classes`, of the type of the logits.

        They are the softmax of the logits, or the scores of an ensemble whose rule gives shares that add up to 1.

        Raises:
            UserError: the model is a regression.
        """
        self._check_classes()
        return self.probabilities(self._logits(texts, pairs))

    def logits(self, texts: Iterable[str], pairs: Iterable[str] | None = None) -> Scores:
        """The logits (N, C) of N texts, float32; for a regression, the values (N, 1).

        For an ensemble, the scores (N, C) in float64, as the rule that merges its members gives them.
        """
        return self._logits(texts, pairs)

    def tokenize(self, texts: Iterable[str], pairs: Iterable[str] | None = None) -> Tokens:
        """The tokens of texts for `logits_of`; counts the truncated ones instead of warning of them.

        Raises:
            UserError: the tokenizer cannot tokenize a text, or pairs need segments that the model does not have.
        """
        first, second = _listed("texts", texts), None if pairs is None else _listed("pairs", pairs)
        if second is not None:
            if len(first) != len(second):
                raise UserError(
                    f"there are {len(first)} texts and {len(second)} pairs; expected a second text for each"
                )
            check_segments(
                self._tokenizer, self._members[0].architecture, pairs=True, model=f"the model in {self.folder}"
            )
        try:
            return self._truncating.tokens(first, second)
        except Exception as error:  # the package raises no more specific class
            raise UserError(f"the tokenizer in {self.folder} cannot tokenize the texts: {error}") from error

    def logits_of(self, tokens: Tokens) -> Scores:
        """The logits (N, C) of the tokens of N texts, each of which has one or more."""
        return self.answers_of(tokens).scores

    def answers_of(self, tokens: Tokens) -> EnsembleAnswers:
        """The logits of the tokens of N texts, as `logits_of`, with the number of members that were asked."""
        if not len(tokens):
            dtype = np.float32 if self._vote is None else np.float64
            empty = np.zeros((0, self._members[0].architecture.classes), dtype=dtype)
            return EnsembleAnswers(scores=empty, members=np.zeros(0, dtype=np.int64))
        unlabelled = torch.zeros(len(tokens), dtype=torch.int64)
        examples = Examples(tokens=tokens, labels=unlabelled, padding=self._tokenizer.padding)
        if self._vote is None:
            logits = _array(predict(self._members[0], examples, device=self.device))
            return EnsembleAnswers(scores=logits, members=np.ones(len(tokens), dtype=np.int64))
        members = [member_logits(member, examples, self.device) for member in self._members]
        return ask_members(members, self._vote, len(tokens), ALL_MEMBERS if self.cascade is None else self.cascade)

    def probabilities(self, logits: Scores) -> Scores:
        """The probabilities (N, C) of logits (N, C) of this model, which is no regression."""
        self._check_classes()
        if self._vote is not None and self._vote.probabilities:
            return logits
        return _array(torch.from_numpy(logits).softmax(dim=1))

    def to_transformers(self) -> PackedBertForSequenceClassification:
        """A packed model as transformers loads it after `import bebertlab.hub`, on the same device.

        Raises:
            SetupError: transformers has another version than one of those that are supported.
            UserError: the model is not packed.
        """
        if self._file is None:
            raise UserError(
                f"the model in {self.folder} is not packed; pack it by `bebertlab model pack`. A full-precision one is"
                " loaded by transformers itself"
            )
        from bebertlab.hub.model import PackedBertForSequenceClassification

        return PackedBertForSequenceClassification.of(self._file, self.device)

    def _check_classes(self) -> None:
        if not self.classes:
            raise UserError(f"the model in {self.folder} is a regression, which has no classes; use predict or logits")

    def _logits(self, texts: Iterable[str], pairs: Iterable[str] | None) -> Scores:
        tokens = self.tokenize(texts, pairs)
        if not tokens.lengths.all():
            index = int(tokens.lengths.argmin())
            raise UserError(f"the tokenizer in {self.folder} gives no tokens for texts[{index}]")
        if tokens.truncated:
            message = f"{tokens.truncated} of {len(tokens)} inputs are truncated to {self.maximum_tokens} tokens"
            warnings.warn(message, stacklevel=3)  # at the call of the public method
        return self.logits_of(tokens)


def load_model(
    folder: str | os.PathLike[str],
    *,
    device: str = "cpu",
    cascade: bool | float = False,
    plugins: Iterable[str | os.PathLike[str]] = (),
) -> TextClassifier:
    """Read the model in a folder, ready to classify texts.

    It computes as stages do when they evaluate their models: weights are quantized once, and products of levels
    are exact. With the same machine and number of threads (`torch.set_num_threads`), the logits of a whole split equal
    those that the stage stored. With glibc, the process keeps the memory of a batch for the next ones.

    Args:
        folder: of a packed model or ensemble, of a stage with a model or one that merges members, of an imported
            checkpoint, or of a BertForSequenceClassification of Hugging Face with its tokenizer
        device: where it computes, e.g. `cuda`
        cascade: of an ensemble: ask the next member only for texts whose two largest probabilities, by the members
            before, differ by less than this margin; True: by the one that was packed with it; False: ask all members
        plugins: files of plugins with quantizers of the model; installed plugins are always loaded

    Raises:
        SetupError: the folder or a file in it is missing, or the device is not available.
        UserError: the folder is of a stage without a model; a file is damaged; a text may have several of the model's
            classes; two classes have the same name; a plugin cannot be loaded; a cascade is asked of a single model, a
            regression, a rule that counts votes, or with no margin.
    """
    return read_classifier(Path(expand_home(os.fspath(folder))), plugin_codec(plugins), device=device, cascade=cascade)


def read_classifier(
    folder: Path, codec: Codec, *, device: str = "cpu", cascade: bool | float = False
) -> TextClassifier:
    """As `load_model`, with the quantizers of the plugins of a codec.

    Raises:
        SetupError: as `load_model`.
        UserError: as `load_model`.
    """
    if not folder.is_dir():
        raise SetupError(f"{folder}: no such folder")
    ComputeSettings(device=device).check()
    if is_packed(folder):
        return _read_packed(folder, codec, device, cascade)
    if (folder / MERGED_FILE).is_file():
        return _read_merged(folder, codec, device, cascade)
    _margin(folder, None, 1, cascade)
    return _read_trained(folder, codec, device)


def _read_packed(folder: Path, codec: Codec, device: str, cascade: bool | float) -> TextClassifier:
    file = read_packed(folder, codec)
    chosen = None if file.cascade is None else file.cascade.margin
    margin = _margin(folder, file.rule, file.members[0].architecture.classes, cascade, chosen)
    model = PackedModel.of(file, device=device)
    return TextClassifier(
        folder=folder,
        classes=_output_names(file.classes, model.architecture.classes, folder / CONFIGURATION),
        maximum_tokens=file.tokenizer.longest_input(model.architecture),
        device=device,
        cascade=margin,
        members=model.members,
        vote=None
        if model.merger is None
        else Vote(merger=model.merger, weights=model.weights, probabilities=model.probabilities),
        file=file,
        tokenizer=file.tokenizer,
    )


def _read_merged(folder: Path, codec: Codec, device: str, cascade: bool | float) -> TextClassifier:
    """The trained models of the members that a stage merged, in the store that has its folder."""
    absolute = folder.absolute()
    store = Store(absolute.parent.parent)
    manifest = store.peek(absolute.name)
    if manifest is None:
        raise SetupError(f"{folder} is not in a store, which has the members that it lists; choose its original folder")
    source = merged_folders(store, manifest, codec)
    if source.rule is None:
        _margin(folder, None, 1, cascade)
        return _read_trained(source.folders[0], codec, device)
    models = read_source(source, codec)
    sizes = packed_sizes(models)
    margin = _margin(folder, source.rule, sizes.classes, cascade)
    return TextClassifier(
        folder=folder,
        classes=_output_names(models.classes, sizes.classes, source.folders[0] / CONFIGURATION),
        maximum_tokens=sizes.positions,
        device=device,
        cascade=margin,
        members=tuple(prepare(model.to(device)) for model in models.models),
        vote=Vote.of(source.rule, source.weights, sizes.classes),
        tokenizer=models.tokenizer,
    )


def _margin(
    folder: Path, rule: MergerOptions | None, classes: int, cascade: bool | float, chosen: float | None = None
) -> float | None:
    try:
        return cascade_margin(rule, classes, cascade, chosen)
    except UserError as error:
        raise UserError(f"{folder}: {error}") from error


def _read_trained(folder: Path, codec: Codec, device: str) -> TextClassifier:
    _check_folder(folder)
    model = prepare(load_model_in(folder, codec).to(device))
    sizes = model.architecture
    tokenizer = read_tokenizer(folder)
    check_vocabulary(tokenizer, sizes)
    check_segments(tokenizer, sizes, pairs=False, model=f"the model in {folder}")
    return TextClassifier(
        folder=folder,
        classes=_classes(folder, sizes.classes),
        maximum_tokens=tokenizer.longest_input(sizes),
        device=device,
        members=(model,),
        tokenizer=tokenizer,
    )


def _check_folder(folder: Path) -> None:
    if not any((folder / name).is_file() for name in (CONFIGURATION, DESCRIPTION)):
        raise _no_model(folder)
    if not has_tokenizer(folder):
        raise SetupError(f"{folder} has no {TOKENIZER_FILE}; copy that of the model into it")


def _no_model(folder: Path) -> UserError:
    """The error for a folder without a model; for a stage in the store it names the inputs, such as the members."""
    absolute = folder.absolute()
    store = Store(absolute.parent.parent)
    manifest = store.peek(absolute.name)
    if manifest is None:
        return SetupError(
            f"{folder} has no {CONFIGURATION}; expected the folder of a stage with a model, of an imported model, or of"
            " a BERT classifier of Hugging Face"
        )
    stages = [stage for key in input_keys(manifest) if (stage := store.peek(key)) is not None]
    inputs = [f"{stage.stage} ({store.folder(stage.key)})" for stage in stages]
    hint = f"; it reads {', '.join(inputs)}" if inputs else ""
    return UserError(f"{folder} is of stage '{manifest.stage}' (kind '{manifest.kind}'), which writes no model{hint}")


def _classes(folder: Path, outputs: int) -> tuple[str, ...]:
    path = folder / CONFIGURATION
    config = read_json(path)
    try:
        check_problem(config, outputs)
        names = class_names(config, outputs)
    except UserError as error:
        raise type(error)(f"{path}: {error}") from error
    return _output_names(names, outputs, path)


def _output_names(names: Sequence[str] | None, outputs: int, path: Path) -> tuple[str, ...]:
    """The names of the classes, none for a regression; without names LABEL_0, ..., as in transformers."""
    if outputs == 1:
        return ()
    if names and len(set(names)) < len(names):
        raise UserError(f"{path}: two classes have the same name: {listed(names)}")
    return tuple(names or (f"LABEL_{index}" for index in range(outputs)))


def _array(tensor: Tensor) -> Scores:
    array: Scores = tensor.numpy()
    return array


def _listed(name: str, texts: Iterable[Any]) -> list[str]:
    if isinstance(texts, str | bytes):
        raise UserError(f"{name} is one text; expected a list of texts, even for one")
    if not isinstance(texts, Iterable):
        raise UserError(f"{name} is of type {type(texts).__name__}; expected a list of texts")
    listed = list(texts)
    for index, text in enumerate(listed):
        if not isinstance(text, str):
            raise UserError(f"{name}[{index}] is of type {type(text).__name__}; expected a str")
        if (problem := text_problem(text)) is not None:
            raise UserError(f"{name}[{index}]: {problem}")
    return listed
