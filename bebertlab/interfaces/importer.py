"""Importers: checkpoints as published code wrote them become models of ours."""

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
    """What YAML says of an importer: the published code whose names and settings a checkpoint has."""

    role: ClassVar[str] = "importer"

    @abstractmethod
    def read(self, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Checkpoint:
        """The model of a checkpoint: tensors by the names of the published code, `config` its config.json.

        What wrappers put into names (`module.`, `_orig_mod.` and others) is taken out before.

        Raises:
            UserError: the checkpoint is not of this code or contradicts its config; says what was expected.
        """
