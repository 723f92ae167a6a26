// Draws the charts of a run when they come near the view, and frees them when they are far from it.
// Names of keys are only set as text, never as HTML.
(() => {
  "use strict";

  // Distances from the view, in pixels: where charts are drawn, and where they are freed.
  const [NEAR, FAR] = [400, 1600];
  // The same sizes in pixels as in run.css: the places of charts are known before they are drawn.
  const [CELL_WIDTH, CELL_HEIGHT, GAP] = [400, 356, 12];
  const CHUNK = 12;
  const SWEEP = 500;
  const BATCH = 8;
  const MAX_REQUESTS = 2;
  const STATIC_POINTS = 2000;
  const MAX_RECENT = 200;
  // A chart of a running run with more points than this is sampled again.
  const MAX_POINTS = 3000;
  const [REREAD, RELIST] = [4000, 5000];

  const root = document.getElementById("charts");
  if (!root || typeof runlakeCharts === "undefined") return;
  const form = root.querySelector("form");
  const { search, x: axis, smooth, log } = form.elements;
  const groups = document.getElementById("groups");
  const { stream, pins: pinsOf } = root.dataset;
  const isLive = root.dataset.live !== undefined;
  const cells = new Map();
  const [cellOf, chunkOf] = [new WeakMap(), new WeakMap()];
  const wanted = new Set();
  const recent = [];
  let contents = { groups: [], axes: {}, choices: [], hidden: [], end: 0 };
  let [keys, hidden] = [new Set(), new Set()];
  let chunks = [];
  let width = 0;
  let requests = 0;
  let cursor = 0;
  let isOver = false;

  // Elements.

  function element(parent, name, className, text) {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    parent?.append(made);
    return made;
  }

  function say(id, text) {
    const place = document.getElementById(id);
    place.textContent = text ?? "";
    place.hidden = !text;
  }

  // Settings; the address of the page has them, so that a reader can send it to others.

  function view() {
    const weight = Number(smooth.value);
    return {
      x: axis.value,
      smooth: weight ? String(weight) : "",
      log: log.ariaPressed === "true" ? "1" : "",
    };
  }

  // Return the step up to which the page has rows, as a parameter: an answer must not be older.
  function known() {
    return isLive && cursor ? { end: cursor } : {};
  }

  function remember() {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries({ search: search.value, ...view() }))
      if (value) query.set(name, value);
    const text = query.toString();
    history.replaceState(null, "", text ? `?${text}` : location.pathname);
  }

  function readPins() {
    try {
      const found = JSON.parse(localStorage.getItem(`runlake-pins ${pinsOf}`));
      return new Set(Array.isArray(found) ? found.filter((key) => typeof key === "string") : []);
    } catch {
      return new Set();
    }
  }

  const pins = readPins();

  function writePins() {
    try {
      localStorage.setItem(`runlake-pins ${pinsOf}`, JSON.stringify([...pins]));
    } catch {
      // Storage is refused or full: the pins are lost when the page is closed.
    }
  }

  // Read charts; the charts of one answer share the buffers of their numbers.
  async function readCharts(asked) {
    const answer = await runlakeData(`${stream}charts`, asked);
    for (const { payload } of answer.charts) if (payload) payload.buffers ??= answer.buffers;
    return answer;
  }

  // Cells; each is the place of one chart.

  class Cell {
    constructor(key) {
      this.key = key;
      this.box = element(null, "div", "cell");
      this.box.dataset.key = key;
      this.name = element(this.box, "p", "name", key);
      this.chart = null;
      this.isNear = false;
      this.isStale = this.isExtended = false;
      this.range = null;
      this.ticket = 0;
      cells.set(key, this);
      cellOf.set(this.box, this);
      near.observe(this.box);
    }

    // Return the cell of a key; create it if there is none.
    static of(key) {
      return cells.get(key) ?? new Cell(key);
    }

    drop() {
      this.free();
      near.unobserve(this.box);
      wanted.delete(this);
      cells.delete(this.key);
      this.box.remove();
    }

    // Draw the answer of the server: a chart, or the reason why there is none.
    draw({ payload, reason }, end) {
      this.isStale = this.isExtended = false;
      this.end = end;
      this.payload = payload;
      if (!payload) {
        this.free();
        this.reason = element(this.box, "p", "empty", reason);
        this.box.dataset.state = "empty";
        return;
      }
      const isOther = this.chart && this.chart.payload.x.key !== payload.x.key;
      if (isOther || this.reason) this.free();
      if (this.chart) {
        if (this.range) return this.zoom(this.range);
        this.chart.extent = null;
        this.chart.update(payload);
      } else {
        this.name.remove();
        this.figure = element(this.box, "figure", "runlake-chart");
        this.chart = runlakeCharts.draw(this.figure, payload, (range) => this.zoom(range));
        this.addTools();
      }
      this.counts = payload.counts;
      this.say("drawn");
      for (const news of recent) this.extend(news);
      return undefined;
    }

    say(state) {
      this.box.dataset.state = state;
      this.box.dataset.points = this.counts.shown;
    }

    addTools() {
      const tools = element(this.box, "div", "cell-tools");
      this.tools = tools;
      const pin = element(tools, "button", "", "Pin");
      pin.type = "button";
      pin.title = "Show this chart first";
      pin.ariaPressed = String(pins.has(this.key));
      pin.addEventListener("click", () => {
        if (!pins.delete(this.key)) pins.add(this.key);
        pin.ariaPressed = String(pins.has(this.key));
        writePins();
        arrange();
        chunks.find(({ keys }) => keys.includes(this.key))?.fill();
        pin.focus({ preventScroll: true });
      });
      if (stream || runlakeData.isStatic) return;
      const more = element(tools, "details");
      element(more, "summary", "", "Data");
      for (const suffix of ["json", "csv", "parquet"]) {
        const link = element(more, "a", "", suffix);
        link.href = runlakeData.address("history", { key: this.key }, suffix);
        link.download = "";
        more.append(" ");
      }
      element(more, "code", "", `run.frame([${JSON.stringify(this.key)}])`);
    }

    // Free the chart; its place stays.
    free() {
      if (!this.box.dataset.state) return;
      this.chart?.destroy();
      this.chart = this.payload = this.counts = null;
      for (const part of [this.figure, this.tools, this.reason]) part?.remove();
      this.figure = this.tools = this.reason = null;
      this.box.prepend(this.name);
      this.range = null;
      delete this.box.dataset.state;
    }

    async zoom(range) {
      const mine = ++this.ticket;
      this.range = range;
      if (runlakeData.isStatic) return;
      if (!range && !this.isStale && !this.isExtended) {
        this.counts = this.payload.counts;
        this.chart.update(this.payload);
        this.say("drawn");
        return;
      }
      const asked = range ? { low: range[0], high: range[1] } : {};
      try {
        const answer = await readCharts({ key: this.key, ...view(), ...known(), ...asked });
        if (mine !== this.ticket || !this.chart) return;
        const [{ payload }] = answer.charts;
        if (!payload) return;
        if (!range) return void this.draw({ payload }, answer.end);
        this.counts = payload.counts;
        this.chart.update(payload);
        this.say("zoomed");
        say("problem", "");
      } catch (error) {
        say("problem", error.message);
      }
    }

    // Add new rows of a running run.
    extend({ cursor: end, keys }) {
      if (!this.chart || end <= this.end) return;
      const start = this.end;
      this.end = end;
      const found = keys[this.key];
      if (!found) return;
      if (this.range || this.payload.curves[0].raw !== undefined) {
        this.isStale = true;
        return;
      }
      const [xs, ys] = pointsOf(found, keys, this.chart.payload.x.key, start);
      if (!xs.length) return;
      const counts = { shown: this.counts.shown + xs.length, all: this.counts.all + xs.length };
      const old = this.chart.payload.notes;
      if (counts.shown > MAX_POINTS || !runlakeExtend(this.chart, xs, ys, notesOf(counts, old))) {
        this.isStale = true;
        wanted.add(this);
        return;
      }
      this.counts = counts;
      this.isExtended = true;
      this.say("drawn");
      this.box.dataset.cursor = end;
    }
  }

  function notesOf({ shown, all }, [, ...others]) {
    const [few, many] = [shown, all].map((n) => n.toLocaleString("en-US"));
    const points = `${many} ${all === 1 ? "point" : "points"}`;
    return [shown === all ? points : `${few} of ${points}`, ...others];
  }

  function numberOf(value) {
    return typeof value === "string" ? Number(value) : value;
  }

  function pointsOf([steps, values], keys, xKey, start) {
    const isStep = xKey === "_step";
    const places = new Map(isStep ? [] : (keys[xKey]?.[0] ?? []).map((step, i) => [step, i]));
    const [xs, ys] = [[], []];
    steps.forEach((step, i) => {
      const x = isStep ? step : keys[xKey]?.[1][places.get(step)];
      if (step < start || typeof x !== "number") return;
      xs.push(x);
      ys.push(numberOf(values[i]));
    });
    return [xs, ys];
  }

  // Cells near the view are wanted. Chunks of cells far from the view are emptied.

  const near = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        const cell = cellOf.get(target);
        cell.isNear = isIntersecting;
        if (isIntersecting && (!cell.box.dataset.state || cell.isStale)) wanted.add(cell);
        else if (!isIntersecting) wanted.delete(cell);
      }
      pump();
    },
    { rootMargin: `${NEAR}px` },
  );
  const far = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries)
        if (isIntersecting) chunkOf.get(target).fill();
        else chunkOf.get(target).empty();
    },
    { rootMargin: `${FAR}px` },
  );

  // Return the next cells to draw: visible cells first, then from top to bottom.
  function nextBatch() {
    const placed = [...wanted].map((cell) => ({ cell, at: cell.box.getBoundingClientRect() }));
    const isSeen = ({ at }) => at.bottom > 0 && at.top < innerHeight;
    placed.sort((a, b) => isSeen(b) - isSeen(a) || a.at.top - b.at.top || a.at.left - b.at.left);
    const some = placed.slice(0, runlakeData.isStatic ? 1 : BATCH).map(({ cell }) => cell);
    for (const cell of some) wanted.delete(cell);
    return some;
  }

  function pump() {
    while (requests < MAX_REQUESTS && wanted.size) read(nextBatch());
  }

  async function read(some) {
    requests += 1;
    const asked = JSON.stringify(view());
    const points = runlakeData.isStatic ? { points: STATIC_POINTS } : { ...view(), ...known() };
    try {
      const keys = some.map((cell) => cell.key);
      const answer = await readCharts({ key: keys, ...points });
      say("problem", "");
      answer.charts.forEach((chart, i) => {
        const cell = some[i];
        if (!cell.isNear) return;
        // The settings were changed meanwhile.
        if (asked !== JSON.stringify(view())) wanted.add(cell);
        else cell.draw(chart, answer.end);
      });
    } catch (error) {
      say("problem", error.message);
    }
    requests -= 1;
    pump();
  }

  function redraw() {
    for (const cell of cells.values()) {
      if (!cell.box.dataset.state) continue;
      cell.isStale = true;
      if (cell.isNear) wanted.add(cell);
    }
    pump();
  }

  // Groups. The cells of a group are divided into chunks; only chunks near the view have cells.

  class Chunk {
    constructor(parent, keys) {
      this.keys = keys;
      this.isFilled = false;
      this.box = element(parent, "div", "grid");
      chunkOf.set(this.box, this);
      this.keepPlace();
      far.observe(this.box);
    }

    keepPlace() {
      const nColumns = Math.max(1, Math.floor((width + GAP) / (CELL_WIDTH + GAP)));
      const height = Math.ceil(this.keys.length / nColumns) * (CELL_HEIGHT + GAP) - GAP;
      if (!this.isFilled) this.box.style.height = `${height}px`;
    }

    fill() {
      if (this.isFilled) return;
      this.isFilled = true;
      this.box.style.height = "";
      this.box.append(...this.keys.map((key) => Cell.of(key).box));
    }

    empty() {
      if (!this.isFilled) return;
      this.isFilled = false;
      for (const box of [...this.box.children]) cellOf.get(box).drop();
      this.keepPlace();
    }
  }

  function groupOf(name, n, isOpen) {
    const details = element(groups, "details", "group");
    details.open = isOpen;
    const summary = element(details, "summary", "", name);
    element(summary, "span", "faint", ` (${n.toLocaleString("en-US")})`);
    return details;
  }

  // Return a function that tests whether a key matches all words of a text. A word with * must
  // match the whole key; other words may be anywhere in it.
  function matcher(text) {
    const tests = text
      .toLowerCase()
      .split(/\s+/)
      .filter(Boolean)
      .map((word) => {
        if (!word.includes("*")) return (key) => key.includes(word);
        const parts = word.split("*").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
        const pattern = new RegExp(`^${parts.join(".*")}$`, "s");
        return (key) => pattern.test(key);
      });
    return (key) => tests.every((test) => test(key.toLowerCase()));
  }

  // Build the groups of the keys that are shown; the group of pinned keys comes first.
  function arrange() {
    const text = search.value.trim();
    const isFound = matcher(text);
    // A search also shows keys that define_metric hides.
    const isShown = (key) => (text ? isFound(key) : !hidden.has(key));
    const pinned = [...pins].filter((key) => keys.has(key));
    const others = contents.groups.map(([name, some]) => [name, some.filter((key) => !pins.has(key))]);
    const closed = new Set(
      [...groups.children].filter(({ open }) => !open).map(({ dataset }) => dataset.name),
    );
    far.disconnect();
    groups.replaceChildren();
    width = groups.clientWidth;
    chunks = [];
    let n = 0;
    for (const [name, some] of [["Pinned", pinned], ...others]) {
      const found = some.filter(isShown);
      n += found.length;
      if (!found.length) continue;
      const group = groupOf(name, found.length, !closed.has(name));
      group.dataset.name = name;
      for (let at = 0; at < found.length; at += CHUNK)
        chunks.push(new Chunk(group, found.slice(at, at + CHUNK)));
    }
    setTimeout(sweep, SWEEP);
    const [few, many] = [n, keys.size].map((number) => number.toLocaleString("en-US"));
    document.getElementById("found").textContent =
      (n === keys.size ? many : `${few} of ${many}`) + (keys.size === 1 ? " chart" : " charts");
    say("reason", keys.size && text && !n ? `No key matches ${text}.` : contents.reason);
  }

  // Drop the cells that are no longer in a chunk.
  function sweep() {
    for (const cell of [...cells.values()]) if (!cell.box.isConnected) cell.drop();
  }

  function fillAxes() {
    const chosen = axis.value || axis.dataset.chosen;
    const [declared] = axis.options;
    axis.replaceChildren(declared);
    for (const name of new Set([...contents.choices, ...(chosen ? [chosen] : [])]))
      axis.add(new Option(name, name));
    axis.value = chosen;
    axis.disabled = runlakeData.isStatic;
  }

  async function list() {
    contents = await runlakeData(`${stream}contents`, known());
    hidden = new Set(contents.hidden);
    keys = new Set(contents.groups.flatMap(([, some]) => some));
    if (!isOver) onState(contents.state);
    fillAxes();
    arrange();
  }

  // Settings.

  function later(call, pause) {
    let timer = 0;
    return () => {
      clearTimeout(timer);
      timer = setTimeout(call, pause);
    };
  }

  function showWeight() {
    form.elements.weight.value = Number(smooth.value) ? smooth.value : "off";
  }

  form.addEventListener("submit", (event) => event.preventDefault());
  search.addEventListener("input", later(() => (arrange(), remember()), 100));
  smooth.addEventListener("input", showWeight);
  smooth.addEventListener("input", later(() => (remember(), redraw()), 150));
  axis.addEventListener("change", () => (remember(), redraw()));
  log.addEventListener("click", () => {
    const isLog = log.ariaPressed !== "true";
    log.ariaPressed = String(isLog);
    for (const cell of cells.values()) cell.chart?.setLog(isLog);
    remember();
  });
  if (runlakeData.isStatic) smooth.disabled = true;
  new ResizeObserver(() => {
    if (groups.clientWidth === width) return;
    width = groups.clientWidth;
    for (const chunk of chunks) chunk.keepPlace();
  }).observe(groups);

  // Live updates.

  function onState(state) {
    const badge = document.querySelector(".state");
    badge.textContent = badge.dataset.state = state;
  }

  let isListing = false;

  function relist() {
    if (isListing) return;
    isListing = true;
    setTimeout(() => {
      isListing = false;
      list().catch(() => {});
    }, RELIST);
  }

  function onRows(news) {
    if (news.from > cursor) return onAgain(news);
    cursor = Math.max(cursor, news.cursor);
    recent.push(news);
    if (recent.length > MAX_RECENT) recent.shift();
    for (const cell of cells.values()) cell.extend(news);
    if (Object.keys(news.keys).some((key) => !key.startsWith("_") && !keys.has(key))) relist();
    return undefined;
  }

  function onAgain(news) {
    cursor = news.cursor;
    recent.length = 0;
    redraw();
    relist();
  }

  function onEvent(name, content) {
    if (name === "rows") onRows(content);
    else if (name === "again") onAgain(content);
    else if (content.state) onState(content.state);
    if (name !== "over") return;
    isOver = true;
    say("problem", content.problem);
    list().then(redraw, () => {});
  }

  // Read the charts again that could not be extended: all together, every few seconds.
  function rereadStale() {
    for (const cell of cells.values())
      if (cell.isStale && cell.isNear && cell.chart && !cell.range) wanted.add(cell);
    pump();
  }

  showWeight();
  list().then(
    () => {
      cursor = contents.end;
      root.dataset.ready = "";
      if (!isLive) return;
      if (stream) setInterval(() => document.hidden || redraw(), 15000);
      else setInterval(rereadStale, REREAD);
      const onSystemEvent = (name, { state }) => state && onState(state);
      runlakeLive(() => cursor, stream ? onSystemEvent : onEvent);
    },
    (error) => say("problem", error.message),
  );
})();
