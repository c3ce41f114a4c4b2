"""bebertlab: plugin-based quantization and ensemble research on BERT."""

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["TextClassifier", "__version__", "load_classifier"]

if TYPE_CHECKING:
    from bebertlab.classifier import TextClassifier as TextClassifier
    from bebertlab.classifier import load_classifier as load_classifier
else:

    def __getattr__(name: str) -> object:
        """Import torch and all else only where the classifier is used: `import bebertlab` stays light."""
        if name not in __all__:
            raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
        from importlib import import_module

        return getattr(import_module("bebertlab.classifier"), name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
