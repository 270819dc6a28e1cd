// The scripts of every page. Without scripts evdash works, too, but pages do not update themselves.
import "./keys.js";
import "./clock.js";
import "./copy.js";
import "./popovers.js";
import "./complete.js";
import "./histogram.js";
import "./live/page.js";
import "./refresh.js";
import "./requests.js";
import "./session.js";
import "./picks.js";
import "./row-link.js";
import "./select-all.js";

document.documentElement.classList.add("js");
