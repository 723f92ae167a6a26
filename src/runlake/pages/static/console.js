// Adds new console lines of a running run. If the reader is at the end, the page stays there.
(() => {
  "use strict";

  const PAUSE = 1500;
  const MAX_LINES = 5000;
  const box = document.getElementById("console");
  const reason = document.getElementById("reason");
  const shown = new Map();
  for (const line of box.children) shown.set(Number(line.dataset.number), line);
  const toEnd = () => (box.scrollTop = box.scrollHeight);

  function write(line) {
    let row = shown.get(line.number);
    if (!row) {
      row = document.createElement("p");
      row.dataset.number = line.number;
      shown.set(line.number, row);
      box.append(row);
    }
    row.className = line.level === "error" ? "wrong" : "said";
    row.title = line.time;
    const text = line.label ? `${line.label} ${line.text}` : line.text;
    if (row.textContent !== text) row.textContent = text;
  }

  async function update() {
    const isAtEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
    const answer = await runlakeData("tail");
    answer.lines.forEach(write);
    for (const number of shown.keys()) {
      if (shown.size <= MAX_LINES) break;
      shown.get(number).remove();
      shown.delete(number);
    }
    reason.hidden = shown.size > 0;
    if (isAtEnd) toEnd();
  }

  toEnd();
  if (box.dataset.live === undefined) return;
  runlakeData.repeat(() => PAUSE, update);
})();
