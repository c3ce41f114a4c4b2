"""What mkdocstrings cannot read from the code by itself: an extension of griffe, which reads the Python API.

The comments `#:` behind fields become their descriptions, and examples are shown as code.
"""

from __future__ import annotations

import importlib
import re
from typing import Any

import griffe

from bebertlab.config.describe import field_comments

_EXAMPLE = re.compile(r"^>>> .*(?:\n.+)*", flags=re.MULTILINE)


class Docstrings(griffe.Extension):  # type: ignore[misc] # a class without types, see pyproject.toml
    """Completes the docstrings of the Python API."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:  # noqa: ANN401 - griffe's signature
        """Put every example that is not in a section `Examples:` into a code block."""
        if obj.docstring is not None:
            obj.docstring.value = fence_examples(obj.docstring.value)

    def on_class_members(self, *, cls: griffe.Class, **_: Any) -> None:  # noqa: ANN401 - griffe's signature
        """List the fields of a class, with their comments, in a section of its docstring."""
        runtime = getattr(importlib.import_module(cls.module.path), cls.name, None)
        comments = field_comments(runtime) if isinstance(runtime, type) else {}
        fields = [
            name
            for name, member in cls.members.items()
            if isinstance(member, griffe.Attribute) and member.annotation and not name.startswith("_")
        ]
        if fields and cls.docstring is not None:
            lines = [
                f"    {name}: {comments.get(name, '')}".rstrip()
                for name in fields
                if "property" not in cls[name].labels
            ]
            cls.docstring.value += "\n\n" + "\n".join(["Attributes:", *lines])


def fence_examples(docstring: str) -> str:
    """A docstring with its examples in code blocks; each ends at a blank line."""
    return _EXAMPLE.sub(lambda match: f"```pycon\n{match[0]}\n```", docstring)
