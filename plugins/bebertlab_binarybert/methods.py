"""How many bits each method of quantization has, and which method a paper takes for how many."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

FULL = 32  #: bits of what is not quantized


@frozen(kw_only=True)
class Methods:
    """The methods for one kind of tensor, and the options of a scheme that choose among them."""

    bits_option: str  #: the field that says how many bits
    method_option: str  #: the field that names a method
    usual: Mapping[int, str]  #: what the paper takes, by bits
    bits: Mapping[str, tuple[int, int]]  #: the fewest and the most of each method

    def choose(self, bits: int, named: str | None) -> str | None:
        """The method for so many bits, None for full precision; `named` is the user's choice, if any.

        Raises:
            ValueError: the method does not have so many bits, or no one says which one has them.

        >>> WEIGHTS.choose(2, None), WEIGHTS.choose(2, "laq"), WEIGHTS.choose(32, None)
        ('twn', 'laq', None)
        """
        if named is None:
            if bits != FULL and bits not in self.usual:
                usual = ", ".join(f"{number} ({method})" for number, method in self.usual.items())
                others = ", ".join(f"{method} {self._range(method)}" for method in self.bits)
                raise ValueError(
                    f"'{self.bits_option}' must be {usual} or 32 (none), as in the paper, unless"
                    f" `{self.method_option}` names a method ({others} bits): {bits}"
                )
            return self.usual.get(bits)
        if named not in self.bits:
            raise ValueError(f"'{self.method_option}' must be one of {', '.join(self.bits)}: {named}")
        fewest, most = self.bits[named]
        if not fewest <= bits <= most:
            right = self._range(named)
            raise ValueError(f"'{self.bits_option}' must be {right} for `{self.method_option}: {named}`: {bits}")
        return named

    def _range(self, method: str) -> str:
        fewest, most = self.bits[method]
        return str(fewest) if fewest == most else f"{fewest} to {most}"


WEIGHTS = Methods(
    bits_option="weight_bits",
    method_option="weights",
    usual={1: "bwn", 2: "twn", 4: "uniform", 8: "uniform"},
    bits={"bwn": (1, 1), "twn": (2, 2), "laq": (1, 16), "uniform": (2, 16)},
)
ACTIVATIONS = Methods(
    bits_option="activation_bits",
    method_option="activations",
    usual={4: "lsq", 8: "uniform"},
    bits={"uniform": (2, 16), "lsq": (2, 16)},
)
