"""The doctor's side: a service for one clinic, its page, and the first ECG4U's API."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
