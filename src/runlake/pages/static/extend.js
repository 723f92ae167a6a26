// Adds points to the end of a chart of one curve, without reading its other points again.
const runlakeExtend = (() => {
  "use strict";

  // Marks of points, and the largest number that is drawn, as in chart.js.
  const [NAN, INFINITY, MINUS_INFINITY] = [1, 2, 3];
  const LARGEST = 1e250;

  function markOf(value) {
    if (Number.isNaN(value)) return NAN;
    if (Math.abs(value) <= LARGEST) return 0;
    return value > 0 ? INFINITY : MINUS_INFINITY;
  }

  function joined(Kind, before, after) {
    const all = new Kind(before.length + after.length);
    all.set(before);
    all.set(after, before.length);
    return all;
  }

  // Add the points, and return true. Return false if they come before other points, or the curve is
  // smoothed or has a band: then nothing is added.
  function runlakeExtend(chart, xs, ys, notes) {
    const [curve] = chart.curves;
    const isAfter = !curve.x.length || xs[0] >= curve.x[curve.x.length - 1];
    if (!isAfter || curve.raw || curve.low || xs.some((x, i) => i && x < xs[i - 1])) return false;
    const marks = ys.map(markOf);
    if (curve.marks || marks.some(Boolean))
      curve.marks = joined(Uint8Array, curve.marks ?? new Uint8Array(curve.x.length), marks);
    curve.x = joined(Float64Array, curve.x, xs);
    curve.y = joined(Float64Array, curve.y, ys);
    chart.joinCurves();
    const [first, last] = [chart.xs[0], chart.xs[chart.xs.length - 1]];
    chart.extent = [chart.extent?.[0] ?? first, Math.max(chart.extent?.[1] ?? last, last)];
    chart.payload = { ...chart.payload, notes };
    chart.build();
    return true;
  }

  return runlakeExtend;
})();
