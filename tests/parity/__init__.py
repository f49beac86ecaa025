"""TRL's own losses beside ours, on the same rows and models. `cases` is the table; benchmarks/parity.py writes it out."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing here needs the network
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # half of the trainers are; the page says which
