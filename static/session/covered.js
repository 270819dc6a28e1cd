// The picture of a session stays at the top of the window: what scrolls beneath it is told how much of it is covered.
const heights = new ResizeObserver(([picture]) => {
  document.documentElement.style.setProperty("--picture-height", `${picture.borderBoxSize[0].blockSize}px`);
});

function look() {
  heights.disconnect();
  const picture = document.querySelector("[data-timeline]");
  if (picture) heights.observe(picture, { box: "border-box" });
}

document.addEventListener("htmx:afterSettle", (event) => event.target.id === "main" && look());
look();
