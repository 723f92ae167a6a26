"""W&B's names over the layers below."""
