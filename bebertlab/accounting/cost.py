"""The cost of a model: its size in parts and sums, its file, its operations."""

from __future__ import annotations

from attrs import asdict, frozen

from bebertlab.accounting.operations import Operations, model_operations
from bebertlab.accounting.size import MEBIBYTE, ModelSize, mebibytes, model_size, tensor_bytes
from bebertlab.interfaces.architecture import Architecture, QuantSpec
from bebertlab.model.bert import meta_model


@frozen(kw_only=True)
class ModelCost:
    """The size and operations of one model, or of several that share nothing."""

    size: ModelSize
    stored: int  #: bytes of the file of tensors, or of the tensors where there is no file
    operations: Operations

    def times(self, members: int) -> ModelCost:
        """The cost of several models."""
        stored, operations = members * self.stored, self.operations.times(members)
        return ModelCost(size=self.size.times(members), stored=stored, operations=operations)

    def data(self) -> dict[str, dict[str, float]]:
        """MiB of every part, MiB of the sums used here and in papers, and GFLOPs."""
        size, operations = self.size, self.operations
        return {
            "parts_mebibytes": {part: mebibytes(bits) for part, bits in asdict(size).items()},
            "mebibytes": {
                "matrices": size.matrix_mebibytes,
                "matrices_biases": mebibytes(size.matrix_bits + size.biases),
                "matrices_biases_positions": mebibytes(size.matrix_bits + size.biases + size.positions),
                "total": size.total_mebibytes,
                "total_without_positions": mebibytes(size.total_bits - size.positions),
                "stored": self.stored / MEBIBYTE,
            },
            "gigaflops": {
                "linear": operations.linear / 1e9,
                "attention": operations.attention / 1e9,
                "total": operations.gigaflops,
            },
        }


def model_cost(sizes: Architecture, spec: QuantSpec, tokens: int) -> ModelCost:
    """The cost of a model with a quantization spec.

    Raises:
        UserError: the spec does not fit, or the model has fewer positions than `tokens`.
    """
    model = meta_model(sizes, spec)
    operations = model_operations(sizes, spec, tokens)
    return ModelCost(size=model_size(model), stored=tensor_bytes(model), operations=operations)
