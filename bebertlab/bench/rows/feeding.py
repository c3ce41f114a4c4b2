"""What comes before a step: tokens of the texts, and batches of the tokens."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median

import torch
from tokenizers import Tokenizer

from bebertlab.bench.clock import Ratio, timed
from bebertlab.bench.lengths import MAXIMUM_TOKENS
from bebertlab.bench.row import Finding, Goal, Row
from bebertlab.bench.scheme import W1A8
from bebertlab.bench.setting import Setting
from bebertlab.bench.texts import text_task
from bebertlab.bench.training import Steps, labels_phase, mixed_setup
from bebertlab.data.batches import batches
from bebertlab.data.examples import Examples
from bebertlab.data.tokenizer_file import TOKENIZER_FILE
from bebertlab.data.tokens import Tokens, cached_tokens, tokenize
from bebertlab.interfaces.encoder import EncoderOptions
from bebertlab.interfaces.task import TRAIN, Split
from bebertlab.training.sampler import EpochSampler

SHARE = Goal(
    name="feeding.share",
    what="tokenising and batching / training, the same sentences for one epoch, W1A8 split",
    better="lower",
    goal=0.03,
)
CACHE = Goal(
    name="feeding.cache",
    what="tokens at the second start, from the cache / at the first, from the texts",
    better="lower",
    goal=0.5,
)
GOALS = (SHARE, CACHE)

_WARM_UP = 2
_SENTENCES = 4_000


def feeding(wanted: Sequence[Goal], setting: Setting) -> Iterator[Finding]:
    """Tokens are made once for all epochs, batches in each: one epoch is the worst case."""
    sentences = _SENTENCES // 2 if setting.quick else _SENTENCES
    first, second, batching = zip(*_turns(sentences, setting), strict=True)
    if SHARE in wanted:
        step = _step_seconds(setting)
        training = step * sentences / setting.batch_size
        share = Ratio.of([(one + other) / training for one, other in zip(first, batching, strict=True)])
        parts = (1e6 * median(seconds) / sentences for seconds in (first, batching, [training]))
        note = "a sentence: {:.0f} + {:.0f} us / {:.0f} us".format(*parts)
        yield Row(target=SHARE, ratio=share, note=note)
    if CACHE in wanted:
        note = f"{sentences} sentences: {1000 * median(second):.1f} ms / {1000 * median(first):.1f} ms"
        yield Row(target=CACHE, ratio=Ratio.of([a / b for a, b in zip(second, first, strict=True)]), note=note)


def _turns(sentences: int, setting: Setting) -> list[tuple[float, float, float]]:
    """Seconds of making tokens and keeping them, of reading them again, and of an epoch of batches."""
    split = text_task(sentences, setting).splits[TRAIN]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tiny = {"kind": "tiny", "maximum_tokens": MAXIMUM_TOKENS, "words": setting.sizes.vocabulary}
        encoder = setting.codec.load(tiny, EncoderOptions)  # type: ignore[type-abstract]
        encoder.tokenizer(split.texts).save_pretrained(folder)
        return [_turn(split, folder, f"turn {turn}", setting) for turn in range(setting.turns)]


def _turn(split: Split, folder: Path, key: str, setting: Setting) -> tuple[float, float, float]:
    made: list[Tokens] = []

    def make() -> Tokens:
        tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
        made.append(tokenize(tokenizer, split, MAXIMUM_TOKENS))
        return made[0]

    def start() -> None:
        cached_tokens(folder, key, make)

    first, second = timed(start, setting.device), timed(start, setting.device)
    return first, second, timed(_epoch(split, made[0], setting), setting.device)


def _epoch(split: Split, tokens: Tokens, setting: Setting) -> Callable[[], None]:
    examples = Examples(tokens=tokens, labels=torch.from_numpy(split.labels))
    sampler = EpochSampler(seed=setting.seed, lengths=tokens.lengths)

    def epoch() -> None:
        plan = sampler.epoch("labels", 0, setting.batch_size)
        deque(batches(examples, plan, device=setting.device), maxlen=0)

    return epoch


def _step_seconds(setting: Setting) -> float:
    steps = 6 if setting.quick else 40
    setup = mixed_setup(setting, steps, _WARM_UP)
    with Steps(W1A8.build(setting), labels_phase(), setup) as training:
        training.take(_WARM_UP)
        return training.take(steps) / steps
