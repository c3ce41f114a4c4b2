"""A reference model for other programs: exported to ONNX, computed by ONNX Runtime or OpenVINO."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bebertlab.bench.data import generated_batches
from bebertlab.bench.huggingface import model_inputs
from bebertlab.bench.models import BenchConfig
from bebertlab.interfaces.batch import Batch

_OPSET = 17
_EXPORT_SENTENCES, _EXPORT_TOKENS = 2, 16
Arrays = Mapping[str, NDArray[np.int64]]


class ExportedModel:
    """A reference model in evaluation mode, and its export to a folder, which is made when it is first needed."""

    def __init__(self, module: nn.Module, config: BenchConfig, folder: Path) -> None:
        self.module = module.eval()
        self._config, self._folder = config, folder

    @cached_property
    def _onnx(self) -> Path:
        path = self._folder / "model.onnx"
        inputs = model_inputs(self._example)
        with _quiet():
            torch.onnx.export(
                _Logits(self.module).eval(),  # the exporter leaves all modules in the mode of the outer one
                tuple(inputs.values()),
                str(path),
                input_names=[*inputs],
                output_names=["logits"],
                dynamic_axes={name: {0: "sentences", 1: "tokens"} for name in inputs},
                opset_version=_OPSET,
                dynamo=False,  # the exporter of torch.export gave other logits, as measured
            )
        return path

    @property
    def _example(self) -> Batch:
        lengths = np.array([_EXPORT_TOKENS, *[_EXPORT_TOKENS - 1] * (_EXPORT_SENTENCES - 1)])
        (batch,) = generated_batches(lengths, len(lengths), self._config)
        return batch

    def by_onnxruntime(self) -> Callable[[Batch], object]:
        """Predicts in float32."""
        return self._session(self._onnx)

    def by_onnxruntime_int8(self) -> Callable[[Batch], object]:
        """Predicts with 8-bit weights, and inputs quantized at their range in each batch."""
        from onnxruntime.quantization import QuantType, quantize_dynamic

        path = self._folder / "int8.onnx"
        with _quiet():
            quantize_dynamic(self._onnx, path, weight_type=QuantType.QInt8)
        return self._session(path)

    def _session(self, path: Path) -> Callable[[Batch], object]:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self._config.threads, 1
        session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return lambda batch: session.run(None, _arrays(batch))

    def by_openvino_int8(self) -> Callable[[Batch], object]:
        """Predicts with 8-bit weights, and inputs quantized at ranges that were measured once.

        What costs time to be more exact, and none of the speed, is left out: no biases are corrected.
        """
        import nncf
        import openvino

        core = openvino.Core()
        with _quiet():
            model = nncf.quantize(
                core.read_model(self._onnx),
                nncf.Dataset([_arrays(self._example)]),
                model_type=nncf.ModelType.TRANSFORMER,
                subset_size=1,
                advanced_parameters=nncf.AdvancedQuantizationParameters(disable_bias_correction=True),
            )
        settings = {"INFERENCE_NUM_THREADS": self._config.threads, "PERFORMANCE_HINT": "LATENCY"}
        request: Any = core.compile_model(model, "CPU", settings).create_infer_request()
        return lambda batch: request.infer(_arrays(batch))


class _Logits(nn.Module):
    """Takes the inputs of a model by position and returns its logits."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._model = model

    def forward(self, tokens: Tensor, segments: Tensor, mask: Tensor) -> Tensor:
        logits: Tensor = self._model(input_ids=tokens, token_type_ids=segments, attention_mask=mask).logits
        return logits


def _arrays(batch: Batch) -> Arrays:
    return {name: tensor.numpy() for name, tensor in model_inputs(batch).items()}


@contextmanager
def _quiet() -> Iterator[None]:
    """Without warnings, log messages and progress bars of the programs that convert."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)
