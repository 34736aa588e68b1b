// Filters the reference by words, opens what a link leads to, and marks in the contents where the reader is.
// Nothing is fetched and nothing is stored.
(() => {
  "use strict";
  const input = document.getElementById("filter");
  const nothing = document.getElementById("nothing");
  const links = new Map();
  for (const item of document.querySelectorAll("nav [data-call]")) links.set(item.dataset.call, item);
  const parts = [...document.querySelectorAll("main [data-part]")].map((section) => ({
    section,
    listed: document.querySelector(`nav [data-part="${section.dataset.part}"]`),
    words: (section.querySelector("h2").textContent + " " + section.querySelector(".says").textContent).toLowerCase(),
    things: [...section.querySelectorAll(".thing")].map((thing) => ({ thing, words: thing.textContent.toLowerCase() })),
    calls: [...section.querySelectorAll(".call")].map((call) => ({
      call,
      item: links.get(call.dataset.call),
      words: call.querySelector(".text").textContent.toLowerCase(),
    })),
  }));
  const around = document.querySelectorAll(".intro, #errors");

  const filter = () => {
    const wanted = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const has = (words) => wanted.every((word) => words.includes(word));
    let found = 0;
    for (const part of parts) {
      const whole = has(part.words);
      let inside = 0;
      for (const { thing, words } of part.things) {
        const fits = whole || has(words);
        thing.hidden = !fits;
        inside += fits;
      }
      for (const { call, item, words } of part.calls) {
        const fits = whole || has(words);
        call.hidden = !fits;
        item.hidden = !fits;
        inside += fits;
      }
      part.section.hidden = inside === 0;
      part.listed.hidden = inside === 0;
      found += inside;
    }
    for (const section of around) section.hidden = wanted.length > 0;
    nothing.hidden = found > 0;
  };

  const reveal = () => {
    const id = decodeURIComponent(location.hash.slice(1));
    const target = id && document.getElementById(id);
    if (!target) return;
    if (target.closest("main [hidden]")) {
      input.value = "";
      filter();
    }
    const folded = target.closest("details");
    if (folded && !folded.open) {
      folded.open = true;
      target.scrollIntoView();
    }
  };

  input.hidden = false;
  input.addEventListener("input", filter);
  addEventListener("hashchange", reveal);
  reveal();
  addEventListener("keydown", (event) => {
    const isTyping = event.target.closest?.("input, textarea, select");
    if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      input.focus();
      input.select();
    } else if (event.key === "Escape" && event.target === input) {
      input.value = "";
      filter();
      input.blur();
    }
  });

  const nav = document.getElementById("contents");
  let marked = null;
  const seen = new IntersectionObserver((entries) => {
    const entry = entries.find((entry) => entry.isIntersecting);
    const item = entry && links.get(entry.target.dataset.call);
    if (!item || item === marked) return;
    marked?.firstElementChild.removeAttribute("aria-current");
    item.firstElementChild.setAttribute("aria-current", "true");
    marked = item;
    const { top, bottom } = item.getBoundingClientRect();
    const box = nav.getBoundingClientRect();
    if (top < box.top + 40 || bottom > box.bottom - 40) nav.scrollTop += top - box.top - box.height / 2;
  }, { rootMargin: "-10% 0px -80% 0px" });
  for (const part of parts) for (const { call } of part.calls) seen.observe(call);
})();
