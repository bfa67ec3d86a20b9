// The control room: shows fresh figures every two seconds, until they are paused. The page has a Refresh link without this.
"use strict";

(() => {
  const EVERY_MS = 2000;
  const toggle = document.getElementById("live-toggle");
  const live = document.getElementById("live");
  let runs = true;

  toggle.hidden = false;
  toggle.addEventListener("click", () => {
    runs = !runs;
    toggle.textContent = runs ? "Pause updates" : "Resume updates";
  });

  const look = async () => {
    try {
      // Do not take a button away from under a finger or a keyboard.
      if (runs && !document.hidden && !live.contains(document.activeElement)) {
        const answer = await fetch("/admin/shield", { headers: { accept: "text/html" } });
        const fresh = answer.ok && new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live");
        if (fresh) live.replaceChildren(...fresh.children);
      }
    } catch { /* The next look may succeed. */ }
    setTimeout(look, EVERY_MS);
  };

  setTimeout(look, EVERY_MS);
})();
