"""The task and tokenizer of the tests of `training`."""

from __future__ import annotations

from tests.training.conftest import examples, task, tokenizer

__all__ = ["examples", "task", "tokenizer"]
