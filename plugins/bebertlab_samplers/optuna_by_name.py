"""Any sampler of Optuna by the name of its class."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from bebertlab.api import SamplerOptions, SearchSampler, SearchSpace, SetupError, suggestion
from bebertlab_samplers.optuna_study import PointSampler

if TYPE_CHECKING:
    import optuna

_PLAIN: Mapping[str, tuple[type, ...]] = {
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "None": (type(None),),
    "dict[str, Any]": (dict,),
}
_SINGLE = ("CmaEsSampler",)  # of one objective
_CONSTRAINED = ("GPSampler", "NSGAIISampler", "NSGAIIISampler", "TPESampler")
#: samplers that write nothing on trials
_STATELESS = ("BruteForceSampler", "GPSampler", "RandomSampler", "TPESampler")
_OWN_KIND = {"QMCSampler": "qmc", "GridSampler": "grid"}  # which work with a search that restarts
_PACKAGES = {"CmaEsSampler": "cmaes"}  # that Optuna does not install


@frozen(kw_only=True)
class OptunaSampler(SamplerOptions):
    """Any sampler of Optuna, by its class; its observations are means over seeds."""

    kind = "optuna"
    name: str = field()  #: of the class in `optuna.samplers`, e.g. "CmaEsSampler"
    options: Mapping[str, Any] = field(factory=dict)  #: arguments of the class; its seed is `seed` of the sampler

    @name.validator
    def _check_name(self, attribute: object, value: str) -> None:
        if value in _OWN_KIND:
            raise ValueError(f"'{value}' has a kind of its own here: sampler: {{kind: {_OWN_KIND[value]}}}")
        known = _known()
        if value not in known:
            raise ValueError(f"Optuna has no sampler '{value}' that a study can name; {suggestion(value, known)}")

    @options.validator
    def _check_options(self, attribute: object, value: Mapping[str, Any]) -> None:
        known = _parameters(self.name)
        for name, given in value.items():
            if name == "seed":
                raise ValueError("has seed; give sampler.seed instead")
            if name not in known:
                raise ValueError(f"{self.name} has no option '{name}'; {suggestion(name, known)}")
            if not _fits(given, known[name]):
                raise ValueError(f"{name} of {self.name} is {given!r}; expected {known[name]}")

    @property
    def multi_objective(self) -> bool:  # type: ignore[override] # of the chosen class
        """Whether it can search for several objectives at once."""
        return self.name not in _SINGLE

    @property
    def uses_constraints(self) -> bool:  # type: ignore[override] # of the chosen class
        """Whether it avoids points that break a constraint."""
        return self.name in _CONSTRAINED

    def build(self, space: SearchSpace) -> SearchSampler:
        """The sampler for a space.

        Raises:
            SetupError: it needs a package that is not installed.
        """
        package = _PACKAGES.get(self.name)
        if package is not None and importlib.util.find_spec(package) is None:
            raise SetupError(f"sampler {self.name} needs the package {package}: pip install {package}")
        return PointSampler(space, self._make, self.batch, replays=self.name not in _STATELESS)

    def _make(self, index: int, attempt: int) -> optuna.samplers.BaseSampler:
        import optuna

        options = {name: dict(value) if isinstance(value, Mapping) else value for name, value in self.options.items()}
        sampler: optuna.samplers.BaseSampler = getattr(optuna.samplers, self.name)(
            **options, seed=self.random_seed(index, attempt)
        )
        return sampler


def _known() -> tuple[str, ...]:
    """The samplers that can be made from plain options and a seed."""
    import optuna

    classes = {name: getattr(optuna.samplers, name) for name in optuna.samplers.__all__}
    return tuple(
        name
        for name, cls in classes.items()
        if inspect.isclass(cls) and not inspect.isabstract(cls) and name not in _OWN_KIND and _is_plain(name)
    )


def _is_plain(name: str) -> bool:
    parameters = _signature(name)
    required = [given for given in parameters.values() if given.default is given.empty]
    return "seed" in parameters and not required


def _parameters(name: str) -> dict[str, str]:
    """The options of a sampler that plain values can give, with their annotations."""
    return {
        option: given.annotation
        for option, given in _signature(name).items()
        if option != "seed" and set(_alternatives(given.annotation)) <= _PLAIN.keys()
    }


def _signature(name: str) -> dict[str, inspect.Parameter]:
    import optuna

    parameters = dict(inspect.signature(getattr(optuna.samplers, name).__init__).parameters)
    return {option: given for option, given in parameters.items() if option != "self"}


def _alternatives(annotation: str) -> list[str]:
    return [part.strip() for part in annotation.split("|")]


def _fits(value: object, annotation: str) -> bool:
    kinds = {kind for part in _alternatives(annotation) for kind in _PLAIN[part]}
    return isinstance(value, Mapping) if dict in kinds and isinstance(value, Mapping) else type(value) in kinds
