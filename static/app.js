// The scripts of every page. Without scripts evdash works, too, but pages do not update themselves.
import "./keys.js";
import "./clock.js";
import "./copy.js";
import "./popovers.js";
import "./complete.js";
import "./histogram.js";
import "./live/page.js";
import "./refresh.js";
import "./session.js";

document.documentElement.classList.add("js");
// On a narrow screen the rail is one line that scrolls: show the current page in it.
const here = document.querySelector(".rail [aria-current]");
if (here) {
  const rail = here.closest("ul");
  rail.scrollLeft += here.getBoundingClientRect().left - rail.getBoundingClientRect().left - rail.clientWidth / 3;
}
