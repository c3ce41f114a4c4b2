"""The classes of transformers for packed models. What is computed, read and written is `bebertlab.packed`'s."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from bebertlab.config.plugin_codec import plugin_codec
from bebertlab.errors import UserError
from bebertlab.hub.arguments import FLOAT, NAMES, check_attention, check_dtype, load_arguments
from bebertlab.hub.folder import packed_folder
from bebertlab.hub.inputs import as_batch
from bebertlab.model.classes import check_problem, class_names
from bebertlab.model.huggingface import PACKED_MODEL_TYPE
from bebertlab.packed.contract import SECTION
from bebertlab.packed.model import PackedModel
from bebertlab.packed.read import PackedFile, read_packed
from bebertlab.packed.write import packed_configuration, write_again

_TRAINING = "a packed model cannot be trained, since its weights are levels; train the model that it was packed from"
#: between the logarithms of shares of the first class and of the second one. A rule may decide between tied classes by
#: less, and pipelines compute in float32.
_MARGIN = 2.0**-20
#: fields of a configuration that may differ from the file's
_FREE = frozenset({"architectures", "dtype", "id2label", "label2id", "return_dict", "transformers_version"})


class PackedBertConfig(PreTrainedConfig):  # type: ignore[misc] # transformers has no types
    """The config.json of a packed model, with its section `bebertlab`."""

    model_type = PACKED_MODEL_TYPE


class PackedBertForSequenceClassification(PreTrainedModel):  # type: ignore[misc]
    """A packed model or ensemble as transformers loads, calls and saves it.

    The logits are those of `PackedModel` to the bit. Where an ensemble gives shares of classes that add up to 1, they
    are the logarithms of the shares, so that their softmax, which a pipeline computes, is the shares; the first class
    is at least 2**-20 above the second one, so that it stays the first one in float32. Those of an ensemble are in
    float64.

    It answers without gradients, in evaluation mode, in float32 and integers, on one device. Everything else that
    transformers can do with a model raises UserError.
    """

    config_class = PackedBertConfig
    base_model_prefix = "bert"
    main_input_name = "input_ids"

    def __init__(self, config: PackedBertConfig, file: PackedFile | None = None, device: str = "cpu") -> None:
        """A model of a file that was read; without one, as transformers initializes models at random, UserError."""
        if file is None:
            raise UserError("a packed model has no random weights; load one by from_pretrained")
        _check_config(config, file)
        super().__init__(config)
        self._file = file
        self._packed = PackedModel.of(file, device=device)
        self._device = torch.empty(0, device=device).device  # with its index, as tensors have it
        self.eval()
        self.post_init()

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike[str],
        *model_args: object,
        config: PackedBertConfig | None = None,
        plugins: Iterable[str | os.PathLike[str]] = (),
        **kwargs: Any,  # noqa: ANN401 - those of transformers
    ) -> Any:  # noqa: ANN401 - with `output_loading_info` a tuple
        """Read a packed model, whoever wrote it: every byte is checked before it is used.

        Args:
            pretrained_model_name_or_path: folder, or name of a repository on the hub
            model_args: none
            config: from `AutoConfig`; its names of the classes are used
            plugins: files of plugins with quantizers of the model; installed plugins are always loaded
            kwargs: other arguments of transformers, and fields of the configuration

        Raises:
            SetupError: there is no such folder, or a file is missing.
            UserError: a file is damaged, or an argument asks for what a packed model cannot do; names it.
        """
        if model_args:
            raise UserError(f"{model_args[0]!r} is an argument without a name, which packed models do not take")
        fields = {name: kwargs.pop(name) for name in kwargs.keys() - NAMES} if config is None else {}
        arguments = load_arguments(kwargs)
        folder = packed_folder(pretrained_model_name_or_path, arguments.hub)
        file = read_packed(folder, plugin_codec(plugins))
        if config is None:
            config, unused = PackedBertConfig.from_pretrained(folder, return_unused_kwargs=True, **fields)
            load_arguments(unused)
        elif not isinstance(config, PackedBertConfig):
            raise UserError(f"config is of type {type(config).__name__}; expected a PackedBertConfig, or leave it out")
        config = copy.deepcopy(config)
        config.name_or_path = os.fspath(pretrained_model_name_or_path)
        model = cls(config, file, arguments.device)
        return (model, _loading_info()) if arguments.loading_info else model

    @classmethod
    def of(cls, file: PackedFile, device: str = "cpu") -> Self:
        """The model of a packed folder that was read."""
        config = _config(file)
        config.name_or_path = os.fspath(file.folder)
        return cls(config, file, device)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> SequenceClassifierOutput | tuple[Tensor, ...]:
        """The logits (B, C) of tokens (B, T), and the loss if there are labels (B,).

        Raises:
            UserError: inputs are not those of the model, or inner values are asked for.
        """
        if output_attentions or output_hidden_states:
            raise UserError("packed models return logits only, without attentions and hidden states")
        batch = as_batch(input_ids, attention_mask, token_type_ids, self._packed.architecture, self._device)
        with torch.autocast(self._device.type, enabled=False):
            logits = self._packed.logits(batch)
            logits = (_logarithms(logits) if self._packed.probabilities else logits).to(self._device)
            loss = None if labels is None else _loss(logits, labels.to(self._device))
        outputs = SequenceClassifierOutput(loss=loss, logits=logits)
        return outputs if (self.config.return_dict if return_dict is None else return_dict) else outputs.to_tuple()

    def save_pretrained(
        self,
        save_directory: str | os.PathLike[str],
        is_main_process: bool = True,
        state_dict: Mapping[str, Tensor] | None = None,
        push_to_hub: bool = False,
        **kwargs: Any,  # noqa: ANN401 - those of transformers
    ) -> None:
        """Write the packed model with its tokenizer and model card; the file of tensors is that which was read.

        Args:
            save_directory: files of a model that is there are replaced, others are left as they are
            is_main_process: False: nothing is written
            state_dict: not supported
            push_to_hub: not supported; call `push_to_hub`
            kwargs: shards, tokens and others of transformers, without effect

        Raises:
            SetupError: the folder cannot be written.
            UserError: an argument asks for what a packed model cannot do, or the configuration was changed so that it
                is not that of the tensors.
        """
        if state_dict is not None or push_to_hub or kwargs.get("variant"):
            raise UserError("packed models are saved without state_dict, variant and push_to_hub; leave them out")
        _check_config(self.config, self._file)
        if is_main_process:
            names = _class_names(self.config, self._packed.architecture.classes)
            write_again(self._file.contents, names, self._file.tokenizer, Path(save_directory))

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self._device

    @property
    def dtype(self) -> torch.dtype:
        """That of the logits of a single model."""
        return FLOAT

    def train(self, mode: bool = True) -> Self:
        """Evaluation mode; training mode raises UserError."""
        if mode:
            raise UserError(_TRAINING)
        super().train(False)
        return self

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """No parameter requires gradients; True raises UserError."""
        if requires_grad:
            raise UserError(_TRAINING)
        return self

    def get_input_embeddings(self) -> nn.Module:
        """There is no table of embeddings to change: UserError."""
        raise UserError("the word embeddings of a packed model are packed; they are neither resized nor replaced")

    def set_input_embeddings(self, value: object) -> None:
        """As `get_input_embeddings`."""
        self.get_input_embeddings()

    def resize_token_embeddings(self, *args: object, **kwargs: object) -> nn.Module:
        """As `get_input_embeddings`."""
        return self.get_input_embeddings()

    def set_attn_implementation(self, attn_implementation: object, *args: object, **kwargs: object) -> None:
        """Only `eager`, which it has; others raise UserError."""
        check_attention(attn_implementation)

    def num_parameters(self, only_trainable: bool = False, exclude_embeddings: bool = False) -> int:
        """The numbers that the file stores, packed or not; none can be trained."""
        if only_trainable:
            return 0
        codes, arrays = self._file.contents.config.codes, self._file.contents.arrays
        return sum(
            len(array) * codes[name].columns if name in codes else array.size
            for name, array in arrays.items()
            if not (exclude_embeddings and "embeddings." in name)
        )

    def get_memory_footprint(self, return_buffers: bool = True) -> int:
        """Bytes of the stored tensors."""
        return sum(self._file.parts.values())

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Called by `to`, `half` and all others that move or convert a module."""
        tensor = fn(torch.empty((), dtype=FLOAT, device=self._device))
        check_dtype("dtype", tensor.dtype)
        if tensor.is_meta:
            raise UserError("a packed model cannot be on the device 'meta'")
        if tensor.device != self._device:
            self._packed = PackedModel.of(self._file, device=str(tensor.device))
            self._device = tensor.device
        return self

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        for name, array in self._file.contents.arrays.items():
            destination[prefix + name] = torch.from_numpy(array.copy())

    def _load_from_state_dict(self, *args: object) -> None:
        raise UserError("tensors are not loaded into a packed model; load another one by from_pretrained")


