// News for fields: what a server sends for a field never takes away what somebody types in it.
"use strict";
(() => {
  const isTouched = (field) => field === document.activeElement
    || field.value !== field.defaultValue || field.getAttribute("aria-invalid") === "true";
  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    const { target } = event.detail;
    if (target.matches("[data-keep]") && isTouched(target)) event.preventDefault();
  });

  // The errors of a field come and go with every save, but never while somebody is in it: what is
  // to be said waits until the field is left.
  const waiting = new Map();
  function say(place, news) {
    const field = place.closest(".field");
    const isWrong = !news.hidden;
    place.replaceWith(news);
    if (!field) return;
    field.classList.toggle("invalid", isWrong);
    for (const input of field.querySelectorAll("input, select, textarea")) {
      if (isWrong) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    }
  }
  const isIn = (place) => {
    const field = place.closest(".field");
    return field !== null && field.contains(document.activeElement);
  };
  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    const { target, fragment } = event.detail;
    if (!target.matches("[data-errors]")) return;
    event.preventDefault();
    const news = fragment.firstElementChild;
    news.removeAttribute("hx-swap-oob");
    if (isIn(target)) waiting.set(target.id, news);
    else {
      waiting.delete(target.id);
      say(target, news);
    }
  });
  document.addEventListener("focusout", () => setTimeout(() => {
    for (const [id, news] of waiting) {
      const place = document.getElementById(id);
      if (place && isIn(place)) continue;
      waiting.delete(id);
      if (place) say(place, news);
    }
  }, 0));
})();
