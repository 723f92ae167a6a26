// Reads the data of a page: from the addresses below the page, or, in a static copy, from the files
// beside it. Every script of a page reads through runlakeData.
const runlakeData = (() => {
  "use strict";

  const root = document.documentElement;
  const isStatic = root.dataset.static !== undefined;
  // In a static copy, data.json names the file with the answer to each request.
  let index = null;

  // Return pairs of key and text, ascending by key; a list gives one pair for each of its values.
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
  // { key: "loss" }). A static copy has only the data that the page shows at first: the promise is
  // rejected for other data.
  async function runlakeData(name, parameters = {}, options = {}) {
    if (!isStatic) return fetched(root.dataset.base + addressOf(name, parameters), options);
    index ??= fetched("data.json");
    const file = (await index)[JSON.stringify([name, pairsOf(parameters)])];
    if (file === undefined) throw new Error("This static copy has no finer data.");
    return fetched(file, options);
  }

  // Call a function again and again while the page is visible, and at once when it becomes visible
  // again, until the function returns false. pauseOf returns the pause in milliseconds. A call that
  // fails is repeated after the pause.
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

  // Read this page again; return null if the server answers with another page, such as the login.
  async function readPage() {
    const answer = await fetch(location.href);
    if (!answer.ok || answer.redirected) return null;
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  }

  Object.assign(runlakeData, { isStatic, repeat, readPage });
  // Return the address of data in a format, for links: runlakeData.address("history", {}, "csv").
  runlakeData.address = (name, parameters = {}, suffix = "json") =>
    root.dataset.base + addressOf(name, parameters).replace(/\.json(?=$|\?)/, `.${suffix}`);
  return runlakeData;
})();
