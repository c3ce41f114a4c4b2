"""The BERT classifier. The names of its parameters are in `model/parameter_names.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bebertlab.interfaces.architecture import Architecture, Checkpoint, QuantSpec, Site
from bebertlab.interfaces.batch import Batch, Outputs, Tap
from bebertlab.interfaces.capabilities import ParameterGroup, parameter_groups
from bebertlab.interfaces.quantizer import SIGNS, Quantizer
from bebertlab.model.attention import SelfAttention, TapRecorder, additive_mask
from bebertlab.model.dropout import dropout, dropout_add
from bebertlab.model.embedding import Embedding
from bebertlab.model.linear import Linear
from bebertlab.model.module_factory import ModuleFactory
from bebertlab.model.parameter_names import POOLER, WORD_EMBEDDINGS, layer_path
from bebertlab.model.quantizer_errors import quantizer_errors
from bebertlab.model.tensors import check_tensors

_NO_TAPS: frozenset[Tap] = frozenset()


class Embeddings(nn.Module):
    """LayerNorm of the sum of word, segment and position embeddings.

    Shape: tokens (B, T), segments (B, T) -> (B, T, H).
    """

    def __init__(self, factory: ModuleFactory) -> None:
        super().__init__()
        sizes = factory.architecture
        self.dropout = sizes.dropout
        self.word_embeddings = factory.embedding(WORD_EMBEDDINGS, sizes.vocabulary, sizes.hidden)
        self.position_embeddings = Embedding(sizes.positions, sizes.hidden)
        self.token_type_embeddings = Embedding(sizes.segments, sizes.hidden)
        self.LayerNorm = nn.LayerNorm(sizes.hidden, eps=sizes.norm_epsilon)

    def forward(self, tokens: Tensor, segments: Tensor) -> Tensor:
        """The first hidden states."""
        places = self.position_embeddings.weight[: tokens.shape[1]]
        total = self.word_embeddings(tokens) + self.token_type_embeddings(segments) + places
        return dropout(self.LayerNorm(total), self.dropout, self.training)


class Encoder(nn.Module):
    """The layers, one after the other.

    Shape: (B, T, H) -> (B, T, H); (B, 1, H), the first token of each sentence, where no hidden states are kept.
    """

    def __init__(self, factory: ModuleFactory) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer(factory, layer_path(index)) for index in range(factory.architecture.layers))
        #: runs a layer in training, see `model/compiled.py`
        self.compiled: Callable[[nn.Module, Tensor, Tensor, TapRecorder], Tensor] | None = None

    def forward(self, hidden: Tensor, mask: Tensor, kept: TapRecorder) -> Tensor:
        """The last hidden states."""
        states = kept.get(Tap.HIDDEN)
        compiled = self.compiled if self.training else None
        layers: list[Layer] = [*self.layer]
        for layer in layers:
            if states is not None:
                states.append(hidden)
            if compiled is None:
                # the pooler reads the first token only
                first_token = states is None and layer is layers[-1]
                hidden = layer.first_token(hidden, mask, kept) if first_token else layer(hidden, mask, kept)
            else:
                hidden = compiled(layer, hidden, mask, kept)
        if states is not None:
            states.append(hidden)
        return hidden


class Pooler(nn.Module):
    """tanh(dense(h)) of the first token; branches are summed before tanh.

    Shape: (B, T, H) -> (B, H).
    """

    def __init__(self, factory: ModuleFactory) -> None:
        super().__init__()
        self.dense = factory.linear(POOLER, factory.architecture.hidden, factory.architecture.hidden)

    def forward(self, hidden: Tensor) -> Tensor:
        """The pooled vector."""
        return torch.tanh(self.dense(hidden[:, 0]))


class BertModel(nn.Module):
    """Everything below the classifier.

    Shape: tokens (B, T) -> (B, H).
    """

    def __init__(self, factory: ModuleFactory) -> None:
        super().__init__()
        self.embeddings = Embeddings(factory)
        self.encoder = Encoder(factory)
        self.pooler = Pooler(factory)

    def forward(self, batch: Batch, kept: TapRecorder) -> Tensor:
        """The pooled vectors."""
        hidden: Tensor = self.embeddings(batch.tokens, batch.segments)
        pooled: Tensor = self.pooler(self.encoder(hidden, additive_mask(batch.mask, hidden.dtype), kept))
        return pooled


class BertClassifier(nn.Module):
    """A BERT with a linear classifier on the pooled vector; one output for regression.

    Weights are zero and quantizers fresh until tensors are loaded (`from_checkpoint`).
    Shape: a batch of (B, T) tokens -> logits (B, C).
    Source: BERT, arXiv:1810.04805.
    Differs: attention width, feed-forward width and depth are free; masked scores get -10000.

    Raises:
        UserError: the design does not fit the architecture.
    """

    def __init__(self, architecture: Architecture, spec: QuantSpec) -> None:
        super().__init__()
        factory = ModuleFactory(architecture, spec)
        self.architecture = architecture
        self.spec = spec
        self.bert = BertModel(factory)
        self.classifier = Linear(architecture.hidden, architecture.classes)

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> BertClassifier:
        """The model of a checkpoint, with separate tensors.

        Raises:
            UserError: tensors are missing, unexpected or of another shape.
        """
        model = cls(checkpoint.architecture, checkpoint.spec)
        check_tensors(checkpoint.tensors, model.state_dict())
        model.load_state_dict(checkpoint.tensors)
        return model

    def checkpoint(self) -> Checkpoint:
        """The model as a value: copies in main memory, which further training does not change."""
        tensors = {name: tensor.detach().to("cpu", copy=True) for name, tensor in self.state_dict().items()}
        return Checkpoint(architecture=self.architecture, spec=self.spec, tensors=tensors)

    def forward(self, batch: Batch, taps: frozenset[Tap] = _NO_TAPS) -> Outputs:
        """Logits and the requested taps.

        Raises:
            UserError: a quantizer failed; names it and its path.
        """
        kept: dict[Tap, list[Tensor]] = {tap: [] for tap in taps}
        with quantizer_errors(self._path_of, self.architecture, self.spec):
            pooled = dropout(self.bert(batch, kept), self.architecture.dropout, self.training)
        return Outputs(logits=self.classifier(pooled), taps={tap: tuple(values) for tap, values in kept.items()})

    def _path_of(self, wanted: nn.Module) -> str | None:
        return next((path for path, module in self.named_modules() if module is wanted), None)

    def quantizer_groups(self) -> list[ParameterGroup]:
        """The parameter groups of all quantizers."""
        quantizers = (module for module in self.modules() if isinstance(module, Quantizer))
        return [group for quantizer in quantizers for group in parameter_groups(quantizer)]


def meta_model(architecture: Architecture, spec: QuantSpec) -> BertClassifier:
    """A model whose weights have shapes and take no memory: to count and to compare, not to run.

    Its quantizers are real: fresh ones, with their initial state.

    Raises:
        UserError: the spec does not fit the architecture.
    """
    with torch.device("meta"):
        return BertClassifier(architecture, spec)


class MetaStates:
    """The tensors that models must have, by name and without values; those of equal models are found once."""

    def __init__(self) -> None:
        # a list, since specifications have no hash; members of an ensemble have one or two of them
        self._states: list[tuple[Architecture, QuantSpec, Mapping[str, Tensor]]] = []

    def of(self, architecture: Architecture, spec: QuantSpec) -> Mapping[str, Tensor]:
        """The state of the `meta_model` of an architecture and a specification.

        Raises:
            UserError: the spec does not fit the architecture.
        """
        for known_architecture, known_spec, state in self._states:
            if known_architecture == architecture and known_spec == spec:
                return state
        state = meta_model(architecture, spec).state_dict()
        self._states.append((architecture, spec, state))
        return state


class Residual(nn.Module):
    """LayerNorm(x + dropout(dense(y))).

    Shape: y (B, T, I), x (B, T, H) -> (B, T, H).
    """

    def __init__(self, factory: ModuleFactory, path: str, inputs: int) -> None:
        super().__init__()
        sizes = factory.architecture
        self.dropout = sizes.dropout
        self.dense = factory.linear(f"{path}.dense", inputs, sizes.hidden)
        self.LayerNorm = nn.LayerNorm(sizes.hidden, eps=sizes.norm_epsilon)

    def forward(self, y: Tensor, x: Tensor) -> Tensor:
        """The normalized sum."""
        return self._add(self.dense(y), x)

    def first_token(self, y: Tensor, x: Tensor) -> Tensor:
        """The normalized sum of the first token of each sentence, (B, 1, H)."""
        return self._add(self.dense(y, True), x[:, :1])

    def _add(self, update: Tensor, x: Tensor) -> Tensor:
        normalized: Tensor = self.LayerNorm(dropout_add(x, update, self.dropout, self.training))
        return normalized


class Attention(nn.Module):
    """Self-attention and its residual block.

    Shape: (B, T, H) -> (B, T, H).
    """

    def __init__(self, factory: ModuleFactory, path: str) -> None:
        super().__init__()
        width = factory.architecture.heads * factory.architecture.head_size
        self.self = SelfAttention(factory, f"{path}.self")
        self.output = Residual(factory, f"{path}.output", width)

    def forward(self, hidden: Tensor, mask: Tensor, kept: TapRecorder) -> Tensor:
        """The attended hidden states."""
        attended: Tensor = self.output(self.self(hidden, mask, kept), hidden)
        return attended

    def first_token(self, hidden: Tensor, mask: Tensor, kept: TapRecorder) -> Tensor:
        """The attended hidden state of the first token of each sentence, (B, 1, H)."""
        return self.output.first_token(self.self(hidden, mask, kept), hidden)


def gelu_with_sign(x: Tensor) -> Tensor:
    """GELU with the sign of its argument, which that of float32 loses: below about -5.5 it is -0.0, now and then.

    Shape: any -> the same.
    Gradient: that of GELU.
    Source: GELU, arXiv:1606.08415; mathematically it has the sign of its argument.
    Differs: for x < 0 at most minus the smallest normal number.

    >>> (gelu_with_sign(torch.tensor([-9.0, -5.52, 0.0])) < 0).tolist()
    [True, True, False]
    """
    return F.gelu(x) + x.detach().clamp(-torch.finfo(x.dtype).tiny, 0.0)


class FeedForwardUp(nn.Module):
    """act(dense(x)); branches are summed before the activation.

    Where the next quantizer reads only the sign of a unit, gelu keeps the sign of its argument (`gelu_with_sign`).
    Shape: (B, T, H) -> (B, T, F).
    """

    def __init__(self, factory: ModuleFactory, path: str) -> None:
        super().__init__()
        sizes = factory.architecture
        self.dense = factory.linear(f"{path}.dense", sizes.hidden, sizes.ffn)
        gelu = gelu_with_sign if factory.input_alphabet(Site.FFN_DOWN, sizes.ffn) == SIGNS else F.gelu
        self.activation = F.relu if (factory.spec.activation or sizes.activation) == "relu" else gelu

    def forward(self, x: Tensor) -> Tensor:
        """The activated units."""
        return self.activation(self.dense(x))

    def first_token(self, x: Tensor) -> Tensor:
        """The activated units of the first token of each sentence, (B, 1, F)."""
        return self.activation(self.dense(x, True))


class Layer(nn.Module):
    """Attention, then feed-forward, each with a residual and a LayerNorm after it.

    Shape: (B, T, H) -> (B, T, H).
    """

    def __init__(self, factory: ModuleFactory, path: str) -> None:
        super().__init__()
        self.attention = Attention(factory, f"{path}.attention")
        self.intermediate = FeedForwardUp(factory, f"{path}.intermediate")
        self.output = Residual(factory, f"{path}.output", factory.architecture.ffn)

    def forward(self, hidden: Tensor, mask: Tensor, kept: TapRecorder) -> Tensor:
        """The next hidden states."""
        attended = self.attention(hidden, mask, kept)
        output: Tensor = self.output(self.intermediate(attended), attended)
        return output

    def first_token(self, hidden: Tensor, mask: Tensor, kept: TapRecorder) -> Tensor:
        """The next hidden state of the first token of each sentence, (B, 1, H).

        The other tokens are computed as far as attention and quantizers of inputs read them.
        """
        if self.output.dense.quantizes_input:
            attended = self.attention(hidden, mask, kept)
            return self.output.first_token(self.intermediate(attended), attended)
        if self.intermediate.dense.quantizes_input:
            attended = self.attention(hidden, mask, kept)
            output: Tensor = self.output(self.intermediate.first_token(attended), attended[:, :1])
        else:
            attended = self.attention.first_token(hidden, mask, kept)
            output = self.output(self.intermediate(attended), attended)
        return output
