"""bebertlab: plugin-based quantization and ensemble research on BERT."""

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["TextClassifier", "__version__", "load_model"]

if TYPE_CHECKING:
    from bebertlab.classifier import TextClassifier as TextClassifier
    from bebertlab.classifier import load_model as load_model
else:

    def __getattr__(name: str) -> object:
        """Import the classifier, and with it torch, only when it is used, so that `import bebertlab` stays fast."""
        if name not in __all__:
            raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
        from importlib import import_module

        return getattr(import_module("bebertlab.classifier"), name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
