// A key is text for the focused element. Sliders and checkboxes take no letters, so shortcuts work on them.
const WRITTEN_IN = "input:not([type=range], [type=checkbox]), textarea, select, [contenteditable]";

export const isTyping = (event) => Boolean(event.target.closest?.(WRITTEN_IN));
