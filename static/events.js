// The interface between the scripts, and between scripts and templates: custom events and `data-*` hooks.
// tests/web/test_hooks.py compares it with scripts and templates.

/**
 * A row is selected by this request: from the list, the timeline, the player or the address.
 * Sent by session.js and session/player.js to the document; keys.js selects the row.
 * @typedef {{row: HTMLElement, isFromPicture: boolean}} Choose - The focus stays where it is if `isFromPicture`.
 */
export const CHOOSE = "evdash:choose";

/**
 * A row has been selected.
 * Sent by keys.js to the document; session.js updates mark, address and state; session/player.js its scrubber.
 * @typedef {{row: HTMLElement}} Select
 */
export const SELECT = "evdash:select";

/**
 * The mark of the selected row becomes the selected mark.
 * Sent by session.js to the mark; session/zoom.js scrolls it into view; session/marks.js makes it the Tab stop.
 * @typedef {undefined} Show
 */
export const SHOW = "evdash:show";

/**
 * New events of the page's filter have arrived, or may have been missed.
 * Sent by live.js to the list and by live/page.js to the document; refresh.js and session.js load again what changed.
 * @typedef {{count: number}} Live - New events, 0 if unknown.
 */
export const LIVE = "evdash:live";

/**
 * The live connection has this state, a key of WORDS in live/status.js.
 * Sent by live/page.js to the document; refresh.js updates the state of the top bar.
 * @typedef {{state: string}} State
 */
export const STATE = "evdash:state";

/**
 * The list has been loaded up to the newest end and has the attributes of a live list.
 * Sent by live/skipped.js to the list; live/page.js subscribes.
 * @typedef {undefined} AtEnd
 */
export const AT_END = "evdash:at-end";

/**
 * Rows of a skipped range have been loaded into the list.
 * Sent by live/skipped.js to the list; session/player.js continues.
 * @typedef {undefined} Loaded
 */
export const LOADED = "evdash:loaded";

/**
 * The page has requested itself because of new events, with or without success.
 * Sent by refresh.js to the document; live/page.js confirms to the server, which then sends later news.
 * @typedef {undefined} Refreshed
 */
export const REFRESHED = "evdash:refreshed";

/**
 * A newer rendering of the page has been applied.
 * Sent by refresh.js to the document; picks.js counts; session.js and session/marks.js mark the selection in the new timeline,
 * and session/zoom.js shows its time range. live/page.js compares its list of events with that of the rendering.
 * @typedef {{list: ?HTMLElement}} Synced
 */
export const SYNCED = "evdash:synced";

/**
 * A search for the next error or tool call has no result.
 * Sent by the server (evdash/web/pages/session/view.py) as HX-Trigger; session/player.js shows the words.
 * @typedef {{words: string}} Nothing
 */
export const NOTHING = "evdash:nothing";

/** Send a custom event with its payload to the document or to an element, from which it bubbles. */
export const send = (target, name, detail) => target.dispatchEvent(new CustomEvent(name, { bubbles: true, detail }));

