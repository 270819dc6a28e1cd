// Two selected sessions or more are compared. The button states their number.
import { SYNCED } from "./events.js";

function count() {
  const form = document.getElementById("picked");
  if (!form) return;
  const picked = document.querySelectorAll('[form="picked"]:checked').length;
  const button = form.querySelector("button");
  button.disabled = picked < 2;
  button.textContent = picked ? `Compare ${picked} selected` : "Compare selected";
  form.classList.toggle("is-active", picked > 0);
}

document.addEventListener("change", ({ target }) => target.form?.id === "picked" && count());
document.addEventListener(SYNCED, count);
document.addEventListener("htmx:afterSettle", ({ target }) => target.id === "main" && count());
addEventListener("pageshow", count);
