"""Samples: a few rows that show the shape of each key's curve.

To understand this package, begin with `sample`. `downsample` chooses rows of a frame, `candidates`
chooses rows of a history that is too long for one frame, and `by_server` fetches a backend's
sample.
"""
