"""Benchmarks: ratios against the wandb SDK and plain engines, measured in the same run."""
