// Keys, on the whole page, as long as nobody types and no control of the page uses them itself.
const KEYS = [
  ["\u2190 or ,", "one frame back"],
  ["\u2192 or .", "one frame on"],
  ["Space", "play, pause"],
  ["Home, End", "first, last frame"],
  ["1 to 9", "a kind of map, in the order of the menu"],
  ["m", "maps of both heads, of RSP, of A-VID, or the frames alone"],
  ["b", "boxes on or off"],
  ["d", "where the two heads' maps differ the most"],
  ["r", "draw a region of a clip: drag, or arrows move, Shift and arrows resize, Enter takes, Escape drops"],
  ["?", "this list"],
]
const OWN_KEYS = 'input:not([type="range"]), textarea, select, [contenteditable=""], [contenteditable="true"], [role="slider"], '
  + '[role="combobox"], [role="listbox"], [role="menu"], [role="dialog"], [role="radiogroup"], [role="tablist"], .js-plotly-plot'
const PRESSED = "button, a, summary, [role=button], [role=radio], [role=tab], [role=switch], [role=checkbox]"
let withKeys = true

function drawHelp(view) {
  const help = view.root.querySelector("dialog.keys")
  const table = element("table")
  const works = {
    "1 to 9": document.querySelector(".st-key-map button"), m: view.data.strip, d: view.data.strip?.apart, r: takesRegion(view),
  }
  for (const [key, what] of KEYS) {
    if (key in works && !works[key]) continue // as on a page without a server
    const line = element("tr")
    line.append(element("th", "", key), element("td", "", what))
    table.append(line)
  }
  const label = element("label"), box = element("input")
  box.type = "checkbox"
  box.checked = withKeys
  box.onchange = () => { withKeys = box.checked }
  label.append(box, "Keys of the page are on")
  const close = element("button", "", "Close")
  close.type = "button"
  close.onclick = () => help.close()
  help.replaceChildren(element("h2", "", "Keys"), table, label, close)
}

function toggleHelp(view) {
  const help = view.root.querySelector("dialog.keys")
  if (help.open) return help.close()
  drawHelp(view)
  help.showModal()
}

function goTo(view, frame) {
  if (view.clock) setPlaying(view, false)
  move(view, frame, true)
}

// Off: the bare frames in place of a head's map.
function cycleHeads(view) {
  const heads = [...new Set(view.data.rows.map(headOf))].slice(0, 2)
  const states = [[], [heads[1]], [heads[0]], heads].map(off => off.filter(Boolean))
  const at = states.findIndex(off => off.join() === view.off.join())
  view.off = states[(at + 1) % states.length]
  show(view)
}

function pressKey(view, key) {
  const last = view.data.num_frames - 1
  if (key === "?") toggleHelp(view)
  else if (key === "ArrowLeft" || key === ",") goTo(view, view.frame - 1)
  else if (key === "ArrowRight" || key === ".") goTo(view, view.frame + 1)
  else if (key === "Home") goTo(view, 0)
  else if (key === "End") goTo(view, last)
  else if (key === " ") setPlaying(view, view.clock === null)
  else if (key === "m" && view.data.strip) cycleHeads(view)
  else if (key === "d" && view.data.strip?.apart) goTo(view, widest(view.data.strip))
  else if (key === "b") { view.boxes = !view.boxes; show(view) }
  else if (key === "r" && takesRegion(view)) setDrawing(view, !view.drawing, true)
  else if (key === "Escape" && view.drawing) setDrawing(view, false)
  else if (/^[1-9]$/.test(key)) {
    const choices = document.querySelectorAll(".st-key-map button")
    if (!choices.length) return false
    choices[Number(key) - 1]?.click()
  } else return false
  return true
}

// What stands for it on the page, where it is in a tree of its own.
const hostOf = root => root.getRootNode().host ?? root

function listenKeys(view) {
  view.listen = event => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || !view.data?.sheet) return
    const [target] = event.composedPath()
    if (!(target instanceof Element) || target.closest(OWN_KEYS) || !view.root.isConnected) return
    if ((target.closest(".viewer") ?? view.root) !== view.root) return // they are of the panels that have the focus
    const window = document.querySelector('[role="dialog"]') // keys are of the panels in it, if there are some
    if (view.root.querySelector("dialog.keys").open || (window && !window.contains(hostOf(view.root)))) return
    if (document.querySelector('[role="listbox"]')) return // an open menu is typed in, wherever the focus is
    if (!withKeys && event.key !== "?") return
    if (event.key === " " && target.closest(PRESSED)) return // they are pressed by it
    if (target.matches('input[type="range"]') && /^(Arrow|Home|End)/.test(event.key)) return
    if (pressKey(view, event.key)) event.preventDefault()
  }
  document.addEventListener("keydown", view.listen)
}
