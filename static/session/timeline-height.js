// The timeline of a session is fixed to the top of the window. Styles need its height for the scroll margin of rows.
const heights = new ResizeObserver(([picture]) => {
  document.documentElement.style.setProperty("--picture-height", `${picture.borderBoxSize[0].blockSize}px`);
});

function observe() {
  heights.disconnect();
  const picture = document.querySelector("[data-timeline]");
  if (picture) heights.observe(picture, { box: "border-box" });
}

document.addEventListener("htmx:afterSettle", (event) => event.target.id === "main" && observe());
observe();
