"""Packed models and their rivals, built when they are first needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from bebertlab.bench.exported import ExportedModel
from bebertlab.bench.huggingface import reference_model, split_reference_model
from bebertlab.bench.models import BenchConfig, BenchScheme
from bebertlab.bench.packed import load_packed, pack_scheme
from bebertlab.bench.rivals import Predict, Rival
from bebertlab.kernels.target import KernelTarget
from bebertlab.packed.model import PackedModel
from bebertlab.packed.products import Choice


class Contenders:
    """What predicts the same batches; each is built once. Files are kept in a folder."""

    def __init__(self, config: BenchConfig, folder: Path) -> None:
        self._config, self._folder = config, folder
        self._references: dict[bool, ExportedModel] = {}
        self._predict: dict[str, Predict] = {}
        self._models: dict[str, PackedModel] = {}

    def scheme(self, scheme: BenchScheme) -> str:
        """The name of a packed model, to call `predict` with."""
        return self._add(scheme.name, lambda: self._packed(scheme))

    def limited(self, scheme: BenchScheme, target: KernelTarget) -> str:
        """The name of a packed model of signs that is compiled for another CPU.

        Raises:
            UserError: it is not computed by generated code.
        """
        folder = self._folder / self.scheme(scheme)
        return self._add(f"{scheme.name}, {target.cpu}", lambda: load_packed(folder, self._config, target).logits)

    def choices(self, scheme: BenchScheme) -> Mapping[str, Choice]:
        """How the parts of a packed model are computed and why, by module path."""
        self.scheme(scheme)
        (choices,) = self._models[scheme.name].choices
        return choices

    def rival(self, rival: Rival, *, split: bool = False) -> str:
        """The name of a rival of the shape of the benchmark, or of the sizes of a split model of it."""
        name = f"{rival.name}, split" if split else rival.name
        return self._add(name, lambda: rival.build(self._reference(split)))

    def predict(self, name: str) -> Predict:
        """Computes the logits of a batch."""
        return self._predict[name]

    def _add(self, name: str, build: Callable[[], Predict]) -> str:
        if name not in self._predict:
            self._predict[name] = build()
        return name

    def _packed(self, scheme: BenchScheme) -> Predict:
        folder = self._folder / scheme.name
        pack_scheme(scheme, self._config, folder)
        self._models[scheme.name] = load_packed(folder, self._config)
        return self._models[scheme.name].logits

    def _reference(self, split: bool) -> ExportedModel:
        if split not in self._references:
            build = split_reference_model if split else reference_model
            folder = self._folder / ("split" if split else "reference")
            folder.mkdir()
            self._references[split] = ExportedModel(build(self._config.architecture), self._config, folder)
        return self._references[split]
