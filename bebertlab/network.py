"""Asking the Hugging Face hub whether it is there, before its own client retries for half a minute."""

from __future__ import annotations

import os
import urllib.error
import urllib.request

from bebertlab.errors import SetupError

_ENDPOINT_VARIABLE = "HF_ENDPOINT"
_ENDPOINT = "https://huggingface.co"
_PATIENCE_SECONDS = 5.0


def reach_hub(asker: str) -> None:
    """Ask for the hub's front page once.

    Raises:
        SetupError: it cannot be reached; begins with `asker`, what wanted it.
    """
    endpoint = os.environ.get(_ENDPOINT_VARIABLE, _ENDPOINT)
    try:
        with urllib.request.urlopen(endpoint, timeout=_PATIENCE_SECONDS):
            return
    except urllib.error.HTTPError:
        return  # it answers, that is all we want to know
    except (OSError, ValueError) as error:
        raise SetupError(f"{asker}: the hub {endpoint} cannot be reached: {error}") from error
