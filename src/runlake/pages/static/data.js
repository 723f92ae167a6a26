// Reads the data of a page: from the addresses below the page, or, in a static copy, from the files
// beside it. Every script of a page reads through runlakeData.
const runlakeData = (() => {
  "use strict";

  const root = document.documentElement;
  const isStatic = root.dataset.static !== undefined;
  // In a static copy, data.json says which file has the answer to a question.
  let index = null;

  // Keys and values as text, in the order of the keys; a list is several values of one key.
  function pairsOf(parameters) {
    const isGiven = (value) => value !== null && value !== undefined && value !== "";
    return Object.keys(parameters)
      .sort()
      .flatMap((key) => [parameters[key]].flat().filter(isGiven).map((value) => [key, `${value}`]));
  }

  function addressOf(name, parameters) {
    const text = new URLSearchParams(pairsOf(parameters)).toString();
    return text ? `${name}.json?${text}` : `${name}.json`;
  }

  async function fetched(address, options) {
    const answer = await fetch(address, options);
    const value = await answer.json().catch(() => null);
    if (answer.ok) return value;
    throw new Error(value?.error ?? `${answer.status} ${answer.statusText}`);
  }

  // Return a promise of the JSON at an address below the page, such as runlakeData("charts",
  // { key: "loss" }). A static copy has only what the page shows at first, so a promise can fail.
  async function runlakeData(name, parameters = {}, options = {}) {
    if (!isStatic) return fetched(root.dataset.base + addressOf(name, parameters), options);
    index ??= fetched("data.json");
    const file = (await index)[JSON.stringify([name, pairsOf(parameters)])];
    if (file === undefined) throw new Error("This static copy has no finer data.");
    return fetched(file, options);
  }

  // Call a function again and again while the page is seen, and at once when a reader comes back to
  // it, until it returns false. The pause is in milliseconds. What fails is tried again.
  async function repeat(pauseOf, call) {
    for (;;) {
      await new Promise((done) => {
        const timer = setTimeout(done, pauseOf());
        const again = () => (clearTimeout(timer), done());
        document.addEventListener("visibilitychange", again, { once: true });
      });
      if (!document.hidden && (await call().catch(() => null)) === false) return;
    }
  }

  // Return this page as it is now; null if another one comes in its place, such as the login.
  async function readPage() {
    const answer = await fetch(location.href);
    if (!answer.ok || answer.redirected) return null;
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  }

  Object.assign(runlakeData, { isStatic, repeat, readPage });
  // The address of data in another format, for links: runlakeData.address("history", {}, "csv").
  runlakeData.address = (name, parameters = {}, suffix = "json") =>
    root.dataset.base + addressOf(name, parameters).replace(/\.json(?=$|\?)/, `.${suffix}`);
  return runlakeData;
})();
