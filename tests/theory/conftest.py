from hypothesis import settings

# the same examples on every run, no matter how slow the machine, and nothing left behind
settings.register_profile("theory", deadline=None, derandomize=True, database=None, max_examples=60)
settings.load_profile("theory")
