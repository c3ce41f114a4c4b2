"""Reading from the hub, or from its local cache."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bebertlab.api import SetupError, reach_hub
from bebertlab_glue.folder import Reading, to_table
from bebertlab_glue.table import ExampleTable

HUB_NAME = "nyu-mll/glue"


def read_hub(name: str, reading: Reading, set_names: Mapping[str, str], *, download: bool) -> dict[str, ExampleTable]:
    """The sets of a task, by the split names of the task.

    Without `download` the network is not used: nothing waits for retries of an unreachable hub.

    Raises:
        SetupError: the hub cannot be reached, or the local cache does not have the task.
    """
    data = _load(name, download=download)
    return {
        split: to_table(data[stored], f"{HUB_NAME}/{name}/{stored}", reading.of(split))
        for split, stored in set_names.items()
    }


def _load(name: str, *, download: bool) -> Any:  # noqa: ANN401 - `datasets` has no types
    import datasets

    datasets.disable_progress_bars()
    offline = datasets.config.HF_HUB_OFFLINE
    if download and not offline:
        reach_hub(f"{HUB_NAME}/{name}")
    datasets.config.HF_HUB_OFFLINE = offline or not download
    try:
        return datasets.load_dataset(HUB_NAME, name)
    except (OSError, ValueError) as error:  # ConnectionError is an OSError; a missing cache is a ValueError
        reason = f"download failed ({error})" if download and not offline else "not in the local cache"
        raise SetupError(f"{HUB_NAME}/{name}: {reason}") from error
    finally:
        datasets.config.HF_HUB_OFFLINE = offline
