from __future__ import annotations

import pytest
import torch

from bebertlab.errors import SetupError
from bebertlab.inference.devices import check_device, torch_threads


def test_a_device_that_cannot_be_used_is_named() -> None:
    check_device("cpu")
    missing = f"cuda:{torch.cuda.device_count() + 1}"
    with pytest.raises(SetupError, match=f"^device '{missing}' cannot be used: .+"):
        check_device(torch.device(missing))


def test_threads_are_set_for_a_block() -> None:
    before = torch.get_num_threads()

    def fail() -> None:
        with torch_threads(before + 1):
            assert torch.get_num_threads() == before + 1
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert torch.get_num_threads() == before
