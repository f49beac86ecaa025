"""The one training loop. An algorithm is three words: a source, annotations, an objective."""
