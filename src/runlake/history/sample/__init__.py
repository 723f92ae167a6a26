"""Samples: few rows that keep the shape of each key.

Start with `sample`; `downsample` chooses rows of a frame, `candidates` those of a history that is
too long for one frame, and `by_server` fetches a backend's sample.
"""
