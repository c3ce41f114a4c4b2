"""Names of the tensors of a model: how they are made, read, and freed from the prefixes of wrappers.

They are Hugging Face's (`bert.encoder.layer.0.attention.self.query.weight`). A quantized module has branches
(`...query.branches.0.weight`, `.bias`, `.weight_quantizer.*`, `.input_quantizer.*`); the quantizers inside attention
are `bert.encoder.layer.0.attention.self.quantizers.<site>.*`. Other modules take these names from here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeVar

from attrs import frozen

from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import ATTENTION_SITES, Site

T = TypeVar("T")

BODY = "bert"  #: the module of everything but the classifier
WORD_EMBEDDINGS = f"{BODY}.embeddings.word_embeddings"
POOLER = f"{BODY}.pooler.dense"
CLASSIFIER_WEIGHT, CLASSIFIER_BIAS = "classifier.weight", "classifier.bias"
#: paths in a layer of the linear maps whose weights can be quantized, in the order of the forward pass
LINEAR_PATHS = {
    "attention.self.query": Site.QUERY,
    "attention.self.key": Site.KEY,
    "attention.self.value": Site.VALUE,
    "attention.output.dense": Site.ATTENTION_OUTPUT,
    "intermediate.dense": Site.FFN_UP,
    "output.dense": Site.FFN_DOWN,
}
#: of these, the maps that have a row for each element of a head or neuron, and those that have a column
HEAD_ROWS, HEAD_COLUMNS = (
    ("attention.self.query", "attention.self.key", "attention.self.value"),
    "attention.output.dense",
)
NEURON_ROWS, NEURON_COLUMNS = "intermediate.dense", "output.dense"
WEIGHT_QUANTIZER = "weight_quantizer"
INPUT_QUANTIZER = "input_quantizer"

_BODY_PARTS = ("embeddings.", "encoder.", "pooler.")
_LAYER = re.compile(rf"{BODY}\.encoder\.layer\.(\d+)(?=\.)")
_BRANCH = re.compile(rf"(.*)\.branches\.(\d+)(?:\.({WEIGHT_QUANTIZER}|{INPUT_QUANTIZER}))?\.(.+)")
_ATTENTION = re.compile(rf"(.*)\.quantizers\.({'|'.join(ATTENTION_SITES)})\.(.+)")
#: matrices and LayerNorm scales, which no training makes zero; gamma is an old name of the latter
_NEVER_ZERO = re.compile(r".*(LayerNorm\.(weight|gamma)|(dense|query|key|value|word_embeddings)\.weight)")
_OLD_NAMES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}


def layer_path(index: int) -> str:
    """Module path of a layer.

    >>> layer_path(3)
    'bert.encoder.layer.3'
    """
    return f"{BODY}.encoder.layer.{index}"


def layer_of(name: str) -> int | None:
    """The index of the layer that a tensor is in, None where it is in no layer.

    >>> layer_of("bert.encoder.layer.11.output.dense.bias"), layer_of("bert.pooler.dense.bias")
    (11, None)
    """
    match = _LAYER.match(name)
    return None if match is None else int(match[1])


def renumber_layer(name: str, number: Callable[[int], int]) -> str:
    """The name of the tensor in another layer, `number(index)`; one that is in no layer keeps its name.

    >>> renumber_layer("bert.encoder.layer.1.output.dense.bias", lambda index: 2 * index)
    'bert.encoder.layer.2.output.dense.bias'
    """
    index = layer_of(name)
    return name if index is None else layer_path(number(index)) + name.removeprefix(layer_path(index))


def branch_prefix(path: str, branch: int, count: int) -> str:
    """The prefix of the tensors of a branch; `count` as from `branch_counts`.

    >>> branch_prefix("bert.pooler.dense", 1, 2), branch_prefix("bert.pooler.dense", 0, 0)
    ('bert.pooler.dense.branches.1.', 'bert.pooler.dense.')
    """
    return f"{path}.branches.{branch}." if count else f"{path}."


def attention_quantizer_prefix(layer: int, site: Site) -> str:
    """The prefix of the tensors of a quantizer inside attention.

    >>> attention_quantizer_prefix(0, Site.ATTENTION_KEY)
    'bert.encoder.layer.0.attention.self.quantizers.attention_key.'
    """
    return f"{layer_path(layer)}.attention.self.quantizers.{site}."


@frozen
class QuantizedName:
    """The parts of the name of a tensor in a quantized module, or in a quantizer inside attention."""

    module: str  #: path of the quantized module, or of the attention
    tensor: str  #: name in the branch or quantizer
    branch: int | None = None  #: None inside attention
    quantizer: str | None = None  #: WEIGHT_QUANTIZER, INPUT_QUANTIZER, a site inside attention; None: of the branch


def parse_quantized_name(name: str) -> QuantizedName | None:
    """The parts of a name; None where the tensor is in no quantized module and no quantizer.

    >>> parse_quantized_name("bert.pooler.dense.branches.1.input_quantizer.step")
    QuantizedName(module='bert.pooler.dense', tensor='step', branch=1, quantizer='input_quantizer')
    """
    if match := _ATTENTION.fullmatch(name):
        return QuantizedName(match[1], match[3], quantizer=match[2])
    if match := _BRANCH.fullmatch(name):
        return QuantizedName(match[1], match[4], branch=int(match[2]), quantizer=match[3])
    return None


def is_bias(name: str) -> bool:
    """Whether a tensor is a bias, that of a LayerNorm included."""
    return name.endswith(".bias")


def is_norm_scale(name: str) -> bool:
    """Whether a tensor is the scale of a LayerNorm."""
    return name.endswith("LayerNorm.weight")


def is_word_embedding(name: str) -> bool:
    """Whether a tensor is a table of word embeddings, also one of a branch."""
    return name.startswith(f"{WORD_EMBEDDINGS}.") and name.endswith(".weight")


def is_position_embedding(name: str) -> bool:
    """Whether a tensor is the table of positions or that of segments."""
    return name.endswith(("position_embeddings.weight", "token_type_embeddings.weight"))


def is_of_classifier(name: str) -> bool:
    """Whether a tensor belongs to the classifier."""
    return name in (CLASSIFIER_WEIGHT, CLASSIFIER_BIAS)


def is_of_body(name: str) -> bool:
    """Whether a tensor belongs to the encoder, its embeddings or its pooler."""
    return name.startswith(f"{BODY}.")


def is_never_zero(name: str) -> bool:
    """Whether a tensor is one that no training makes zero as a whole."""
    return _NEVER_ZERO.fullmatch(name) is not None


def modern_name(name: str) -> str:
    """The name of a tensor today: gamma and beta are weight and bias, the parts of a bare encoder begin with `bert.`.

    >>> modern_name("embeddings.LayerNorm.gamma")
    'bert.embeddings.LayerNorm.weight'
    """
    for old, new in _OLD_NAMES.items():
        if name.endswith(old):
            name = name.removesuffix(old) + new
    return f"{BODY}.{name}" if name.startswith(_BODY_PARTS) else name


def layers_of(names: Iterable[str]) -> set[int]:
    """The indices of the layers that tensors are in."""
    return {index for name in names if (index := layer_of(name)) is not None}


#: inserted anywhere in a name by DataParallel and DDP, torch.compile, FSDP, DeepSpeed, checkpointing
_INSERTED = {
    "module",
    "_orig_mod",
    "_fsdp_wrapped_module",
    "_fpw_module",
    "_forward_module",
    "_checkpoint_wrapped_module",
}
#: names of the only child in the module of a training script
_OUTER = {"model", "net", "network"}
_COUNTER = "n_averaged"  #: of torch's AveragedModel: the number of averaged models
_LISTED = 5


def unwrapped(tensors: Mapping[str, T]) -> dict[str, T]:
    """Tensors under their names without wrappers around the model or around modules in it.

    >>> list(unwrapped({"module.model._orig_mod.bert.pooler.dense.bias": 0, "module.model.classifier.bias": 1}))
    ['bert.pooler.dense.bias', 'classifier.bias']

    Raises:
        UserError: two tensors would have the same name.
    """
    names = {name: [part for part in name.split(".") if part not in _INSERTED] for name in tensors}
    names = {name: parts for name, parts in names.items() if parts[-1:] != [_COUNTER]}
    while _is_wrapped(names.values()):
        names = {name: parts[1:] for name, parts in names.items()}
    return renamed(tensors, {name: ".".join(parts) for name, parts in names.items()})


def renamed(tensors: Mapping[str, T], names: Mapping[str, str]) -> dict[str, T]:
    """The tensors in `names`, which maps old to new names, under their new ones.

    Raises:
        UserError: two tensors would have the same name.
    """
    before: dict[str, str] = {}
    for old, new in names.items():
        if new in before:
            raise UserError(f"{before[new]} and {old} are both called {new}; save only one of them")
        before[new] = old
    return {new: tensors[old] for new, old in before.items()}


def describe_names(names: Collection[str]) -> str:
    """Which names there are, for a message that says which one is missing.

    >>> describe_names(["student.bert.a", "student.classifier.b"])
    'all names begin with student.'
    >>> describe_names(["bert.a", "bert.b", "qa_outputs.bias"])
    'names begin with bert., qa_outputs.'
    """
    starts = sorted({f"{name.partition('.')[0]}." if "." in name else name for name in names})
    if not starts:
        return "there are no tensors"
    if len(starts) == 1:
        return f"all names begin with {starts[0]}"
    rest = len(starts) - _LISTED
    return f"names begin with {', '.join(starts[:_LISTED])}" + (f" and {rest} others" if rest > 0 else "")


def _is_wrapped(names: Collection[list[str]]) -> bool:
    first = {parts[0] for parts in names if len(parts) > 1}
    if len(first) != 1 or any(len(parts) == 1 for parts in names):
        return False
    # a script may call its classifier `bert`: then that name is twice in all names, or before the classifier's
    return first <= _OUTER or (first == {BODY} and any(parts[1] == BODY for parts in names))
