"""One thread for every test: the models are tiny, results are bit-identical, and a second thread would only spin."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
