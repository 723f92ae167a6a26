"""Charts: one description of curves, and a drawer for each output.

To understand this package, begin with `chart`, which describes a chart, and `curves`, which turns
its rows into the points that are drawn. `series` has the values that both use, `smoothing`
prepares values, and `names` labels and colours. Then read the drawers: `html` with `chart.js`,
`terminal`, `matplotlib_figure`, `plotly_figure` and `sparkline`. The package knows no runs.
"""