/*
 * Hooks. One line each: name | element | value | readers. "set by" names the script of an attribute that a script sets.
 * Entry IDs are "ms-seq", positions "ms-seq@stream". A hook without a value marks its element.
 *
 * Page
 * data-catch-up         | body               | address of the catch-up over HTTP         | live/polling.js
 * data-live-by          | body               | "polling" in sandboxes (no WebSocket)     | live/connection.js
 * data-refresh          | main               | interval of the refresh in seconds        | refresh.js, live/page.js
 * data-keep             | any                | a refresh does not change the element     | morph.js
 * data-key              | any                | key, unique among siblings                | morph.js, live/entries.js, live/rows.js
 * data-clock-switch     | button             |                                           | clock.js
 * data-form             | time               | "full" or "ago"             | clock.js, morph.js, session/zoom.js
 * data-titled           | time, .row-time    | "yes"; set by clock.js                    | clock.js
 * data-copy-from        | button             | address of the whole value                | copy.js
 * data-go               | a                  | key after `g`                             | keys.js, palette.js
 * data-palette          | button             | opens the command palette                 | keys.js
 * data-palette-from     | dialog             | address of views and IDs                  | palette.js
 * data-command          | any                | action                                    | palette.js
 * data-select-all       | input              | selects all rows of its section           | select-all.js
 * data-page             | a                  | "previous" or "next" page of a list       | keys.js, live/skipped.js, live/rows.js
 *
 * List of events
 * data-live             | ol.rows            | the list is at the newest end             | live.js, live/page.js, live/skipped.js
 * data-live-query       | ol.rows            | filter of the subscription                | live.js, live/skipped.js
 * data-live-cursor      | ol.rows            | entry ID of each stream, JSON             | live/rows.js, live/skipped.js
 * data-live-order       | ol.rows            | "newest-first" or "oldest-first"          | live/page.js, live/rows.js, morph.js
 * data-live-reading     | ol.rows            | view mode of the rows                     | live.js
 * data-notify-query     | ol.rows            | filter of news if not live                | live/page.js
 * data-live-status      | span               | shows the live state                      | live/status.js
 * data-state            | [data-live-status] | for styles; set by live/status.js         | css/live.css
 * data-live-toggle      | button             | pauses and resumes                        | live/status.js
 * data-entry            | .row               | "stream ms-seq"                           | live/entries.js, live/rows.js, session.js
 * data-address          | .row, #state       | address of the event; of the state        | keys.js, refresh.js
 * data-call             | li.row             | the event is a tool call                  | keys.js
 * data-us               | .row               | time in microseconds                      | session/player.js
 * data-at               | li.gap, .row-here  | entry ID of its place in the order        | live/entries.js, live/rows.js
 * data-before           | li.live-gap        | the range ends before this position       | live/skipped.js
 * data-after            | li.live-gap        | the range starts after this position      | live/skipped.js, session/player.js
 * data-count            | li.live-gap        | skipped events; set by live/skipped.js    | live/skipped.js
 * data-auto             | li.live-gap        | loads when it comes near the window       | live/skipped.js
 * data-show-duplicates  | button             |                                           | keys.js
 * data-session-of-event | a                  | link to the session, for `s`              | keys.js
 *
 * Filter
 * data-complete         | div.filter-box     | filter keys, separated by spaces          | complete.js
 * data-complete-from    | div.filter-box     | address of the values, with the filter    | complete.js
 * data-histogram        | figure             | address without the time range            | histogram.js
 * data-since            | a of a bar         | start of the bar                          | histogram.js, morph.js
 * data-until            | a of a bar         | end of the bar                            | histogram.js
 * data-brush            | rect               |                                           | histogram.js
 *
 * Session
 * data-timeline         | figure             |          | session.js, session/sticky-timeline.js, session/marks.js
 * data-mark             | a.mark             | element IDs of its rows                   | session.js, morph.js
 * data-zoom-room        | div                | scrolls the drawing                       | session/zoom.js
 * data-zoom             | div                | the drawing                               | session/zoom.js
 * data-zoom-scale       | [data-zoom]        | "position:milliseconds" of each corner    | session/zoom.js
 * data-zoom-range       | span               | shows the times of the part in view       | session/zoom.js
 * data-zoom-by          | button             | factor, 0 for the whole session           | session/zoom.js
 * data-strip-view       | rect               | zoomed part in the overview strip         | session/zoom.js
 * data-player           | controls           | name of the control                       | session/player.js
 * data-find             | a                  | "error" or "tool"                         | keys.js, session.js
 * data-way              | a                  | "next" or "previous" of `data-find`       | keys.js
 * data-reading          | a                  | view mode                                 | session.js
 * data-panel            | a                  | loads the state panel instead of the page | session.js
 * data-state-query      | div                | pins and comparison of the panel          | session.js
 * data-state-toggle     | button             | opens the panel on a narrow screen        | session.js
 * data-trace-selection  | a                  | shown while a text is selected            | session/value-trace.js
 */
