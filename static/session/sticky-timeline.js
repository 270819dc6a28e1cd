// On a scrolled page only the lower end of the timeline is in view. It then has all marks, small, and the axis. Styles
// need the height of the timeline and of its lanes.
const MARKS_PX = 38;

let isStuckNow = null;
const timeline = () => document.querySelector("[data-timeline]");

const heights = new ResizeObserver(([{ target, borderBoxSize }]) => {
  const lanes = Number(target.querySelector(".lanes").getAttribute("height"));
  document.documentElement.style.setProperty("--picture-height", `${borderBoxSize[0].blockSize}px`);
  document.documentElement.style.setProperty("--lanes-scale", String(Math.min(1, MARKS_PX / lanes)));
  follow();
});

// The timeline is stuck when it is at the place that its style gives it.
function follow() {
  const picture = timeline();
  if (!picture) return;
  const { position, top } = getComputedStyle(picture);
  const isStuck = position === "sticky" && picture.getBoundingClientRect().top <= parseFloat(top) + 1;
  if (isStuck === isStuckNow) return;
  isStuckNow = isStuck;
  picture.classList.toggle("is-stuck", isStuck);
}

function observe() {
  heights.disconnect();
  isStuckNow = null;
  const picture = timeline();
  if (picture) heights.observe(picture, { box: "border-box" });
}

document.addEventListener("scroll", follow, { passive: true });
addEventListener("resize", follow);
document.addEventListener("htmx:afterSettle", (event) => event.target.id === "main" && observe());
observe();
