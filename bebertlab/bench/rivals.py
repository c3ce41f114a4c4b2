"""What packed models are compared with: the same BERT in other number formats and by other programs."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from importlib.util import find_spec

import torch
from attrs import frozen
from torch import nn

from bebertlab.bench.exported import ExportedModel
from bebertlab.bench.huggingface import model_inputs
from bebertlab.bench.int8 import quantize_statically
from bebertlab.inference.integers import exact_products
from bebertlab.interfaces.batch import Batch

#: computes the logits of a batch
Predict = Callable[[Batch], object]


@frozen(kw_only=True)
class Rival:
    """Another way to compute a BERT, given the reference model in evaluation mode."""

    name: str  #: in names of rows
    description: str  #: in tables
    build: Callable[[ExportedModel], Predict]
    int8: bool  #: of 8 bits, so that it is one of those that split models are compared with too
    packages: tuple[str, ...] = ()  #: that it needs besides torch; the first computes
    quick: bool = True  #: is ready within seconds

    @property
    def missing_reason(self) -> str:
        """Why it cannot be measured here; empty if it can."""
        missing = [package for package in self.packages if find_spec(package) is None]
        if missing:
            return f"not installed: pip install {' '.join(missing)}"
        if self is STATIC_INT8 and not exact_products():
            return "torch has no int8 products by oneDNN here"
        return ""

    @property
    def origin(self) -> str:
        """The package that computes, with its version; empty for torch."""
        return f"{self.packages[0]} {version(self.packages[0])}" if self.packages else ""


def predict_all(predict: Predict, batches: Sequence[Batch]) -> None:
    """Predict batches one after the other."""
    for batch in batches:
        predict(batch)


def _full_precision(model: ExportedModel) -> Predict:
    return _predict_by(model.module)


def _bf16(model: ExportedModel) -> Predict:
    return _predict_by(copy.deepcopy(model.module).to(torch.bfloat16))


def _dynamic_int8(model: ExportedModel) -> Predict:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.ao and its quantized tensors are deprecated
        module: nn.Module = torch.ao.quantization.quantize_dynamic(  # type: ignore[no-untyped-call]
            model.module, {nn.Linear}, dtype=torch.qint8
        )
    return _predict_by(module)


def _static_int8(model: ExportedModel) -> Predict:
    module = copy.deepcopy(model.module)
    quantize_statically(module)
    return _predict_by(module)


def _predict_by(module: nn.Module) -> Predict:
    def predict(batch: Batch) -> object:
        with torch.inference_mode():
            return module(**model_inputs(batch)).logits

    return predict


FP32 = Rival(name="fp32", description="torch fp32 (Hugging Face, sdpa)", build=_full_precision, int8=False)
BF16 = Rival(name="bf16", description="torch bf16 (Hugging Face, sdpa)", build=_bf16, int8=False)
DYNAMIC_INT8 = Rival(name="dynamic", description="torch dynamic int8", build=_dynamic_int8, int8=True)
STATIC_INT8 = Rival(
    name="static", description="torch, oneDNN int8 with fixed scales of inputs", build=_static_int8, int8=True
)
_ONNX = ("onnxruntime", "onnx")
ONNX_FP32 = Rival(
    name="onnx-fp32",
    description="ONNX Runtime fp32",
    build=ExportedModel.by_onnxruntime,
    int8=False,
    packages=_ONNX,
    quick=False,
)
ONNX_INT8 = Rival(
    name="onnx-int8",
    description="ONNX Runtime dynamic int8",
    build=ExportedModel.by_onnxruntime_int8,
    int8=True,
    packages=_ONNX,
    quick=False,
)
OPENVINO_INT8 = Rival(
    name="openvino-int8",
    description="OpenVINO int8 (quantized by NNCF)",
    build=ExportedModel.by_openvino_int8,
    int8=True,
    packages=("openvino", "nncf", "onnx"),
    quick=False,
)
RIVALS = (BF16, DYNAMIC_INT8, STATIC_INT8, ONNX_FP32, ONNX_INT8, OPENVINO_INT8)  #: besides fp32
