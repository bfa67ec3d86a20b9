// The phone simulator: shows what comes back without a reload. The page has a Refresh button for browsers without this.
"use strict";

(() => {
  const FAST_MS = 700, SLOW_MS = 5000, FAST_FOR_MS = 15000;
  const began = Date.now();
  const texts = document.getElementById("texts");

  // Without the times, which app.js shows as "5 min ago".
  const words = (element) => [...element.querySelectorAll(".bubble")].map((bubble) => bubble.textContent).join("\n");
  const toEnd = () => { texts.scrollTop = texts.scrollHeight; };

  const look = async () => {
    try {
      if (!document.hidden) {
        const answer = await fetch(location.href, { headers: { accept: "text/html" } });
        const fresh = answer.ok && new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("texts");
        if (fresh && fresh.children.length && words(fresh) !== words(texts)) {
          texts.replaceChildren(...fresh.children);
          document.dispatchEvent(new Event("fresh"));
          toEnd();
        }
      }
    } catch { /* The next look may succeed. */ }
    setTimeout(look, Date.now() - began < FAST_FOR_MS ? FAST_MS : SLOW_MS);
  };

  toEnd();
  setTimeout(look, FAST_MS);
})();
