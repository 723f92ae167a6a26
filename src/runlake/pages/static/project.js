// The page of a project. Without this script every view can still be reached by its address; with it,
// a choice changes the page in place, and charts are drawn when they scroll into view.
(() => {
  "use strict";

  // The first chart is requested alone, so that it is drawn early. Later requests ask for several
  // charts, for which the server reads each run once.
  const BATCH = runlakeData.isStatic ? 1 : 4;
  const AT_ONCE = 2;
  const NEAR = "300px";
  const PAUSE = 150;
  // Pause in milliseconds before rows are read again: if one of the runs goes on, and otherwise.
  const [BUSY, QUIET] = [5000, 30000];
  // The part of the visible range that a zoomed chart also reads on each side, so that it can be
  // panned.
  const MARGIN = 0.5;

  // Charts.

  const drawings = new WeakMap();
  const waiting = new Set();
  let [parameters, version, n_active, hasAsked] = [{}, 0, 0, false];
  let reading = new AbortController();

  const watcher = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        if (isIntersecting && drawings.get(target)?.version !== version) waiting.add(target);
        else if (!isIntersecting) waiting.delete(target);
      }
      readNext();
    },
    { rootMargin: NEAR },
  );

  function readNext() {
    while (n_active < AT_ONCE && waiting.size) {
      const figures = [...waiting].slice(0, hasAsked ? BATCH : 1);
      hasAsked = true;
      figures.forEach((figure) => waiting.delete(figure));
      n_active++;
      read(figures).finally(() => {
        n_active--;
        readNext();
      });
    }
  }

  async function read(figures) {
    const [asked, { signal }] = [version, reading];
    const key = figures.map((figure) => figure.dataset.key);
    figures.forEach((figure) => (figure.ariaBusy = "true"));
    let answers;
    try {
      const found = await runlakeData("charts", { ...parameters, key }, { signal });
      answers = new Map(found.charts.map((one) => [one.key, one]));
    } catch (error) {
      if (signal.aborted) return;
      answers = new Map(key.map((one) => [one, { error: error.message }]));
    }
    if (asked !== version) return;
    for (const figure of figures) show(figure, answers.get(figure.dataset.key));
  }

  function show(figure, { payload, error }) {
    figure.ariaBusy = null;
    figure.classList.remove("pending");
    const old = drawings.get(figure);
    const made = { version, whole: payload, range: null, timer: 0, chart: null };
    drawings.set(figure, made);
    if (!payload) {
      old?.chart?.destroy();
      sayIn(figure, error);
    } else if (old?.chart) {
      made.chart = old.chart;
      made.chart.replace(payload);
    } else {
      made.chart = runlakeCharts.draw(figure, payload, (range) => rangeChanged(figure, range));
    }
  }

  function sayIn(figure, text) {
    const head = document.createElement("figcaption");
    const note = document.createElement("p");
    head.textContent = figure.dataset.key;
    note.className = "notes";
    note.textContent = text;
    figure.replaceChildren(head, note);
  }

  function rangeChanged(figure, range) {
    const drawing = drawings.get(figure);
    if (!drawing) return;
    drawing.range = range;
    clearTimeout(drawing.timer);
    drawing.timer = setTimeout(() => readFiner(figure, drawing, range), PAUSE);
  }

  async function readFiner(figure, drawing, range) {
    if (!range) {
      drawing.chart.update(drawing.whole);
      return;
    }
    if (runlakeData.isStatic) return;
    const more = (range[1] - range[0]) * MARGIN;
    const x = drawing.whole.x.key;
    const wanted = { ...parameters, key: figure.dataset.key, x };
    wanted.low = range[0] - more;
    wanted.high = range[1] + more;
    try {
      const found = await runlakeData("charts", wanted, { signal: reading.signal });
      const { payload } = found.charts[0];
      const isWanted = drawing.range === range && drawings.get(figure) === drawing;
      if (isWanted && payload) drawing.chart.update(payload);
    } catch {
      // The chart keeps its coarser points.
    }
  }

  function startCharts() {
    const section = document.querySelector("#charts");
    if (!section || typeof uPlot === "undefined") return;
    parameters = JSON.parse(section.dataset.parameters);
    for (const figure of section.querySelectorAll("figure[data-key]")) watcher.observe(figure);
  }

  // Replace the section of charts. Move figures that are drawn already into the new section, and
  // draw its other figures.
  function changeCharts(section) {
    const old = document.querySelector("#charts");
    const known = new Map();
    for (const figure of old.querySelectorAll("figure[data-key]")) {
      known.set(figure.dataset.key, figure);
      watcher.unobserve(figure);
    }
    for (const figure of section.querySelectorAll("figure[data-key]")) {
      const drawn = known.get(figure.dataset.key);
      if (!drawn) continue;
      known.delete(figure.dataset.key);
      figure.replaceWith(drawn);
    }
    for (const figure of known.values()) drawings.get(figure)?.chart?.destroy();
    const isOther = old.dataset.parameters !== section.dataset.parameters;
    old.replaceWith(section);
    waiting.clear();
    if (isOther) {
      reading.abort();
      reading = new AbortController();
      hasAsked = false;
      version++;
    }
    startCharts();
  }

  // Choices.

  let going = null;
  let nChanges = 0;

  async function go(address, { keeps = "pushState" } = {}) {
    going?.abort();
    nChanges++;
    going = new AbortController();
    const { signal } = going;
    let [made, url] = [null, address];
    try {
      const answer = await fetch(address, { signal });
      url = answer.url;
      made = new DOMParser().parseFromString(await answer.text(), "text/html");
    } catch {
      if (signal.aborted) return;
    }
    // If the answer is another page, such as the login, the browser opens it as usual.
    if (!made?.querySelector("[data-part='runs']")) {
      location.assign(address);
      return;
    }
    if (keeps) history[keeps](null, "", url);
    document.title = made.title;
    change(made);
  }

  function change(made) {
    const focus = focusOf();
    const isOpen = document.querySelector("details.filter")?.open;
    const section = made.querySelector("#charts");
    for (const old of document.querySelectorAll("[data-part]")) {
      const part = made.querySelector(`[data-part='${old.dataset.part}']`);
      if (!part) continue;
      if (part === section) changeCharts(document.adoptNode(section));
      else old.replaceWith(document.adoptNode(part));
    }
    const filter = document.querySelector("details.filter");
    if (filter && isOpen) filter.open = true;
    start();
    setFocus(focus);
  }

  function focusOf() {
    const active = document.activeElement;
    return active?.dataset.focus ?? active?.id;
  }

  function setFocus(focus) {
    if (!focus) return;
    const candidates = [...document.querySelectorAll("[data-focus], [id]")];
    const same = candidates.find((one) => (one.dataset.focus ?? one.id) === focus);
    same?.focus({ preventScroll: true });
  }

  // Rows of the table, which change while runs go on.

  const namesOf = (part) => [...part.querySelectorAll("tr[data-run]")].map((row) => row.dataset.run);
  // Return a text that changes if rows or columns are added, removed or moved.
  const frameOf = (part) =>
    JSON.stringify([
      namesOf(part),
      part.querySelector("thead")?.textContent,
      part.querySelector(".line span")?.textContent,
    ]);

  function showRows(fresh) {
    const old = document.getElementById("runs");
    if (frameOf(old) === frameOf(fresh)) {
      const rows = [...old.querySelectorAll("tr[data-run]")];
      [...fresh.querySelectorAll("tr[data-run]")].forEach((row, i) => {
        // The first cell is kept, because it has the choices of the reader.
        [...row.cells].slice(1).forEach((cell, c) => {
          const shown = rows[i].cells[c + 1];
          if (shown.innerHTML !== cell.innerHTML) shown.replaceWith(document.adoptNode(cell));
        });
      });
      return;
    }
    const [focus, place] = [focusOf(), old.querySelector(".scrolled")];
    const [left, top] = [place?.scrollLeft ?? 0, place?.scrollTop ?? 0];
    old.replaceWith(document.adoptNode(fresh));
    fresh.querySelector(".scrolled")?.scrollTo(left, top);
    start();
    setFocus(focus);
  }

  async function readRows() {
    const [address, change] = [location.href, nChanges];
    const made = await runlakeData.readPage();
    const fresh = made?.getElementById("runs");
    // If the reader made another choice meanwhile, the rows are not those of this choice.
    if (!fresh || address !== location.href || change !== nChanges) return;
    showRows(fresh);
  }

  function pauseOf() {
    const isBusy = document.querySelector("#runs .state:is([data-state=running], [data-state=pending])");
    return isBusy ? BUSY : QUIET;
  }

  function addressOf(form, submitter) {
    const query = new URLSearchParams();
    for (const [name, value] of new FormData(form, submitter)) if (value) query.append(name, value);
    const text = query.toString();
    return text ? `${form.action.split("?")[0]}?${text}` : form.action.split("?")[0];
  }

  // Return whether this script handles a link or a form; the browser handles all others.
  const isSoft = (element) => element?.dataset.soft !== undefined;

  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href]");
    const isPlain = event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey);
    if (!isSoft(link) || !isPlain) return;
    event.preventDefault();
    go(link.href);
  });

  document.addEventListener("submit", (event) => {
    const { target: form, submitter } = event;
    if (submitter?.dataset.noSoft !== undefined || !(isSoft(form) || form.id === "runs")) return;
    event.preventDefault();
    go(addressOf(form, submitter));
  });

  let selecting = 0;
  document.addEventListener("change", (event) => {
    const { target } = event;
    nChanges++;
    if (target.form?.id === "runs") {
      clearTimeout(selecting);
      const { form } = target;
      selecting = setTimeout(() => go(addressOf(form), { keeps: "replaceState" }), PAUSE);
    } else if (["by", "band", "log"].includes(target.id)) {
      target.form.requestSubmit();
    }
  });

  window.addEventListener("popstate", () => go(location.href, { keeps: null }));

  document.addEventListener("keydown", (event) => {
    const { target, key } = event;
    if (key === "/" && !target.closest("input, textarea, select")) {
      event.preventDefault();
      document.querySelector("#search")?.focus();
      return;
    }
    if (target.type !== "checkbox" || target.form?.id !== "runs") return;
    const boxes = [...target.form.querySelectorAll("input[type='checkbox']")];
    const at = boxes.indexOf(target);
    if (key === "Enter") {
      event.preventDefault();
      target.closest("tr").querySelector("th a")?.click();
    } else if (key === "ArrowDown" || key === "ArrowUp") {
      event.preventDefault();
      const next = boxes[at + (key === "ArrowDown" ? 1 : -1)];
      if (!next) return;
      next.focus();
      if (event.shiftKey && next.checked !== target.checked) next.click();
    }
  });

  function start() {
    // With this script, a selection is drawn at once, so the button for it is hidden.
    for (const button of document.querySelectorAll("#runs button.plain:not([id])"))
      button.hidden = true;
  }

  start();
  startCharts();
  if (document.querySelector("#runs[data-live]")) runlakeData.repeat(pauseOf, readRows);
})();
