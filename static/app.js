// What every page has: everything else of evdash works without script.
import "./keys.js";
import "./clock.js";
import "./copy.js";
import "./complete.js";
import "./histogram.js";
import "./live.js";
import "./refresh.js";
import "./session.js";

document.documentElement.classList.add("js");
// On a narrow screen the rail is one line that scrolls.
const here = document.querySelector(".rail [aria-current]");
if (here) here.closest("ul").scrollLeft = here.offsetLeft - here.closest("ul").clientWidth / 3;
