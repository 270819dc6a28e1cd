// What every page has: everything else of evdash works without script.
import "./keys.js";
import "./clock.js";
import "./copy.js";
import "./complete.js";
import "./histogram.js";
import "./live.js";
import "./refresh.js";

document.documentElement.classList.add("js");
