"""Property tests draw the same examples in every run, so that a red run is a change of ours."""

from hypothesis import settings

settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")
