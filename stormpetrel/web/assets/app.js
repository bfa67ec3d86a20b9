// What is nicer with a script. Every page is whole without it; nothing here is needed to read or write.
"use strict";

(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const one = (selector, root = document) => root.querySelector(selector);

  // Times: "5 min ago" instead of a date, for a week. The date and the zone stay in the tooltip.

  const MINUTE = 60, HOUR = 3600, DAY = 86400;

  const ago = (seconds) => {
    if (seconds < MINUTE) return "just now";
    if (seconds < HOUR) return `${Math.floor(seconds / MINUTE)} min ago`;
    if (seconds < DAY) return `${Math.floor(seconds / HOUR)} h ago`;
    return `${Math.floor(seconds / DAY)} d ago`;
  };

  const showTimes = () => {
    for (const time of all("time.when")) {
      const seconds = (Date.now() - new Date(time.dateTime)) / 1000;
      // A page that stays open for a week goes back to the date.
      const text = seconds < 7 * DAY ? ago(seconds) : time.title;
      if (seconds < 7 * DAY || time.dataset.ago) {
        time.dataset.ago = "yes";
        if (time.textContent !== text) time.textContent = text;
      }
    }
  };

  // Characters: how many are left, counted as the server counts.

  const { characters, length } = window.stormpetrelLength ??
    { characters: (text) => [...text].length, length: (text) => [...text.trim()].length };

  const countIn = (form) => {
    const area = one("textarea[name=text]", form);
    const shown = one(".count", form);
    if (!area || !shown) return;
    const max = Number(shown.dataset.max);
    const update = () => {
      const warning = one("[name=spoiler_text]", form)?.value ?? "";
      const left = max - length(area.value) - characters(warning.trim());
      shown.textContent = left < 0 ? `${-left} too many` : `${left} left`;
      shown.classList.toggle("over", left < 0);
    };
    form.addEventListener("input", update);
    area.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        form.requestSubmit();
      }
    });
    if (document.activeElement === area) area.setSelectionRange(area.value.length, area.value.length);
    update();
  };

  // Fields with a limit: `maxlength` counts otherwise, and allows as much as the limit may take.

  const limit = (field) => {
    const most = Number(field.dataset.most);
    field.addEventListener("input", () => {
      const over = (field.dataset.links ? length : characters)(field.value.trim()) - most;
      field.setCustomValidity(over > 0 ? `${over} characters too many: at most ${most}` : "");
    });
  };

  // Forms that must not be sent twice. The server would notice; this saves the wait.

  const once = (form) => {
    form.addEventListener("submit", (event) => {
      if (form.dataset.sent) {
        event.preventDefault();
        return;
      }
      form.dataset.sent = "yes";
    });
  };

  // A page that comes back from memory may send its forms again.
  addEventListener("pageshow", () => {
    for (const form of all("form[data-once]")) delete form.dataset.sent;
  });

  // Favourite, boost, bookmark: without leaving the place where one reads.

  const opposite = { boost: "unboost", favourite: "unfavourite", bookmark: "unbookmark" };
  const amount = (count) => {
    for (const [size, letter] of [[1e6, "M"], [1e3, "K"]]) {
      if (count >= size) {
        const scaled = count / size;
        return (scaled < 10 ? Math.floor(scaled * 10) / 10 : Math.floor(scaled)) + letter;
      }
    }
    return String(count);
  };

  const act = async (form, button) => {
    const verb = button.dataset.act;
    const pressed = button.getAttribute("aria-pressed") === "true";
    const body = new URLSearchParams(new FormData(form));
    button.disabled = true;
    try {
      // The answer is a redirect to this very page: that it came is all that matters.
      const answer = await fetch(button.formAction, { method: "POST", body, redirect: "manual" });
      if (answer.type !== "opaqueredirect") throw new Error(`answered ${answer.status}`);
    } catch {
      // The ordinary way shows what is wrong.
      button.disabled = false;
      button.removeAttribute("data-act");
      form.requestSubmit(button);
      return;
    }
    button.disabled = false;
    button.setAttribute("aria-pressed", String(!pressed));
    button.formAction = button.formAction.replace(/[a-z]+$/, pressed ? verb : opposite[verb]);
    const count = one("span", button);
    if (count) {
      const now = Math.max(0, Number(button.dataset.count) + (pressed ? -1 : 1));
      button.dataset.count = String(now);
      count.textContent = amount(now);
      const label = button.title;
      button.setAttribute("aria-label", `${label}, ${now} so far`);
    }
    const use = one("use", button);
    if (verb !== "boost" && use) {
      const symbol = verb === "favourite" ? "star" : "bookmark";
      use.setAttribute("href", use.getAttribute("href").replace(/#.*$/, `#${symbol}${pressed ? "" : "-full"}`));
    }
    button.focus();
  };

  document.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (!button?.dataset.act) return;
    event.preventDefault();
    act(event.target, button);
  });

  // Menus close when one clicks elsewhere or presses Escape.

  const closeMenus = (except) => {
    for (const menu of all("details.more-menu[open]")) if (menu !== except) menu.open = false;
  };
  document.addEventListener("click", (event) => closeMenus(event.target.closest("details.more-menu")));

  // Keys: only where nothing is being typed, and never with a modifier.

  let marked = null;
  const mark = (post) => {
    marked?.classList.remove("marked");
    marked = post;
    if (!post) return;
    post.classList.add("marked");
    post.focus({ preventScroll: true });
    post.scrollIntoView({ block: "center" });
  };
  const step = (by) => {
    const posts = all(".post[id]");
    if (!posts.length) return;
    const at = posts.indexOf(marked);
    const next = at < 0 ? (by > 0 ? 0 : posts.length - 1) : Math.min(posts.length - 1, Math.max(0, at + by));
    mark(posts[next]);
  };
  const press = (selector) => marked && one(selector, marked)?.click();

  const keys = {
    j: () => step(1),
    k: () => step(-1),
    o: () => press("a.at"),
    r: () => press("a.reply"),
    f: () => press("button.favourite"),
    b: () => press("button.boost"),
    n: () => {
      const area = one(".compose textarea");
      if (area) area.focus();
      else one(".menu .write a")?.click();
    },
    "/": () => {
      const field = all("input[name=q]").find((input) => input.checkVisibility?.() ?? true);
      if (field) field.focus();
      // A page without navigation asks a question: no key leads away from it.
      else if (one(".menu")) location.assign("/search");
    },
    "?": () => one("#keyboard")?.showModal(),
    Escape: () => closeMenus(null),
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const target = event.target;
    if (target.closest?.("input, textarea, select, dialog[open]")) return;
    const does = keys[event.key];
    if (!does) return;
    // Escape has meanings of its own.
    if (event.key !== "Escape") event.preventDefault();
    does();
  });

  showTimes();
  setInterval(showTimes, 30000);
  // Another script has put new times on the page.
  document.addEventListener("fresh", showTimes);
  all("form.compose").forEach(countIn);
  all("form[data-once]").forEach(once);
  all("[data-most]").forEach(limit);
  for (const hint of all(".keys[hidden]")) hint.hidden = false;
})();
