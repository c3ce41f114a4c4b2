"""The root of everything that YAML can name by `kind`."""

from __future__ import annotations

from abc import ABC
from typing import ClassVar

from attrs import frozen


@frozen(kw_only=True)
class Options(ABC):
    """One declaration, many uses: YAML validation, `--set`, search, cache key, MLflow parameters, `plugin show`.

    A subclass is an attrs class (`@frozen(kw_only=True)`) with a `kind`, typed fields, validators and a
    trailing `#:` comment per field. `role` is set by the abstract class of the role.
    """

    role: ClassVar[str]
    kind: ClassVar[str]
    #: raised whenever the results of this part change, so that stored stages are made again
    revision: ClassVar[int] = 1
