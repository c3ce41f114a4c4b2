"""The base class of everything that YAML selects by `kind`."""

from __future__ import annotations

from abc import ABC
from typing import ClassVar

from attrs import frozen


@frozen(kw_only=True)
class Options(ABC):
    """One declaration, many uses: YAML validation, `--set`, search, cache key, MLflow parameters, `plugin show`.

    A subclass is an attrs class (`@frozen(kw_only=True)`) with a `kind` and typed fields, each with a validator where
    needed and a trailing `#:` comment. The abstract class of the role sets `role`.
    """

    role: ClassVar[str]
    kind: ClassVar[str]
    #: increase it when results of this part change, so that cached stages are built again
    revision: ClassVar[int] = 1
