"""Packed models in transformers: after `import bebertlab.hub`, its Auto classes and pipelines load them.

import bebertlab.hub
from transformers import pipeline

classifier = pipeline("text-classification", model="packed")
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from bebertlab.errors import SetupError
from bebertlab.model.huggingface import PACKED_MODEL_TYPE

_SUPPORTED = "transformers>=5.20,<6"


def register() -> None:
    """Make the classes of packed models known to transformers. Importing `bebertlab.hub` does it.

    Raises:
        SetupError: transformers is missing, or another version than one of those that are supported.
    """
    try:
        from transformers import AutoConfig, AutoModelForSequenceClassification

        from bebertlab.hub.model import PackedBertConfig, PackedBertForSequenceClassification

        AutoConfig.register(PACKED_MODEL_TYPE, PackedBertConfig, exist_ok=True)
        AutoModelForSequenceClassification.register(
            PackedBertConfig, PackedBertForSequenceClassification, exist_ok=True
        )
    except (ImportError, AttributeError, TypeError) as error:
        raise SetupError(f"bebertlab.hub does not work with {_installed()} ({error}); install {_SUPPORTED}") from error


def _installed() -> str:
    try:
        return f"transformers {version('transformers')}"
    except PackageNotFoundError:
        return "a Python that has no transformers"


register()
