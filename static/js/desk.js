// The little script of the desk. Every page works without it; it adds keys, copying, hiding of
// secrets, marks on what changed, and a word when the connection is lost.
"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const typing = (element) => element.closest("input, textarea, select, [contenteditable]") !== null;

  // --- Notices ------------------------------------------------------------------------------
  const GLYPH = "http://www.w3.org/2000/svg";
  function notice(text, tone, key) {
    const place = document.getElementById("toasts");
    if (!place || (key && place.querySelector(`[data-about="${key}"]`))) return;
    const toast = document.createElement("div");
    toast.className = "toast";
    if (key) toast.dataset.about = key;
    const svg = document.createElementNS(GLYPH, "svg");
    svg.setAttribute("class", `glyph tone-${tone}`);
    svg.setAttribute("aria-hidden", "true");
    const use = document.createElementNS(GLYPH, "use");
    use.setAttribute("href", `#g-${tone}`);
    svg.append(use);
    const words = document.createElement("p");
    words.textContent = text;
    const close = document.createElement("button");
    close.type = "button";
    close.className = "link";
    close.textContent = "Close";
    close.addEventListener("click", () => toast.remove());
    toast.append(svg, words, close);
    place.append(toast);
  }
  const settled = (key) => all(`#toasts [data-about="${key}"]`).forEach((toast) => toast.remove());

  document.addEventListener("htmx:responseError", (event) => {
    const status = event.detail.xhr.status;
    if (status === 403) notice("Your role does not allow this; nothing was done.", "bad", "failed");
    else if (status === 404) notice("That is not there any more. Load the page again.", "bad", "failed");
    else notice("The desk could not do that. What you typed is kept; try again.", "bad", "failed");
  });
  for (const lost of ["htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(lost, () => {
      notice("No connection. What you typed is kept; trying again.", "bad", "connection");
    });
  }
  document.addEventListener("htmx:afterOnLoad", () => settled("connection"));

  // --- Live parts: rest while nobody looks, wake when somebody does ---------------------------
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (document.hidden && event.detail.elt.hasAttribute("data-poll")) event.preventDefault();
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    all("[data-poll]").forEach((part) => part.dispatchEvent(new CustomEvent("wake")));
  });

  // A swap keeps what the person opened, and marks what reads differently since the page came.
  const first = new Map();
  const read = (root) => {
    for (const row of all("[data-mark][id]", root)) {
      if (!first.has(row.id)) first.set(row.id, row.dataset.mark);
    }
  };
  const mark = (root) => {
    for (const row of all("[data-mark][id]", root)) {
      if (first.has(row.id) && first.get(row.id) !== row.dataset.mark) row.classList.add("changed");
    }
  };
  const open = new Set();
  const ticked = new Set();
  document.addEventListener("htmx:beforeSwap", (event) => {
    const pressed = event.detail.requestConfig.elt;
    if (pressed.isConnected && pressed.matches("[data-more]")) noteMore(pressed);
    open.clear();
    ticked.clear();
    all(".pick input[id]:checked").forEach((box) => ticked.add(box.id));
    all("details[id][open]").forEach((details) => open.add(details.id));
    read(document);
    remember();
  });
  document.addEventListener("htmx:afterSwap", () => {
    open.forEach((id) => {
      const details = document.getElementById(id);
      if (details) details.open = true;
    });
    ticked.forEach((id) => {
      const box = document.getElementById(id);
      if (box) box.checked = true;
    });
    mark(document);
    ready(document);
    goOn();
  });
  // What went wrong takes the focus, once.
  function focusNews() {
    const wanted = document.querySelector("main [data-focus]:not([data-focused])");
    if (!wanted) return;
    wanted.dataset.focused = "yes";
    // Whoever has come to the buttons of a question is not sent back to its heading.
    const question = wanted.closest(".confirm-box");
    if (question && question.contains(document.activeElement)) return;
    wanted.focus();
    (wanted.closest(".field") || wanted).scrollIntoView({ block: "nearest" });
  }

  // --- The focus stays where somebody works ----------------------------------------------------
  const HEADINGS = "h1, h2, h3";
  // What a closed menu hides has a place on the page all the same; only this tells them apart.
  const isSeen = (element) => element.checkVisibility();
  const byId = (id) => (id && document.getElementById(id)) || null;
  function land(element, options) {
    if (element.tabIndex < 0 && !element.hasAttribute("tabindex")) element.tabIndex = -1;
    element.focus(options);
  }
  // What an element is called without an id: the answer to a form holds the same buttons again.
  function callOf(element) {
    const tag = element.tagName;
    if (tag === "SUMMARY") return [tag, "", element.parentElement.id];
    if (tag === "A") return [tag, "", element.getAttribute("href")];
    if (!("form" in element)) return [tag, "", element.textContent];
    const form = element.form ? element.form.id || element.form.getAttribute("action") : "";
    const isChoice = element.matches("button, [type=checkbox], [type=radio]");
    return [tag, form, `${element.name} ${isChoice ? element.value : ""}`];
  }
  const called = (call) => all(call[0]).filter((one) => callOf(one).every((part, n) => part === call[n]));
  // Noted before a part of the page is replaced: what has the focus, and where it stands.
  let lost = null;
  function remember() {
    const element = document.activeElement;
    if (!element || element === document.body) {
      if (lost && lost.element.isConnected) lost = null;
      return;
    }
    const around = [];
    for (let part = element.parentElement; part; part = part.parentElement) {
      if (part.id) around.push(part.id);
    }
    const call = callOf(element);
    const at = called(call).indexOf(element);
    lost = { element, around, call, at, byKey: element.matches(":focus-visible") };
  }
  // When what had the focus is gone: to the same again, else to the heading of its place. Whoever
  // has gone elsewhere in the meantime is left alone.
  function keepFocus() {
    if (!lost || (lost.element.isConnected && isSeen(lost.element))) return;
    const { element, around, call, at, byKey } = lost;
    lost = null;
    const active = document.activeElement;
    if (active && active !== document.body && isSeen(active)) return;
    const again = byId(element.id) || called(call)[at];
    // What was chosen in a menu is behind its opener now.
    const shut = again && again.closest("details:not([open])");
    const same = shut ? shut.querySelector("summary") : again;
    if (same && isSeen(same)) {
      land(same, { preventScroll: true });
      return;
    }
    const place = around.map(byId).find((part) => part && isSeen(part)) || byId("main");
    for (let part = place; part; part = part.parentElement) {
      const heading = all(HEADINGS, part).find(isSeen);
      if (!heading) continue;
      // Somebody with a mouse is not taken away from where they look.
      land(heading, { preventScroll: !byKey });
      return;
    }
  }
  document.addEventListener("htmx:afterSettle", () => { focusNews(); keepFocus(); });

  // A link that shows more of a table is gone with the answer. Whoever pressed it goes on at the
  // first row that is new, and finds it where the link stood: the browser would hold on to what
  // stands below the table, and put as many rows as have come between the two.
  const rowLinks = () => all("main tbody th[scope=row] a");
  let more = null;
  function noteMore(link) {
    const top = link.getBoundingClientRect().top;
    more = { top, there: new Set(rowLinks().map((row) => row.getAttribute("href"))) };
  }
  function goOn() {
    if (!more) return;
    const { top, there } = more;
    more = null;
    const row = rowLinks().find((one) => !there.has(one.getAttribute("href")));
    if (!row) return;
    if (document.activeElement === document.body) land(row, { preventScroll: true });
    scrollBy({ top: row.getBoundingClientRect().top - top, behavior: "instant" });
  }

  // A question that opens in place is read first; Escape takes it back.
  function ask(confirm) {
    const question = confirm.querySelector(`:scope > :not(summary) :is(${HEADINGS}, b, label)`);
    if (question) land(question.control || question);
  }
  function takeBack(confirm) {
    confirm.open = false;
    confirm.querySelector("summary").focus();
  }
  document.addEventListener("click", (event) => {
    const target = event.target instanceof Element ? event.target : null;
    const summary = target && target.closest("details.confirm > summary");
    // The browser opens it after this.
    if (summary) setTimeout(() => { if (summary.parentElement.open) ask(summary.parentElement); }, 0);
    const jump = target && target.closest('a[href^="#"]');
    const there = jump && byId(jump.hash.slice(1));
    if (there && there.matches("details.confirm")) {
      there.open = true;
      setTimeout(() => ask(there), 0);
    }
  });
  // A page that opens at one of its parts: Tab goes on from there.
  function arrive() {
    const there = byId(location.hash.slice(1));
    if (!there || !there.closest("main") || document.activeElement !== document.body) return;
    const wrong = document.querySelector("main [data-focus]");
    if (wrong) {
      wrong.focus();
      return;
    }
    if (there.matches("details.confirm")) {
      there.open = true;
      ask(there);
      return;
    }
    const first = (wanted) => all(wanted, there).find(isSeen);
    land(first(HEADINGS) || first("input, select, textarea") || there, { preventScroll: true });
  }

  // --- Ages go on while the page is open ------------------------------------------------------
  setInterval(() => {
    if (document.hidden) return;
    const now = Date.now();
    for (const time of all("time[data-ago]")) {
      const seconds = Math.max(0, Math.floor((now - Date.parse(time.dateTime)) / 1000));
      if (seconds < 60) time.textContent = `${seconds} s ago`;
      else if (seconds < 3600) time.textContent = `${Math.floor(seconds / 60)} min ago`;
    }
  }, 5000);

  // --- Secrets hide themselves ----------------------------------------------------------------
  const SECRET_SECONDS = 30;
  function hide(secret) {
    const hadFocus = secret.contains(document.activeElement);
    all("[data-secret-value], [data-secret-hide]", secret).forEach((part) => part.remove());
    all("[hidden]", secret).forEach((part) => { part.hidden = false; });
    const show = secret.querySelector("button");
    if (hadFocus && show) show.focus({ preventScroll: true });
    const live = document.getElementById("live");
    if (!held || !live) return;
    held = false;
    const url = live.getAttribute("hx-get").replace(/token=[0-9a-f]*/, "token=");
    htmx.ajax("GET", url, { source: live, target: live, swap: "outerHTML" });
  }
  // News must not take away what somebody is just reading out: the part is brought up to date
  // when the secret is hidden again.
  let held = false;
  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    if (!event.detail.target.querySelector("[data-secret-value]")) return;
    event.preventDefault();
    held = true;
  });
  function watchSecrets(root) {
    for (const secret of all("[data-secret]", root)) {
      if (secret.dataset.watched || !secret.querySelector("[data-secret-value]")) continue;
      secret.dataset.watched = "yes";
      setTimeout(() => hide(secret), SECRET_SECONDS * 1000);
    }
  }
  // A page kept by the Back button must not show what was revealed.
  addEventListener("pagehide", () => all("[data-secret]").forEach((secret) => {
    if (secret.querySelector("[data-secret-value]")) hide(secret);
  }));

  // --- Buttons --------------------------------------------------------------------------------
  document.addEventListener("click", (event) => {
    const target = event.target instanceof Element ? event.target : null;
    if (!target) return;
    const held = target.closest('[aria-disabled="true"]');
    if (held) {
      event.preventDefault();
      event.stopPropagation();
      return;
    }
    const hider = target.closest("a[data-secret-hide]");
    if (hider) {
      event.preventDefault();
      hide(hider.closest("[data-secret]"));
    }
    const copier = target.closest("[data-copy]");
    if (copier) {
      navigator.clipboard.writeText(copier.dataset.copy).then(() => {
        const before = copier.textContent;
        copier.textContent = "Copied";
        setTimeout(() => { copier.textContent = before; }, 2000);
      }, () => notice("The browser did not allow copying.", "us", "copy"));
    }
    const opener = target.closest("[data-open]");
    if (opener) {
      const nav = document.getElementById("nav");
      if (nav && nav.matches(":popover-open")) nav.hidePopover();
      const dialog = document.getElementById(opener.dataset.open);
      for (const line of all("[data-here]", dialog)) {
        line.hidden = !document.querySelector(`main [data-key="${line.dataset.here}"]`);
      }
      dialog.showModal();
    }
    const closer = target.closest("[data-close]");
    const confirm = closer && closer.closest("details");
    if (confirm) {
      event.preventDefault();
      takeBack(confirm);
    }
    // A menu closes when somebody clicks elsewhere.
    for (const menu of all("details.menu[open]")) if (!menu.contains(target)) menu.open = false;
  }, true);

  // On a telephone a menu may open behind the bar at the bottom.
  document.addEventListener("toggle", (event) => {
    const menu = event.target;
    if (!menu.open || !menu.matches(".filters > .menu")) return;
    menu.lastElementChild.scrollIntoView({ block: "nearest" });
  }, true);

  // One click sends once. The server would notice a second one too; this saves the wait.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || !form.matches("form[data-once]")) return;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    if (event.submitter) event.submitter.setAttribute("aria-busy", "true");
  });
  const released = (form) => {
    delete form.dataset.sent;
    // Its buttons may stand elsewhere on the page.
    for (const button of form.elements) button.removeAttribute("aria-busy");
  };
  addEventListener("pageshow", () => all("form[data-once]").forEach(released));
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.elt.matches("form[data-once]")) released(event.detail.elt);
  });

  // A button pressed while its form is still being answered is pressed again afterwards: the
  // answer may put a new button in its place, and the one that was clicked would then do nothing.
  const underWay = new Set();
  let pressed = null;
  const isUnderWay = (form) => [...underWay].some((sent) => sent.form === form);
  const formOf = (element) => element.closest("form[data-once]");
  document.addEventListener("click", (event) => {
    const target = event.target instanceof Element ? event.target : null;
    const button = target && target.closest("button[name=action][hx-post]");
    const form = button && formOf(button);
    if (!form || !isUnderWay(form)) return;
    event.preventDefault();
    event.stopPropagation();
    pressed = { form, value: button.value };
    button.setAttribute("aria-busy", "true");
  }, true);
  function pressAgain() {
    if (!pressed || isUnderWay(pressed.form)) return;
    const { form, value } = pressed;
    pressed = null;
    const button = all("button[name=action][hx-post]", form).find((one) => one.value === value);
    if (!button) return;
    button.removeAttribute("aria-busy");
    button.click();
  }
  document.addEventListener("htmx:beforeSend", (event) => {
    const form = formOf(event.detail.elt);
    if (form && event.detail.requestConfig.verb === "post") underWay.add({ form, xhr: event.detail.xhr });
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    for (const sent of underWay) if (sent.xhr === event.detail.xhr) underWay.delete(sent);
    // What waits in line behind the answered one goes first.
    setTimeout(pressAgain, 0);
  });

  // --- Keys -----------------------------------------------------------------------------------
  const KEYS_OFF = "desk-keys-off";
  const keysOn = () => {
    try { return !localStorage.getItem(KEYS_OFF); } catch { return true; }
  };
  function step(by) {
    const rows = all("[data-rows] .main a, .todo .what");
    if (!rows.length) return;
    const at = rows.indexOf(document.activeElement);
    rows[Math.min(rows.length - 1, Math.max(0, at < 0 ? 0 : at + by))].focus();
  }
  let before = "";
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      for (const menu of all("details.menu[open]")) {
        menu.open = false;
        menu.querySelector("summary").focus();
      }
      const asked = document.activeElement && document.activeElement.closest("details.confirm[open]");
      if (asked) takeBack(asked);
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (typing(event.target) || document.querySelector("dialog[open]") || !keysOn()) return;
    const key = before === "g" ? `g ${event.key}` : event.key;
    before = event.key === "g" ? "g" : "";
    if (key === "j" || key === "k") return step(key === "j" ? 1 : -1);
    if (key === "x") {
      const row = document.activeElement && document.activeElement.closest("tr");
      const box = row && row.querySelector(".pick input");
      if (box) box.click();
      return;
    }
    // What does it may be elsewhere on a telephone; what a closed menu hides does it all the same.
    const able = all("[data-key]").filter((element) => element.dataset.key === key);
    const wanted = able.find(isSeen) || able[0];
    if (!wanted) return;
    event.preventDefault();
    if (wanted.matches("input, textarea")) {
      wanted.focus();
      if (wanted.select) wanted.select();
    } else wanted.click();
  });
  document.addEventListener("change", (event) => {
    if (event.target.id !== "keys-on") return;
    try {
      if (event.target.checked) localStorage.removeItem(KEYS_OFF);
      else localStorage.setItem(KEYS_OFF, "yes");
    } catch { /* Storage is closed in this browser: the keys stay on. */ }
  });

  // Copying numbers gives E.164, without the spaces they are read with; what stands between them
  // is copied as it is.
  document.addEventListener("copy", (event) => {
    if (typing(event.target instanceof Element ? event.target : document.body)) return;
    const read = /\+1 (\d{3}) (\d{3}) (\d{4})(?!\d)/g;
    const text = String(getSelection());
    const plain = text.replace(read, "+1$1$2$3");
    if (plain === text) return;
    event.clipboardData.setData("text/plain", plain.trim());
    event.preventDefault();
  });

  // --- How many numbers are ticked; a run stands for all of its own ----------------------------
  function countTicks() {
    for (const words of all("[data-ticked]")) {
      const boxes = all(".pick :checked", words.closest("form"));
      const count = boxes.reduce((sum, box) => sum + Number(box.dataset.count || 1), 0);
      words.textContent = `${count} ${count === 1 ? "number" : "numbers"} ticked`;
    }
  }
  document.addEventListener("change", countTicks);
  // The browser ticks again what was ticked before somebody came back.
  addEventListener("pageshow", countTicks);

  // --- Start ----------------------------------------------------------------------------------
  function ready(root) {
    all("[data-copy][hidden], [data-script][hidden]", root).forEach((part) => { part.hidden = false; });
    watchSecrets(root);
    countTicks();
  }
  document.addEventListener("DOMContentLoaded", () => {
    ready(document);
    read(document);
    const box = document.getElementById("keys-on");
    if (box) box.checked = keysOn();
    // There is no room for the field at the top on a telephone; the list has one of its own.
    const search = all("#search, main input[type=search]").find(isSeen);
    if (search && new URLSearchParams(location.search).get("focus") === "search") search.focus();
    focusNews();
  });
  // Before that the browser itself goes to the part, and takes the focus away.
  addEventListener("load", () => setTimeout(arrive, 0));
})();
