"""Makes a package callable, so that `ecg4u.digitize` is both a room and the function in it."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _CallableModule(ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        function = getattr(self, self.__name__.rpartition(".")[2])
        return function(*args, **kwargs)


def make_callable(module_name: str) -> None:
    """Let the package ``module_name`` be called; the call goes to its function of the same name."""
    sys.modules[module_name].__class__ = _CallableModule
