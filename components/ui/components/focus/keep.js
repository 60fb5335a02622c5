// Keeps the keyboard's focus where the reader works, and brings the page to the front on narrow screens.
//
// A run of the script puts new elements in the place of old ones, and an element that goes takes the focus with it: to
// <body>. So the focus is given back by the key of its widget, or to the one that a run of the script asks for, or else
// to the chat input. Streamlit calls the default function again whenever what is asked for has changed; the listeners
// are one set, for as long as the tab lives.

const NARROW = "(max-width: 768px)";  // where Streamlit lays its sidebar over the page
const PATIENCE_MS = 3000;  // for what a run that goes on may bring yet
const SETTLED_MS = 300;  // after a run, until what it brought is drawn
const FORGOTTEN_MS = 20_000;  // what has not come by then is not waited for
const MARGIN_PX = 72;  // above what is to be seen: Streamlit's header lies there
const FIELDS = "textarea, input";

let focused = null;  // the last element that had the focus
let key = "";  // of the widget that it belongs to
let wanted = "";  // the key of the widget that a run asked to focus
let sought = "";  // the key of the widget whose beginning is to be seen
let served = "";  // which request that was
let shown = "";  // which request to show the page was met last
let isByTouch = false;  // a field that is focused would bring up the keyboard of a phone
let isListening = false;
let frame = 0;
let givingUp = 0;
let forgetting = 0;

export default function keepFocus({data, parentElement}) {
  parentElement.host?.closest("[data-testid=stElementContainer]")?.style.setProperty("display", "none");
  if (!isListening) listen();
  document.documentElement.lang = data.language;
  if (data.focus && data.focus.request !== served) {
    served = data.focus.request;
    wanted = data.focus.key;
    if (data.focus.intoView) seek(data.focus.key);
    clearTimeout(forgetting);
    forgetting = setTimeout(() => wanted = "", FORGOTTEN_MS);
    lookSoon();
  }
  if (data.shown && data.shown !== shown) {
    shown = data.shown;
    if (matchMedia(NARROW).matches) closeSidebar();
  }
}

function listen() {
  isListening = true;
  document.addEventListener("focusin", ({target}) => {
    if (target === document.body) return;
    focused = target;
    key = keyOf(target);
  });
  document.addEventListener("pointerdown", ({pointerType}) => {
    isByTouch = pointerType === "touch";
    wanted = sought = "";  // whoever goes elsewhere meanwhile is not called back
  }, true);
  document.addEventListener("wheel", () => sought = "", {capture: true, passive: true});
  document.addEventListener("keydown", event => {
    isByTouch = false;
    if (event.key === "Tab" || event.target.matches?.(FIELDS)) wanted = sought = "";
    if (event.key === "Escape" && !event.isComposing) cancelForm(event);
  }, true);
  new MutationObserver(lookSoon).observe(document.body, {
    subtree: true, childList: true, attributes: true, attributeFilter: ["disabled", "data-test-script-state"],
  });
}

// Once a frame at the most, and after what this frame has still to change.
function lookSoon() {
  if (!frame && (wanted || isLost())) frame = requestAnimationFrame(() => requestAnimationFrame(look));
}

function look() {
  frame = 0;
  clearTimeout(givingUp);
  if (wanted && giveTo(within(wanted))) wanted = "";
  else if (isLost() && !giveTo(key && within(key))) givingUp = setTimeout(giveUp, isRunning() ? PATIENCE_MS : SETTLED_MS);
}

// A run brings its elements one after the other, and Streamlit keeps a conversation at its end while it grows: so the
// page is scrolled until both have come to rest. Not by scrollIntoView, which moves what holds the whole page as well.
function seek(name) {
  sought = name;
  let restless = performance.now();
  const until = restless + FORGOTTEN_MS;
  const step = now => {
    if (sought !== name || now > until) return;
    const box = boxOf(name);
    const main = box?.closest(".stMain");
    const away = box && main ? box.getBoundingClientRect().top - main.getBoundingClientRect().top - MARGIN_PX : 0;
    const before = main?.scrollTop;
    if (Math.abs(away) > 1) main.scrollTop += away;
    if (!main || isRunning() || main.scrollTop !== before) restless = now;
    if (now - restless > SETTLED_MS) sought = "";
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}

// There is nothing left to go back to: a dialog that is open is next, then the chat input.
function giveUp() {
  if (!isLost()) return;
  const dialog = [...document.querySelectorAll("[data-testid=stDialog] [role=dialog]")].at(-1);
  const input = document.querySelector("[data-testid=stChatInputTextArea]");
  if (dialog) dialog.focus();
  else if (!isByTouch && input && isUsable(input)) input.focus({preventScroll: true});
}

function isLost() {
  const active = document.activeElement;
  return focused !== null && (!active || active === document.body || !isUsable(active)) && !isUsable(focused);
}

function isUsable(element) {
  return element.isConnected && !element.disabled && element.checkVisibility({visibilityProperty: true});
}

function isRunning() {
  return document.querySelector("[data-testid=stApp]")?.dataset.testScriptState === "running";
}

function giveTo(element) {
  if (!element) return false;
  element.focus({preventScroll: sought !== ""});
  return document.activeElement === element;
}

function boxOf(name) {
  return document.querySelector(`.st-key-${CSS.escape(name)}`);
}

// Streamlit draws a button with a name to point at twice, for fingers and for mice, and hides one of them.
function within(name) {
  const widget = boxOf(name);
  const found = widget ? [...widget.querySelectorAll(`${FIELDS}, button, summary, a[href], [tabindex="0"]`)] : [];
  return found.find(isUsable);
}

function keyOf(element) {
  const widget = element.closest("[class*=st-key-]");
  return [...widget?.classList ?? []].find(name => name.startsWith("st-key-"))?.slice("st-key-".length) ?? "";
}

function closeSidebar() {
  document.querySelector("[data-testid=stSidebarCollapseButton] button[aria-expanded=true]")?.click();
}

function cancelForm(event) {
  const form = event.target.closest?.("[data-testid=stForm]");
  form?.querySelector("[class*=st-key-cancel_] button")?.click();
}
