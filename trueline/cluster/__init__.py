"""Work beyond one process and one machine: the only room that knows Ray and torch.distributed."""