def _config(file: PackedFile) -> PackedBertConfig:
    """The configuration of a file, whatever its config.json says outside of the section."""
    fields = packed_configuration(file.contents.config, file.classes)
    return PackedBertConfig(**fields, **{SECTION: dict(file.contents.section)})


def _check_config(config: PackedBertConfig, file: PackedFile) -> None:
    """Check that a configuration is that of a file but for the names of its classes."""
    given, stored = config.to_dict(), _config(file).to_dict()
    check_dtype("dtype", config.dtype)
    check_attention(config._attn_implementation)
    if config.output_attentions or config.output_hidden_states:
        raise UserError("output_attentions or output_hidden_states is set; packed models return logits only")
    for name in sorted(stored.keys() & given.keys() - _FREE):
        if not name.startswith("_") and given[name] != stored[name]:
            raise UserError(
                f"{name} of the configuration is not that of the packed model in {file.folder}, and cannot be changed"
            )
    outputs = file.contents.config.members[0].architecture.classes
    check_problem(given, outputs)
    _class_names(config, outputs)


def _class_names(config: PackedBertConfig, outputs: int) -> tuple[str, ...]:
    """The names of the outputs, that of a regression included."""
    if config.num_labels != outputs:
        raise UserError(f"the configuration names {config.num_labels} classes; the model has {outputs}")
    if outputs == 1:
        return tuple(map(str, config.id2label.values()))
    return class_names({"id2label": config.id2label, "label2id": config.label2id}, outputs) or ()


def _logarithms(shares: Tensor) -> Tensor:
    """The logarithms of shares (B, C), in which no rounding to float32 makes a tie of the first class."""
    logits = shares.log()
    first = logits.argmax(dim=1, keepdim=True)
    second = logits.scatter(1, first, -torch.inf).amax(dim=1, keepdim=True)
    return logits.scatter(1, first, torch.maximum(logits.gather(1, first), second + _MARGIN))


def _loss(logits: Tensor, labels: Tensor) -> Tensor:
    if logits.shape[1] == 1:
        return nn.functional.mse_loss(logits[:, 0], labels.flatten().to(logits.dtype))
    return nn.functional.cross_entropy(logits, labels.flatten())


def _loading_info() -> dict[str, Any]:
    """What transformers returns where all tensors were those of the model, as the reader checks."""
    return {"missing_keys": set(), "unexpected_keys": set(), "mismatched_keys": set(), "error_msgs": []}
