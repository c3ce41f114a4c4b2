"""Importers: readers of checkpoints that published code wrote."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from attrs import frozen
from torch import Tensor

from bebertlab.interfaces.architecture import Checkpoint
from bebertlab.interfaces.options import Options


@frozen(kw_only=True)
class ImporterOptions(Options):
    """The options of an importer: the names and settings in checkpoints of one published code."""

    role: ClassVar[str] = "importer"

    @abstractmethod
    def read(self, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Checkpoint:
        """The model in a checkpoint: tensors by their published names, and its config.json.

        Prefixes of wrappers in the names (such as `module.` and `_orig_mod.`) were removed before. Tensors that no
        forward pass uses are left out of the result; its floating-point tensors are float32.

        Raises:
            UserError: the checkpoint is not of this code or contradicts its config; names what was expected.
        """
