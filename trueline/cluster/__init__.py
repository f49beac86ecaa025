"""Engines beyond one process: torch.distributed for training, and executors for everything else."""
