from __future__ import annotations

import importlib
import inspect
import pkgutil

from bebertlab import api, interfaces


def test_everything_it_offers_exists_and_is_listed_once() -> None:
    assert sorted(set(api.__all__)) == sorted(api.__all__)
    assert all(hasattr(api, name) for name in api.__all__)


def test_every_class_of_the_interfaces_is_offered() -> None:
    modules = [
        importlib.import_module(f"bebertlab.interfaces.{m.name}") for m in pkgutil.iter_modules(interfaces.__path__)
    ]
    own = {
        name
        for module in modules
        for name, item in vars(module).items()
        if inspect.isclass(item) and item.__module__ == module.__name__ and not name.startswith("_")
    }
    assert own <= set(api.__all__)
