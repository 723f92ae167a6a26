"""Samples: few rows that keep the shape of each key.

Start with `sample`; `downsample` chooses rows of a frame, `by_server` fetches a backend's sample.
"""
