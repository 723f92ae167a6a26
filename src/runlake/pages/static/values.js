// Shows only those rows of a table of values whose text has all words of the search, and reads the
// values of a running run again.
(() => {
  "use strict";

  const PAUSE = 3000;
  const section = document.getElementById("values-part");
  const badge = document.querySelector(".state");

  function filter() {
    const input = document.getElementById("filter");
    if (!input) return;
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let n = 0;
    for (const row of section.querySelectorAll("tbody tr")) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      n += !row.hidden;
    }
    document.getElementById("found").textContent = `${n.toLocaleString("en-US")} ${n === 1 ? "value" : "values"}`;
  }

  section.addEventListener("submit", (event) => event.preventDefault());
  section.addEventListener("input", filter);

  // Replace only rows that differ: the reader may have opened a value, or write into the search.
  function show(fresh) {
    const [old, made] = [section, fresh].map((one) => one.querySelector("tbody"));
    if (!old || !made) {
      section.replaceChildren(...document.adoptNode(fresh).childNodes);
      return;
    }
    const known = new Map([...old.rows].map((row) => [row.cells[0].textContent, row]));
    const rows = [...made.rows].map((row) => {
      const same = known.get(row.cells[0].textContent);
      const isSame = same?.cells[1].textContent === row.cells[1].textContent;
      return isSame ? same : document.adoptNode(row);
    });
    if (rows.length !== old.rows.length || rows.some((row) => !row.isConnected))
      old.replaceChildren(...rows);
  }

  async function update() {
    const made = await runlakeData.readPage();
    const fresh = made?.getElementById("values-part");
    if (!fresh) return true;
    show(fresh);
    filter();
    const state = made.querySelector(".state");
    badge.textContent = badge.dataset.state = state.dataset.state;
    return state.dataset.live !== undefined;
  }

  if (badge.dataset.live !== undefined) runlakeData.repeat(() => PAUSE, update);
})();
