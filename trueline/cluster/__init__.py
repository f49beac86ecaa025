"""More than one process: the only place that knows Ray, torch.distributed and Slurm."""
