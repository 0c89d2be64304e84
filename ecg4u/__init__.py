"""ecg4u: paper ECGs become twelve calibrated signals, likely diagnoses and reasons to check.

A research and teaching aid, not a medical device.

>>> import ecg4u
>>> record = ecg4u.digitize("page.png")             # doctest: +SKIP
>>> classification = ecg4u.classify(record)         # doctest: +SKIP
>>> print(ecg4u.explain(record, classification))    # doctest: +SKIP

``ecg4u.analyse("page.png")`` does all of it, ``ecg4u.analyse_many(paths)`` for a cohort. What
cannot be read raises an `ECG4UError` that says what to do.

Everything heavy is imported when it is first used: the stub beside this file says what there is.
"""

import os

import lazy_loader

from ecg4u._version import __version__ as __version__

# Threads of torch that spin while they wait slow a busy machine down several fold. OpenMP reads
# this once, when torch is loaded; a choice that the environment makes stands.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

# Importing a subpackage binds its name here. These two functions share theirs with the subpackage
# that holds them, so they are bound once and for all, after it; both imports are light.
from ecg4u.digitize import digitize as digitize  # noqa: E402
from ecg4u.explain import explain as explain  # noqa: E402
