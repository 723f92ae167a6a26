// Shows only those rows of a table of values whose text has all words of the search.
(() => {
  "use strict";

  const input = document.getElementById("filter");
  const found = document.getElementById("found");
  const rows = [...document.querySelectorAll("#values tbody tr")];
  const texts = rows.map((row) => row.textContent.toLowerCase());

  input?.form.addEventListener("submit", (event) => event.preventDefault());
  input?.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let n = 0;
    rows.forEach((row, i) => {
      row.hidden = !words.every((word) => texts[i].includes(word));
      n += !row.hidden;
    });
    found.textContent = `${n.toLocaleString("en-US")} values`;
  });
})();
