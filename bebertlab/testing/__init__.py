"""Kits for the tests of plugins: one line checks that an implementation keeps the contract of its role."""

from __future__ import annotations

from bebertlab.testing.contract import ContractError
from bebertlab.testing.encoder import check_encoder, check_importer
from bebertlab.testing.ensemble import check_ensemble, check_merger
from bebertlab.testing.loss import check_distillation, check_loss
from bebertlab.testing.model import check_scheme, check_splitter
from bebertlab.testing.quantizer import check_quantizer
from bebertlab.testing.sampler import check_sampler
from bebertlab.testing.stage import check_stage
from bebertlab.testing.stage_runner import StageRunner
from bebertlab.testing.task import check_task

__all__ = [
    "ContractError",
    "StageRunner",
    "check_distillation",
    "check_encoder",
    "check_ensemble",
    "check_importer",
    "check_loss",
    "check_merger",
    "check_quantizer",
    "check_sampler",
    "check_scheme",
    "check_splitter",
    "check_stage",
    "check_task",
]
