from __future__ import annotations

import numpy as np
import pytest

from bebertlab.kernels.emit import TOKENS, WORD
from bebertlab.kernels.sentences import chunks, sentence_queries


@pytest.mark.parametrize("lengths", [(1,), (16,), (33, 1, 2), (5,) * 20])
@pytest.mark.parametrize("first_token", [False, True])
def test_queries_see_the_keys_of_their_sentence(lengths: tuple[int, ...], first_token: bool) -> None:
    queries = sentence_queries(lengths)[int(first_token)]
    sentences = np.repeat(np.arange(len(lengths)), lengths)
    by_query = np.ascontiguousarray(queries.visible.transpose(0, 2, 1)).reshape(queries.blocks * TOKENS, -1)
    visible = np.unpackbits(by_query.view(np.uint8), axis=1, bitorder="little")
    for row, token in enumerate(queries.numbers):
        keys = np.flatnonzero(sentences == sentences[token])
        assert np.flatnonzero(visible[row]).tolist() == keys.tolist()
        assert queries.starts[row] == keys[0]
        first, end, first_query, end_query = queries.spans[sentences[token]]
        assert (first, end) == (keys[0], keys[-1] + 1)
        assert first_query <= row < end_query
        word, last_word = queries.ranges[row // TOKENS]
        assert word * WORD <= first
        assert end <= last_word * WORD
    assert not visible[len(queries.numbers) :].any()
    assert not queries.starts[len(queries.numbers) :].any()
    expected = np.cumsum([0, *lengths[:-1]]) if first_token else np.arange(sum(lengths))
    assert queries.numbers.tolist() == expected.tolist()


def test_a_sentence_longer_than_a_chunk_is_alone() -> None:
    assert list(chunks([9, 1, 2, 8, 1], 4)) == [[9], [1, 2], [8], [1]]
