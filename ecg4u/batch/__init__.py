"""Many files: one ledger, isolated workers, resume, shards.

``inputs`` finds the files, ``task`` does one of them, ``executors`` run tasks in isolation,
``ledger`` remembers, ``run`` puts them together, ``manifest`` tabulates what came out.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
