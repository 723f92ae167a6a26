"""Samples: a few rows that show the shape of each key's curve.

Start with `sample`; `downsample` chooses rows of a frame, `by_server` fetches a backend's sample.
"""
