"""What comes before a step: tokens of the texts, and batches of the tokens."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from bebertlab.bench.clock import Ratio, timed
from bebertlab.bench.lengths import MAXIMUM_TOKENS
from bebertlab.bench.row import Finding, Row, Target
from bebertlab.bench.scheme import W1A8
from bebertlab.bench.setting import Setting
from bebertlab.bench.texts import text_task
from bebertlab.bench.training import Steps, labels_phase, mixed_session
from bebertlab.encoders.tiny import TinyEncoder
from bebertlab.interfaces.task import TRAIN, Task
from bebertlab.train.batches import batches
from bebertlab.train.examples import load_examples
from bebertlab.train.sampler import Sampler

SHARE = Target(
    name="feeding.share",
    what="tokenising and batching / training, the same sentences for one epoch, W1A8 split",
    better="lower",
    goal=0.03,
)
TARGETS = (SHARE,)

_WARM_UP = 2
_SENTENCES = 4_000


def feeding(wanted: Sequence[Target], setting: Setting) -> Iterator[Finding]:
    """Tokens are made once for all epochs, batches in each: one epoch is the worst case."""
    sentences = _SENTENCES // 2 if setting.quick else _SENTENCES
    step = _step_seconds(setting)
    training = step * sentences / setting.batch_size
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tasks = [text_task(sentences, setting, digest=f"turn {turn}") for turn in range(setting.turns)]
        encoder = TinyEncoder(maximum_tokens=MAXIMUM_TOKENS, words=setting.sizes.vocabulary)
        encoder.tokenizer(tasks[0].splits[TRAIN].texts).save_pretrained(folder)
        turns = [_turn(task, folder, setting) for task in tasks]
    shares = Ratio.of([(tokenising + batching) / training for tokenising, batching in turns])
    tokenising, batching = (1e6 * Ratio.of(parts).median / sentences for parts in zip(*turns, strict=True))
    note = f"a sentence: {tokenising:.0f} + {batching:.0f} us / {1e6 * training / sentences:.0f} us"
    yield from (Row(target=target, ratio=shares, note=note) for target in wanted)


def _step_seconds(setting: Setting) -> float:
    steps = 6 if setting.quick else 40
    session = mixed_session(setting, steps, _WARM_UP)
    with Steps(W1A8.build(setting), labels_phase(), session) as training:
        training.take(_WARM_UP)
        return training.take(steps) / steps


def _turn(task: Task, tokenizer: Path, setting: Setting) -> tuple[float, float]:
    """Seconds of tokenising and of batching."""
    tokenising = timed(lambda: load_examples(task, TRAIN, tokenizer, MAXIMUM_TOKENS), setting.device)
    examples = load_examples(task, TRAIN, tokenizer, MAXIMUM_TOKENS)
    sampler = Sampler(seed=setting.seed, lengths=examples.tokens.lengths)

    def epoch() -> None:
        grouping = sampler.epoch("labels", 0, setting.batch_size)
        deque(batches(examples, grouping, device=setting.device), maxlen=0)

    return tokenising, timed(epoch, setting.device)
