"""BERT's tokenizer from the files that lie beside a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bebertlab.encoders.vocabulary import SPECIAL
from bebertlab.errors import EnvironmentFault, UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_WHOLE = ("tokenizer.json", "tokenizer_config.json")  #: files that say more than which tokens there are
_VOCABULARY = "vocab.txt"


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder holds a tokenizer."""
    return any((folder / name).is_file() for name in (_WHOLE[0], _VOCABULARY))


def read_tokenizer(path: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder, or of a vocabulary with a token a line.

    A vocabulary alone does not say whether letters are lower-cased first; they are if it has no capital.

    Raises:
        EnvironmentFault: there is none.
        UserError: it is none of a BERT.
    """
    from transformers import BertTokenizer

    if path.is_dir() and any((path / name).is_file() for name in _WHOLE):
        tokenizer = BertTokenizer.from_pretrained(path, local_files_only=True)
    else:
        tokens = _tokens(path / _VOCABULARY if path.is_dir() else path)
        capital = any(token != token.lower() for token in tokens if token not in SPECIAL)
        vocabulary = {token: index for index, token in enumerate(tokens)}
        tokenizer = BertTokenizer(vocab=vocabulary, do_lower_case=not capital)
    if len(tokenizer) <= len(tokenizer.all_special_tokens):
        raise UserError(f"{path}: the tokenizer has no words")
    return tokenizer


def _tokens(path: Path) -> list[str]:
    if not path.is_file():
        raise EnvironmentFault(f"{path}: no such file; a tokenizer is a folder with {_WHOLE[0]}, or a {_VOCABULARY}")
    tokens = [line.rstrip("\r\n") for line in path.read_text(encoding="utf-8").split("\n")]
    tokens = tokens[:-1] if tokens[-1] == "" else tokens
    if lacking := [token for token in SPECIAL if token not in tokens]:
        raise UserError(f"{path}: no vocabulary of a BERT, a token a line: it lacks {', '.join(lacking)}")
    return tokens
