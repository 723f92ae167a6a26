"""Ratios against the wandb SDK and bare engines, measured side by side."""
