// Tells the merchant's page how the checkout ended, and hands the card to the payment processor. Everything else on the
// page works without this.
"use strict";
(() => {
  const { origin, session, customer } = document.body.dataset;
  // How long a customer sees that it worked.
  const farewellMs = 1200;

  document.querySelector("[data-focus]")?.focus({ preventScroll: true });

  const ending = document.querySelector("[data-message]");
  if (ending) {
    const succeeded = ending.dataset.message === "lava_checkout_success";
    const message = { type: ending.dataset.message, checkoutSessionId: session };
    if (succeeded) Object.assign(message, { connectionId: customer, customerId: customer });
    const tell = () => window.parent.postMessage(message, origin);
    const close = document.getElementById("close");
    if (close && window.parent !== window) {
      close.hidden = false;
      close.addEventListener("click", tell);
    }
    if (!("onClose" in ending.dataset)) setTimeout(tell, "atOnce" in ending.dataset ? 0 : farewellMs);
  }

  // A second click must not send a form twice.
  for (const form of document.forms) {
    form.addEventListener("submit", () => setTimeout(() => {
      for (const button of form.querySelectorAll("button")) button.disabled = true;
    }));
  }
  // A page that is come back to has its buttons again.
  window.addEventListener("pageshow", () => {
    for (const button of document.querySelectorAll("button")) button.disabled = false;
  });

  const say = (text) => {
    let notice = document.getElementById("notice");
    if (!notice) {
      notice = Object.assign(document.createElement("p"), { id: "notice", className: "notice" });
      notice.setAttribute("role", "alert");
      document.querySelector("header").after(notice);
    }
    notice.textContent = text;
  };

  const card = document.getElementById("processor-card");
  if (card && window.Stripe) {
    const stripe = window.Stripe(card.dataset.key);
    const style = getComputedStyle(document.body);
    const base = { color: style.color, fontFamily: style.fontFamily, fontSize: style.fontSize };
    const element = stripe.elements().create("card", { style: { base } });
    element.mount("#card-element");
    card.addEventListener("submit", async (event) => {
      event.preventDefault();
      const result = await stripe.confirmCardSetup(card.dataset.secret, { payment_method: { card: element } });
      if (result.error) {
        say(result.error.message);
        for (const button of card.querySelectorAll("button")) button.disabled = false;
      } else {
        HTMLFormElement.prototype.submit.call(card);
      }
    });
  } else if (card) {
    say("The payment processor cannot be reached. Reload the page.");
  }

  const approval = document.getElementById("processor-approval");
  if (approval && window.Stripe) {
    const stripe = window.Stripe(approval.dataset.key);
    stripe.handleNextAction({ clientSecret: approval.dataset.secret }).then(() => {
      location.replace(approval.dataset.page);
    });
  }
})();
