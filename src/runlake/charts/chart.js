// Draws the charts of a page with uPlot. html.py writes the payloads; names in them are set as text
// only, never as markup. Pages can call runlakeCharts.draw themselves: it calls its last argument
// with the range after each zoom, update() of its result draws finer points, replace() other curves.
const runlakeCharts = (() => {
  "use strict";

  const ARRAYS = { f4: Float32Array, f8: Float64Array, u1: Uint8Array };
  const NUMBERS = ["x", "y", "marks", "raw", "low", "high"];
  const MARKS = ["", "NaN", "\u221e", "-\u221e", "\u2264 0"];
  const [NAN, INFINITY, BELOW_LOG] = [1, 2, 4];
  const ZOOM_STEP = 0.25;
  // Larger numbers count as infinite, as in series.py: the differences of axes would overflow.
  const LARGEST = 1e250;

  // Numbers.

  function decode([kind, text, first]) {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    if (kind === "d4") {
      let sum = first;
      return Float64Array.from(new Float32Array(bytes.buffer), (step) => (sum += step));
    }
    return new ARRAYS[kind](bytes.buffer);
  }

  // The numbers that the curves of a payload name: its buffers may be those of other charts too.
  function arraysOf({ curves, buffers }) {
    const places = curves.flatMap((curve) => NUMBERS.map((name) => curve[name]));
    const named = new Set(places.filter((place) => place !== undefined));
    return new Map([...named].map((place) => [place, decode(buffers[place])]));
  }

  // The points of all curves in one ascending x axis. Equal values of x stay separate points.
  function join(curves) {
    const xs = [];
    const places = curves.map((curve) => new Int32Array(curve.x.length));
    const next = curves.map(() => 0);
    for (;;) {
      let low = Infinity;
      curves.forEach((curve, c) => {
        if (next[c] < curve.x.length) low = Math.min(low, curve.x[next[c]]);
      });
      if (low === Infinity) return { xs, places };
      const start = xs.length;
      curves.forEach((curve, c) => {
        for (let at = start; curve.x[next[c]] === low; at++, next[c]++) {
          if (at === xs.length) xs.push(low);
          places[c][next[c]] = at;
        }
      });
    }
  }

  // uPlot interrupts a line at null, and skips undefined.
  function column(values, places, length, isLog) {
    const cells = Array(length).fill(undefined);
    values.forEach((value, i) => {
      const isDrawn = Math.abs(value) <= LARGEST && (!isLog || value > 0);
      cells[places[i]] = isDrawn ? value : null;
    });
    return cells;
  }

  // The last position whose place is not behind one of the joined axis.
  function positionAt(places, index) {
    let [low, high] = [0, places.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (places[middle] <= index) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  // Text.

  function short(value) {
    if (Number.isNaN(value)) return "NaN";
    if (!Number.isFinite(value)) return value > 0 ? "\u221e" : "-\u221e";
    return String(Number(value.toPrecision(6)));
  }

  function tick(value, step) {
    if (value === null || value === undefined) return "";
    const size = Math.abs(value);
    if (size === 0) return "0";
    if (!step) return short(value);
    if (size >= 1e15 || size < 1e-3) return Number(value.toPrecision(4)).toExponential();
    for (const [unit, name] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e4, "k"]]) {
      const scale = unit === 1e4 ? 1e3 : unit;
      // Neighbours must differ in the digits that are shown.
      if (size >= unit && step >= scale / 1e3)
        return (value / scale).toFixed(decimals(step / scale)) + name;
    }
    const digits = decimals(step);
    const form = { minimumFractionDigits: digits, maximumFractionDigits: digits };
    return value.toLocaleString("en-US", form);
  }

  function decimals(step) {
    let n = 0;
    while (n < 8 && Math.abs(step * 10 ** n - Math.round(step * 10 ** n)) > 1e-6) n++;
    return n;
  }

  // Pixels between ticks of the x axis, so that their texts do not overlap.
  function tickSpace(plot, index, low, high) {
    const step = 10 ** Math.floor(Math.log10((high - low) / 8 || 1));
    return Math.max(60, 16 + 7.5 * tick(high, step).length);
  }

  // In UTC, as in the other drawers: the day at the first tick of each day.
  function timeTicks(moments, step) {
    let day = "";
    return moments.map((moment) => {
      const text = new Date(moment * 1000).toISOString();
      if (step >= 86400) return text.slice(0, 10);
      const time = text.slice(11, step >= 60 ? 16 : 19);
      const isNew = text.slice(0, 10) !== day;
      day = text.slice(0, 10);
      return isNew ? `${time}\n${day}` : time;
    });
  }

  function element(parent, name, className, text) {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    parent.append(made);
    return made;
  }

  // Drawing.

  function drawMark(context, kind, x, box) {
    const size = 4 * devicePixelRatio;
    const isTop = kind === INFINITY;
    const y = isTop ? box.top + size + 1 : box.top + box.height - size - 1;
    context.beginPath();
    if (kind === NAN) {
      context.moveTo(x - size, y - size);
      context.lineTo(x + size, y + size);
      context.moveTo(x + size, y - size);
      context.lineTo(x - size, y + size);
      context.stroke();
      return;
    }
    const tip = isTop ? -size : size;
    context.moveTo(x, y + tip);
    context.lineTo(x - size, y - tip);
    context.lineTo(x + size, y - tip);
    context.closePath();
    if (kind === BELOW_LOG) context.stroke();
    else context.fill();
  }

  function axisWidth(plot, values, index, cycle) {
    const axis = plot.axes[index];
    if (cycle > 1) return axis._size;
    const longest = (values || []).reduce((a, b) => (b.length > a.length ? b : a), "");
    plot.ctx.font = axis.font[0];
    const width = plot.ctx.measureText(longest).width / devicePixelRatio;
    return Math.ceil(axis.ticks.size + axis.gap + width + 8);
  }

  // Points that have no neighbour to be connected with.
  function alone(curve, cells) {
    const found = [];
    curve.places.forEach((place, i) => {
      const [before, after] = [cells[curve.places[i - 1]], cells[curve.places[i + 1]]];
      if (cells[place] !== null && (before ?? null) === null && (after ?? null) === null)
        found.push(place);
    });
    return found;
  }

  class Chart {
    constructor(root, payload, onRange) {
      this.root = root;
      this.onRange = onRange;
      this.hidden = new Set();
      this.range = null;
      this.extent = null;
      root.tabIndex = 0;
      this.ended = new AbortController();
      const { signal } = this.ended;
      root.addEventListener("keydown", (event) => this.onKey(event), { signal });
      const theme = matchMedia("(prefers-color-scheme: dark)");
      theme.addEventListener("change", () => this.build(), { signal });
      this.sizes = new ResizeObserver(() => this.resize());
      this.sizes.observe(root);
      this.update(payload);
    }

    // Free what the chart uses; its place becomes empty.
    destroy() {
      this.ended.abort();
      this.sizes.disconnect();
      this.plot?.destroy();
      this.plot = null;
      this.root.replaceChildren();
      this.root.removeAttribute("tabindex");
    }

    // Draw another payload in the same place: the same curves, with other points.
    update(payload) {
      const arrays = arraysOf(payload);
      const [known, before] = [this.curves, this.legendOf(this.payload)];
      this.payload = payload;
      this.isLog = this.isLog ?? payload.y.log;
      this.curves = payload.curves.map((curve) => {
        const found = { ...curve };
        for (const name of NUMBERS)
          if (curve[name] !== undefined) found[name] = arrays.get(curve[name]);
        return found;
      });
      this.joinCurves();
      // Finer points are only a part of the axis: the first payload has its ends.
      if (!this.extent && this.xs.length) this.extent = [this.xs[0], this.xs[this.xs.length - 1]];
      // Elements stay if they can: one of them may have the focus.
      if (before === this.legendOf(payload))
        this.curves.forEach((curve, c) => {
          ({ button: curve.button, shown: curve.shown } = known[c]);
        });
      else this.layOut();
      this.build();
    }

    legendOf(payload) {
      const curves = payload?.curves.map(({ label, color, dash }) => [label, color, dash]);
      return JSON.stringify([payload?.title, curves]);
    }

    joinCurves() {
      const { xs, places } = join(this.curves);
      this.xs = xs;
      this.curves.forEach((curve, c) => (curve.places = places[c]));
    }

    setLog(isLog) {
      if (this.isLog === isLog) return;
      this.isLog = isLog;
      this.log.ariaPressed = String(isLog);
      this.build();
    }

    layOut() {
      const { title } = this.payload;
      this.root.replaceChildren();
      const head = element(this.root, "figcaption");
      element(head, "span", "", title);
      this.place = element(head, "output", "", "");
      const log = element(head, "button", "switch", "log");
      log.type = "button";
      log.title = "Logarithmic y axis";
      log.ariaPressed = String(this.isLog);
      log.addEventListener("click", () => this.setLog(!this.isLog));
      this.log = log;
      this.box = element(this.root, "div", "plot");
      this.box.role = "img";
      const legend = element(this.root, "ul", "legend");
      this.curves.forEach((curve, c) => this.addToLegend(legend, curve, c));
      this.notes = element(this.root, "p", "notes");
    }

    addToLegend(legend, curve, c) {
      const button = element(element(legend, "li"), "button");
      button.type = "button";
      button.title = "Hide or show; with Alt, show only this one";
      button.ariaPressed = String(!this.hidden.has(c));
      const line = element(button, "i");
      line.style.borderColor = curve.color;
      if (curve.dash.length) line.style.borderTopStyle = "dashed";
      element(button, "b", "", curve.label);
      curve.shown = element(button, "output", "", "");
      button.addEventListener("click", (event) => this.toggle(c, event.altKey));
      curve.button = button;
    }

    toggle(c, isOnly) {
      const others = this.curves.map((_, i) => i).filter((i) => i !== c);
      if (isOnly) this.hidden = new Set(this.hidden.size === others.length ? [] : others);
      else if (!this.hidden.delete(c)) this.hidden.add(c);
      this.curves.forEach((curve, i) => {
        curve.button.ariaPressed = String(!this.hidden.has(i));
        for (const s of curve.series) this.plot.setSeries(s, { show: !this.hidden.has(i) });
      });
    }

    // The columns, series and bands of uPlot.
    columns() {
      const hasPositive = this.curves.some((curve) => curve.y.some((y) => y > 0 && y <= LARGEST));
      this.onLog = this.isLog && hasPositive;
      const [data, series, bands] = [[this.xs], [{}], []];
      this.curves.forEach((curve, c) => {
        curve.series = [];
        const add = (values, options) => {
          const cells = column(values, curve.places, this.xs.length, this.onLog);
          curve.series.push(data.length);
          data.push(cells);
          const look = { show: !this.hidden.has(c), stroke: curve.color, dash: curve.dash };
          series.push({ ...look, points: { show: false, size: 0 }, ...options });
          return cells;
        };
        if (curve.low) {
          add(curve.high, { width: 0 });
          add(curve.low, { width: 0 });
          bands.push({ series: [data.length - 2, data.length - 1], fill: `${curve.color}33` });
        }
        if (curve.raw) add(curve.raw, { width: 1, alpha: 0.25 });
        const cells = add(curve.y, { width: 1.5, points: { size: 5, fill: curve.color } });
        const single = alone(curve, cells);
        const isSparse = curve.x.length <= 60;
        Object.assign(series[series.length - 1].points, {
          show: () => isSparse,
          filter: (plot, s, show) => (show ? null : single),
        });
        curve.main = data.length - 1;
      });
      return { data, series, bands };
    }

    build() {
      const style = getComputedStyle(this.root);
      const [text, grid] = ["--text", "--grid"].map((name) => style.getPropertyValue(name));
      const { x, y, height } = this.payload;
      const { data, series, bands } = this.columns();
      const axis = { stroke: text, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid } };
      const ticks = (isLog) => (plot, splits, index, space, step) =>
        splits.map((value) => tick(value, isLog ? 0 : step));
      const times = (plot, splits, index, space, step) => timeTicks(splits, step);
      const [low, high] = y.range;
      const isFixed = low !== null && high !== null && !(this.onLog && low <= 0);
      const { range } = this;
      this.plot?.destroy();
      this.plot = new uPlot(
        {
          width: this.width(),
          height,
          tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
          legend: { show: false },
          cursor: {
            // Only the crosshair is shared: each zoom is of one chart.
            sync: {
              key: `x ${x.key}`,
              scales: ["x", null],
              setSeries: false,
              filters: { pub: (type) => !["mousedown", "mouseup"].includes(type) },
            },
            dataIdx: (plot, s, index) => this.nearest(s, index),
            bind: {
              dblclick: () => () => this.showAll(),
              mousedown: (plot, target, handle) => (event) => this.press(event, handle),
              mousemove: (plot, target, handle) => (event) => this.isMoved || handle(event),
            },
          },
          scales: {
            x: { time: x.time, distr: x.log ? 3 : 1 },
            y: { distr: this.onLog ? 3 : 1, ...(isFixed ? { range: [low, high] } : {}) },
          },
          axes: [
            {
              ...axis,
              label: x.time ? `${x.label} (UTC)` : x.label,
              labelSize: 20,
              size: x.time ? 46 : 34,
              ...(x.time || x.log ? {} : { space: tickSpace }),
              values: x.time ? times : ticks(x.log),
            },
            { ...axis, size: axisWidth, values: ticks(this.onLog) },
          ],
          series,
          bands,
          hooks: {
            draw: [(plot) => this.drawMarks(plot)],
            setCursor: [(plot) => this.showValues(plot)],
            setScale: [(plot, key) => key === "x" && this.onScale(plot)],
          },
        },
        data,
        this.box,
      );
      if (range) this.plot.setScale("x", { min: range[0], max: range[1] });
      this.showNotes();
    }

    width() {
      return Math.max(200, this.root.clientWidth);
    }

    resize() {
      const width = this.width();
      if (this.plot && this.plot.width !== width)
        this.plot.setSize({ width, height: this.payload.height });
    }

    onScale(plot) {
      const { min, max } = plot.scales.x;
      const isWhole = !this.extent || (min <= this.extent[0] && max >= this.extent[1]);
      const range = isWhole ? null : [min, max];
      if (String(range) === String(this.range)) return;
      this.range = range;
      if (!this.isMoved) this.onRange?.(range);
    }

    // With Shift, the range moves with the pointer; else uPlot zooms.
    press(event, zoom) {
      if (event.button !== 0) return null;
      if (!event.shiftKey) return zoom(event);
      const [from, { min, max }, before] = [event.clientX, this.plot.scales.x, this.range];
      const ending = new AbortController();
      let [x, frame] = [from, 0];
      this.isMoved = true;
      const draw = () => {
        frame = 0;
        this.moveRange(min, max, (from - x) / this.plot.over.clientWidth);
      };
      const move = (moved) => {
        x = moved.clientX;
        frame ||= requestAnimationFrame(draw);
      };
      const release = () => {
        ending.abort();
        if (frame) cancelAnimationFrame(frame);
        draw();
        this.isMoved = false;
        if (String(before) !== String(this.range)) this.onRange?.(this.range);
      };
      document.addEventListener("mousemove", move, { signal: ending.signal });
      document.addEventListener("mouseup", release, { signal: ending.signal });
      return null;
    }

    // Draw other curves in the same place, on another axis perhaps.
    replace(payload) {
      const labels = this.curves.map((curve) => curve.label);
      const hidden = new Set([...this.hidden].map((c) => labels[c]));
      const places = payload.curves.flatMap(({ label }, c) => (hidden.has(label) ? [c] : []));
      this.hidden = new Set(places);
      this.range = this.extent = null;
      this.update(payload);
    }

    // Show a range of the x axis, moved by a share of its length.
    moveRange(min, max, share) {
      const [to, from] = this.xScale();
      const step = (to(max) - to(min)) * share;
      this.plot.setScale("x", { min: from(to(min) + step), max: from(to(max) + step) });
    }

    // The functions to and from a scale on which equal distances are equally long.
    xScale() {
      return this.payload.x.log ? [Math.log, Math.exp] : [Number, Number];
    }

    showAll() {
      if (this.extent) this.plot.setScale("x", { min: this.extent[0], max: this.extent[1] });
    }

    markOf(curve, i) {
      const kind = curve.marks ? curve.marks[i] : 0;
      return kind || (this.onLog && curve.y[i] <= 0 ? BELOW_LOG : 0);
    }

    drawMarks(plot) {
      const { ctx: context, bbox: box } = plot;
      context.save();
      context.lineWidth = 1.5 * devicePixelRatio;
      this.curves.forEach((curve, c) => {
        if (this.hidden.has(c)) return;
        context.strokeStyle = context.fillStyle = curve.color;
        for (let i = 0; i < curve.x.length; i++) {
          const kind = this.markOf(curve, i);
          if (!kind) continue;
          const at = plot.valToPos(curve.x[i], "x", true);
          if (at >= box.left && at <= box.left + box.width) drawMark(context, kind, at, box);
        }
      });
      context.restore();
    }

    // The nearest point of a series to a place of the joined axis, for the hovered point.
    nearest(s, index) {
      const curve = this.curves.find((one) => one.series.includes(s));
      if (!curve || !curve.places.length || s !== curve.main) return index;
      const at = Math.max(positionAt(curve.places, index), 0);
      const [left, right] = [curve.places[at], curve.places[at + 1]];
      return right !== undefined && right - index < index - left ? right : left;
    }

    showValues(plot) {
      const index = plot.cursor.idx;
      const isShown = index !== null && index !== undefined;
      const { x } = this.payload;
      const value = isShown ? this.xs[index] : 0;
      const place = x.time ? new Date(value * 1000).toISOString().slice(0, 19) : short(value);
      this.place.textContent = isShown ? `${x.label}: ${place}` : "";
      for (const curve of this.curves) {
        const at = isShown ? positionAt(curve.places, index) : -1;
        const mark = at < 0 ? 0 : this.markOf(curve, at);
        const shown = at < 0 ? "" : short(curve.y[at]);
        curve.shown.textContent = mark === NAN && shown !== "NaN" ? `${shown} (NaN)` : shown;
      }
    }

    showNotes() {
      const notes = [...this.payload.notes];
      let n = 0;
      if (this.onLog) for (const { y } of this.curves) n += y.filter((v) => v <= 0).length;
      if (n) notes.push(`marked: ${n} ${MARKS[BELOW_LOG]}, not on a log axis`);
      if (this.isLog && !this.onLog) notes.push("no value above 0, so the axis is linear");
      this.notes.textContent = notes.join(" \u00b7 ");
      this.box.ariaLabel = `${this.payload.title}: ${notes.join("; ")}`;
    }

    onKey(event) {
      if (event.target !== this.root) return;
      const last = this.xs.length - 1;
      const at = this.plot.cursor.idx ?? 0;
      const { min, max } = this.plot.scales.x;
      const isPan = event.shiftKey;
      const keys = {
        ArrowLeft: () =>
          isPan ? this.moveRange(min, max, -ZOOM_STEP) : this.moveTo(Math.max(at - 1, 0)),
        ArrowRight: () =>
          isPan ? this.moveRange(min, max, ZOOM_STEP) : this.moveTo(Math.min(at + 1, last)),
        "+": () => this.zoomBy(-ZOOM_STEP),
        "-": () => this.zoomBy(ZOOM_STEP),
        Escape: () => this.showAll(),
      };
      if (!keys[event.key] || !this.xs.length) return;
      event.preventDefault();
      keys[event.key]();
    }

    // Zoom out by a share of the range at both ends. A log axis has no values of 0 and less.
    zoomBy(share) {
      const [to, from] = this.xScale();
      const { min, max } = this.plot.scales.x;
      const step = (to(max) - to(min)) * share;
      this.plot.setScale("x", { min: from(to(min) - step), max: from(to(max) + step) });
    }

    moveTo(index) {
      this.plot.setCursor({ left: this.plot.valToPos(this.xs[index], "x"), top: 10 });
    }
  }

  function draw(root, payload, onRange) {
    return new Chart(root, payload, onRange);
  }

  // The payload of a figure stands in the script element after it.
  for (const root of document.querySelectorAll(".runlake-chart")) {
    const data = root.nextElementSibling;
    if (data?.type === "application/json") draw(root, JSON.parse(data.textContent));
  }
  return { draw };
})();
