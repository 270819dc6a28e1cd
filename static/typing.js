// Whether a key belongs to what has the focus: a text, a choice. A slider or a box that is ticked needs no letters.
const WRITTEN_IN = "input:not([type=range], [type=checkbox]), textarea, select, [contenteditable]";

export const isTyping = (event) => Boolean(event.target.closest?.(WRITTEN_IN));
