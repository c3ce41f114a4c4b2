"""All faults of what the user wrote, told together."""

from __future__ import annotations

from bebertlab.config.document import Document, Keys, Place, show
from bebertlab.errors import UserError


class Faults:
    """Collects faults; `raise_all` turns them into one error, a line for each.

    >>> faults = Faults()
    >>> faults.add(Document.of({}, "study.yaml"), ("train", "epochs"), "must be > 0, is -1")
    >>> print(faults)
    study.yaml: train.epochs: must be > 0, is -1
    """

    def __init__(self) -> None:
        self._faults: dict[str, Place] = {}
        self._notes: dict[str, None] = {}

    def add(self, document: Document, path: Keys, what: str, *, key: bool = False) -> None:
        """Note a fault of the value at a path of a document; `key`: of its key."""
        place = document.key_place(path) if key else document.place(path)
        self.add_at(place, show(document.prefix + path), what)

    def add_at(self, place: Place, path: str, what: str) -> None:
        """Note a fault at a place; `path` is shown as it is."""
        self._faults.setdefault(": ".join(part for part in (str(place), path, what) if part), place)

    def add_error(self, error: UserError, place: Place | None = None) -> None:
        """Note a fault that already says where it is."""
        self._faults.setdefault(str(error), place or Place(origin=""))

    def note(self, text: str) -> None:
        """Add a line below all faults, once."""
        self._notes.setdefault(text)

    def extend(self, other: Faults, *, once: bool = False) -> None:
        """Note the faults of another collection; `once`: without those at a place that has a fault already."""
        known = set(self._faults.values()) if once else set()
        for text, place in other._faults.items():
            if place not in known:
                self._faults.setdefault(text, place)
        self._notes.update(other._notes)

    def __bool__(self) -> bool:
        return bool(self._faults)

    def __len__(self) -> int:
        return len(self._faults)

    def __str__(self) -> str:
        # in the order of the file; what has no line keeps its own order
        ordered = sorted(self._faults, key=lambda text: (self._faults[text].line, self._faults[text].column))
        return "\n".join([*ordered, *self._notes])

    def raise_all(self) -> None:
        """Raise what was collected, if anything was.

        Raises:
            UserError: all faults, one a line.
        """
        if self:
            raise UserError(str(self))
