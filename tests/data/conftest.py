"""The task and tokenizer of the tests of `training`, and a custom tokenizer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from tests.training.conftest import examples, task, tokenizer

__all__ = ["WORDS", "Change", "examples", "save_custom_tokenizer", "task", "tokenizer"]

WORDS = {
    word: index for index, word in enumerate(["<pad>", "<unk>", "<s>", "</s>", "a", "A", "\u4e2d", "\u00e9", "##a"])
}
Change = Callable[[Tokenizer], object]


def save_custom_tokenizer(folder: Path, change: Change | None = None, model: Any = None, **settings: object) -> Path:  # noqa: ANN401
    """A custom tokenizer, which keeps capitals."""
    tokenizer = Tokenizer(model or models.WordPiece(WORDS, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B:1 </s>:1", special_tokens=[("<s>", 2), ("</s>", 3)]
    )
    if change is not None:
        change(tokenizer)
    folder.mkdir(exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    if settings:
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder
