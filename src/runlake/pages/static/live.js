// Receives events about a running run. If several pages of a browser show the run, one of them has
// the connection and passes the events to the others: a browser opens few connections to one host.
const runlakeLive = (() => {
  "use strict";

  const NAMES = ["rows", "again", "state", "over"];

  // Call onEvent with the name and the content of each event until the run ends. getCursor returns
  // the step from which on events are requested; onEvent may also get events for earlier steps.
  function runlakeLive(getCursor, onEvent) {
    const base = document.documentElement.dataset.base;
    const channel = new BroadcastChannel(`runlake ${base}`);
    let source = null;
    let release = null;
    let isOver = false;

    function pass(name, content) {
      if (isOver) return;
      if (name === "over") end();
      onEvent(name, content);
    }

    function connect() {
      source = new EventSource(`${base}events?cursor=${getCursor()}`);
      for (const name of NAMES)
        source.addEventListener(name, (event) => {
          const content = JSON.parse(event.data);
          channel.postMessage([name, content]);
          pass(name, content);
        });
      // The host answered that the run has ended.
      source.addEventListener("error", () => {
        if (source?.readyState === EventSource.CLOSED) pass("over", {});
      });
    }

    function disconnect() {
      source?.close();
      source = null;
      release?.();
      release = null;
    }

    function end() {
      isOver = true;
      disconnect();
      document.removeEventListener("visibilitychange", change);
      setTimeout(() => channel.close());
    }

    // Only visible pages ask for the connection. Without locks, each of them has its own.
    function change() {
      if (document.hidden) return disconnect();
      if (source || release || isOver) return undefined;
      if (!navigator.locks) return connect();
      const isEnded = new Promise((done) => (release = done));
      return navigator.locks.request(`runlake ${base}`, () => {
        if (isOver || !release || document.hidden) return undefined;
        connect();
        return isEnded;
      });
    }

    channel.addEventListener("message", ({ data: [name, content] }) => pass(name, content));
    document.addEventListener("visibilitychange", change);
    addEventListener("pagehide", disconnect);
    addEventListener("pageshow", ({ persisted }) => persisted && change());
    change();
  }

  return runlakeLive;
})();
