// News for fields: what a server sends for a field never takes away what somebody types in it.
"use strict";
(() => {
  const isTouched = (field) => field === document.activeElement
    || field.value !== field.defaultValue || field.getAttribute("aria-invalid") === "true";
  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    const { target } = event.detail;
    if (target.matches("[data-keep]") && isTouched(target)) event.preventDefault();
  });
})();
