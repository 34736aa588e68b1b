// What a page cannot do without a script: copy a secret, add rows to a form without losing what was typed, and follow
// live figures while somebody looks. Everything else works without it.
"use strict";

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    const before = button.textContent;
    try {
      await navigator.clipboard.writeText(source.textContent.trim());
      button.textContent = "Copied";
    } catch {
      // Without the right to the clipboard (a page over plain HTTP) the text is selected, to be copied by hand.
      getSelection().selectAllChildren(source);
      button.textContent = "Press Ctrl+C";
    }
    setTimeout(() => { button.textContent = before; }, 2000);
  });
}

for (const link of document.querySelectorAll("[data-more-rows]")) {
  link.hidden = false;
  link.addEventListener("click", (event) => {
    event.preventDefault();
    const rows = document.getElementById(link.dataset.moreRows);
    // The last row is always an empty one of a new thing.
    const row = rows.lastElementChild.cloneNode(true);
    const place = rows.children.length;
    for (const input of row.querySelectorAll("input")) {
      input.value = input.type === "radio" ? String(place) : "";
      input.checked = false;
      input.removeAttribute("aria-invalid");
      const label = input.getAttribute("aria-label");
      if (label) input.setAttribute("aria-label", label.replace(/\d+/, String(place + 1)));
    }
    rows.append(row);
    row.querySelector("input:not([type=hidden])").focus();
  });
}

const LIVE_EVERY_MS = 2000;
// Says that the page asks by itself: nobody uses the session by that.
const ITSELF = { redirect: "manual", headers: { "x-refresh": "1" } };

function setMoney(element, [whole, fraction, exact]) {
  const money = element.querySelector(".money");
  if (!money) return;
  money.firstChild.textContent = whole;
  money.querySelector(".fraction").textContent = fraction;
  money.title = exact;
}

function show(card, figures) {
  for (const name of ["spent", "held", "left"]) {
    if (!figures[name]) continue;
    for (const element of card.querySelectorAll(`[data-field="${name}"]`)) setMoney(element, figures[name]);
  }
  for (const name of ["requests", "last_used"]) {
    for (const element of card.querySelectorAll(`[data-field="${name}"]`)) element.textContent = figures[name];
  }
  const marks = [...card.querySelectorAll('[data-field="state"]'), ...document.querySelectorAll('[data-page-field="state"]')];
  for (const mark of marks) {
    mark.textContent = figures.state;
    mark.className = `mark ${figures.class}`;
  }
  const spent = card.querySelector('[data-bar="spent"]');
  const held = card.querySelector('[data-bar="held"]');
  if (spent && held && figures.spent_width !== null) {
    spent.setAttribute("width", figures.spent_width);
    held.setAttribute("x", figures.spent_width);
    held.setAttribute("width", figures.held_width);
    spent.ownerSVGElement.setAttribute("class", `gauge ${figures.class}`);
  }
}

async function follow(root) {
  const cards = new Map([...root.querySelectorAll("[data-key]")].map((card) => [card.dataset.key, card]));
  const url = `${root.dataset.live}?ids=${[...cards.keys()].join(",")}`;
  while (cards.size > 0) {
    await new Promise((resolve) => { setTimeout(resolve, LIVE_EVERY_MS); });
    if (document.hidden) continue;
    try {
      const answer = await fetch(url, ITSELF);
      // A session that is over leads to the sign-in: the page stays as it is until it is reloaded.
      if (answer.type === "opaqueredirect") return;
      if (!answer.ok) continue;
      for (const [id, figures] of Object.entries(await answer.json())) show(cards.get(id), figures);
    } catch {
      // The server is away for a moment; the next round asks again.
    }
  }
}

for (const root of document.querySelectorAll("[data-live]")) follow(root);

// A part of the page that is read again as a whole. It stands still while somebody points at it, is in it with the
// keyboard, or has paused it, so that nothing moves away from under a click.
async function refresh(part) {
  const button = document.querySelector(`[data-pause="${part.id}"]`);
  let isPaused = false;
  if (button) {
    button.hidden = false;
    button.addEventListener("click", () => {
      isPaused = !isPaused;
      button.textContent = isPaused ? "Go on" : "Pause";
    });
  }
  const standsStill = () => isPaused || part.matches(":hover") || part.contains(document.activeElement);
  for (;;) {
    await new Promise((resolve) => { setTimeout(resolve, LIVE_EVERY_MS); });
    if (document.hidden || standsStill()) continue;
    try {
      const answer = await fetch(location.href, ITSELF);
      if (answer.type === "opaqueredirect") return;
      if (!answer.ok) continue;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(part.id);
      // Somebody may have come to it meanwhile.
      if (fresh && !standsStill()) part.replaceChildren(...fresh.childNodes);
    } catch {
      // As above.
    }
  }
}

for (const part of document.querySelectorAll("[data-refresh]")) refresh(part);
