"""A quick check that the Hugging Face hub can be reached: its own client retries for half a minute."""

from __future__ import annotations

import os
import urllib.error
import urllib.request

from bebertlab.errors import SetupError

_ENDPOINT_VARIABLE = "HF_ENDPOINT"
_ENDPOINT = "https://huggingface.co"
_TIMEOUT_SECONDS = 5.0


def reach_hub(asker: str) -> None:
    """Request the front page of the hub once.

    Args:
        asker: what needs the hub; the message of the error begins with it.

    Raises:
        SetupError: the hub cannot be reached.
    """
    endpoint = os.environ.get(_ENDPOINT_VARIABLE, _ENDPOINT)
    try:
        with urllib.request.urlopen(endpoint, timeout=_TIMEOUT_SECONDS):
            return
    except urllib.error.HTTPError:
        return  # an error page is an answer, too
    except (OSError, ValueError) as error:
        raise SetupError(f"{asker}: cannot reach the hub {endpoint}: {error}") from error
