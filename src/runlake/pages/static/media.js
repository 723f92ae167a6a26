// Shows the media of the step that the reader chooses with the slider.
(() => {
  "use strict";

  const root = document.getElementById("media");
  const slider = document.getElementById("at");
  if (!slider) return;
  const gallery = document.getElementById("gallery");
  const problem = document.getElementById("problem");
  const steps = root.dataset.steps.split(" ");
  let asked = 0;

  function figureOf(item, index, step) {
    const figure = document.createElement("figure");
    const query = new URLSearchParams({ key: root.dataset.key, step, index });
    const address = `${document.documentElement.dataset.base}media-file?${query}`;
    const shown = document.createElement(item.kind === "image" ? "img" : "a");
    if (item.kind === "image") {
      shown.src = address;
      shown.alt = item.caption || item.name;
      if (item.width && item.height) [shown.width, shown.height] = [item.width, item.height];
    } else {
      shown.href = address;
      shown.download = "";
      shown.textContent = `${item.kind}: ${item.name}`;
    }
    const caption = document.createElement("figcaption");
    caption.textContent = item.caption;
    figure.append(shown, caption);
    return figure;
  }

  async function show() {
    const step = steps[slider.value];
    const mine = ++asked;
    document.getElementById("step").textContent = step;
    try {
      const answer = await runlakeData("media", { key: root.dataset.key, step });
      if (mine !== asked) return;
      gallery.replaceChildren(...answer.items.map((item, index) => figureOf(item, index, step)));
      problem.hidden = true;
    } catch (error) {
      problem.textContent = error.message;
      problem.hidden = false;
    }
  }

  slider.addEventListener("input", show);
})();
