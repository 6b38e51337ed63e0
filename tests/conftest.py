"""What all tests share: how hypothesis searches.

Where CI is set, the same examples are tried every time, so that a change is judged by what it changed; elsewhere each
run tries new ones. HYPOTHESIS_PROFILE=thorough tries many more.
"""

import os

from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("usual", deadline=None)
settings.register_profile("thorough", max_examples=2000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "usual"))
