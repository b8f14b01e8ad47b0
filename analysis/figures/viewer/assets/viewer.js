// Four panels, one scrubber, and what both heads see over time. All frames of a pair are here at once
// (one sheet of frames a panel), so that moving the scrubber shifts four images and waits for nobody.
// The server is told which frame is shown, for the link; it never draws again for that.
const ICONS = {
  play: '<svg viewBox="0 0 14 14"><path d="M3 1.5v11l9-5.5z"/></svg>',
  pause: '<svg viewBox="0 0 14 14"><path d="M3 1.5h3v11H3zM8 1.5h3v11H8z"/></svg>',
  back: '<svg viewBox="0 0 14 14"><path d="M9.5 2v10L3.5 7z"/></svg>',
  forward: '<svg viewBox="0 0 14 14"><path d="M4.5 2v10l6-5z"/></svg>',
}
const SVG = "http://www.w3.org/2000/svg"
const GAP = 10 // width of the space between two panels, in hundredths of a panel
const NAME_END = 7 // letters that tell videos of one class apart
const views = new WeakMap()

function element(tag, className, text) {
  const made = document.createElement(tag)
  if (className) made.className = className
  if (text !== undefined) made.textContent = text
  return made
}

function symbol(letter, index) {
  const made = element("span", "symbol", letter)
  made.append(element("sub", "", index))
  return made
}

function drawHeads(root, data) {
  const heads = root.querySelector(".heads")
  const pair = element("div", "pair")
  for (const column of data.columns) {
    const cell = element("div")
    const title = element("div", "column-title")
    title.append(column.title ?? symbol("c", column.index))
    // Of a long name the middle goes; which frames they are stays.
    const detail = element("div", "column-detail"), cut = column.detail.lastIndexOf(", frames ")
    const name = cut < 0 ? column.detail : column.detail.slice(0, cut)
    detail.append(element("span", "start", name.slice(0, -NAME_END)))
    detail.append(element("span", "end", name.slice(-NAME_END) + (cut < 0 ? "" : column.detail.slice(cut))))
    detail.title = column.detail
    cell.append(title, detail)
    cell.style.minWidth = "0"
    pair.append(cell)
  }
  heads.replaceChildren(element("div"), pair)
}

// Of a second model's row, which has a name of its own.
const headOf = row => (row.beside ? row.head.slice(0, -2) : row.head)

function drawLabel(row) {
  const label = element("div", "label")
  const swatch = element("div", "swatch")
  swatch.style.borderTop = row.line
  label.append(element("div", "title", row.title), element("div", "note", row.note), swatch)
  if (row.score) { // not while the maps are on their way, or wait for a question
    const score = element("div", "score")
    score.append(symbol(row.letter, row.index), " =")
    const value = element("div", "value", row.score)
    value.dataset.testid = `score-${row.head}`
    label.append(score, value)
  }
  return label
}

// Width by height of a panel: where pixels are not square, frames are shown so much wider.
const aspect = (data, column) => data.columns.find(c => c.index === column)?.aspect ?? 1

function drawPanel(row, panel, data) {
  const { sheet } = data
  const box = element("div", "panel")
  box.style.aspectRatio = aspect(data, panel.column)
  box.dataset.testid = `panel-${row.head}-${panel.column}`
  if (!panel.image) return box
  const image = element("img")
  image.alt = panel.alt
  image.decoding = "sync"
  image.draggable = false
  image.src = panel.image
  if (sheet) {
    image.style.width = `${100 * sheet.columns}%`
    image.style.height = `${100 * sheet.rows}%`
  } else {
    image.className = "still"
    if (!data.idle) box.append(element("div", "waiting"))
  }
  box.prepend(image)
  const clip = data.strip?.clips.find(own => own.index === panel.column)
  if (clip) {
    const bare = element("div", "bare")
    bare.style.backgroundImage = clip.film
    bare.style.backgroundSize = `${100 * data.num_frames}% 100%`
    box.append(bare)
  }
  if (panel.limit) box.append(element("div", "limit", panel.limit))
  if (data.cells && row.letter && !row.beside && panel.column === data.columns[0].index) {
    box.classList.add("places")
    box.tabIndex = 0
    box.setAttribute("role", "button")
    box.setAttribute("aria-label",
      `${panel.alt}. Choose a place to see its partners: arrow keys move, Enter chooses, Escape clears.`)
    box.append(element("div", "cell"))
  }
  return box
}

function drawBar(row, unit) {
  const bar = element("div", "bar")
  if (!row.bar) return bar
  const ramp = element("div", "ramp")
  ramp.style.background = `linear-gradient(to top, ${row.bar.colors.join(", ")})`
  const ticks = element("div", "ticks")
  for (const tick of row.bar.ticks) ticks.append(element("span", "", tick))
  bar.setAttribute("role", "img")
  bar.setAttribute("aria-label", row.bar.alt)
  bar.append(ramp, ticks)
  if (unit) bar.append(element("div", "unit", unit))
  return bar
}

function drawRows(root, data) {
  const rows = data.rows.map(row => {
    const line = element("div", "row")
    const pair = element("div", "pair")
    for (const panel of row.panels) pair.append(drawPanel(row, panel, data))
    const marks = document.createElementNS(SVG, "svg")
    marks.setAttribute("viewBox", `0 0 ${200 + GAP} 100`)
    marks.setAttribute("preserveAspectRatio", "none")
    marks.setAttribute("aria-hidden", "true")
    pair.append(marks)
    line.append(drawLabel(row), pair, drawBar(row, row.unit ?? data.unit))
    return line
  })
  root.querySelector(".rows").replaceChildren(...rows)
}

function path(d, className) {
  const made = document.createElementNS(SVG, "path")
  made.setAttribute("d", d)
  made.setAttribute("class", className)
  return made
}

// Boxes are [left, top, right, bottom] as parts of the panel's side.
function rectangle(box, offset) {
  const [l, t, r, b] = box.map(v => 100 * v)
  return `M${l + offset} ${t}H${r + offset}V${b}H${l + offset}Z`
}

function arrow(from, to) {
  const x0 = 100 * from[2], y0 = 50 * (from[1] + from[3])
  const x1 = 100 * to[0] + 100 + GAP, y1 = 50 * (to[1] + to[3])
  const length = Math.hypot(x1 - x0, y1 - y0)
  if (length < 4) return null
  const ux = (x1 - x0) / length, uy = (y1 - y0) / length, size = 3.4
  const bx = x1 - ux * size, by = y1 - uy * size
  return {
    line: `M${x0} ${y0}L${bx} ${by}`,
    tip: `M${x1} ${y1}L${bx - (uy * size) / 2} ${by + (ux * size) / 2}L${bx + (uy * size) / 2} ${by - (ux * size) / 2}Z`,
  }
}

function drawMarks(svg, data, panels, frame) {
  const aspects = panels.map(panel => aspect(data, panel.column))
  const boxes = panels.map((panel, i) => {
    const high = Math.min(...aspects) / aspects[i] // the highest panel is as high as the row
    return panel.boxes?.[frame]?.map((v, n) => (n % 2 ? v * high : v)) ?? null
  })
  const paths = []
  boxes.forEach((box, i) => {
    if (!box) return
    const d = rectangle(box, i * (100 + GAP))
    paths.push(path(d, "box-halo"), path(d, "box"))
  })
  const link = boxes[0] && boxes[1] ? arrow(boxes[0], boxes[1]) : null
  if (link) paths.push(path(link.line, "link-halo"), path(link.line, "link"), path(link.tip, "tip"))
  svg.replaceChildren(...paths)
}

function show(view) {
  const { root, data, frame } = view
  const { sheet } = data
  if (sheet) {
    const x = frame % sheet.columns, y = Math.floor(frame / sheet.columns)
    for (const image of root.querySelectorAll(".panel img")) {
      image.style.transform = `translate(${(-100 * x) / sheet.columns}%, ${(-100 * y) / sheet.rows}%)`
    }
  }
  root.querySelectorAll(".row").forEach((row, i) => {
    const off = view.off.includes(headOf(data.rows[i]))
    row.classList.toggle("off", off)
    if (view.boxes && !off) drawMarks(row.querySelector("svg"), data, data.rows[i].panels, frame)
    else row.querySelector("svg").replaceChildren()
    row.querySelectorAll(".bare").forEach(bare => {
      bare.style.backgroundPosition = `${(100 * frame) / Math.max(1, data.num_frames - 1)}% 0`
    })
  })
  showStrip(view)
  showRegion(view)
  const slider = root.querySelector(".scrubber input")
  if (Number(slider.value) !== frame) slider.value = frame
  slider.setAttribute("aria-valuetext", `frame ${frame + 1} of ${data.num_frames}`)
  root.querySelector(".position").textContent = `frame ${frame + 1} / ${data.num_frames}`
  root.firstElementChild?.parentElement.setAttribute("data-frame", String(frame))
}

function move(view, frame, tell) {
  view.frame = Math.max(0, Math.min(view.data.num_frames - 1, frame))
  show(view)
  if (tell) inform(view)
}

// Places: a cell of c_i, chosen by mouse or keys. The server sends c_j's map of its partners.
const find = (edges, at) => Math.max(0, Math.min(edges.length - 2, edges.findIndex(edge => edge > at) - 1))

function pointed(view, panel, event) {
  const { x, y } = view.data.cells
  const box = panel.getBoundingClientRect()
  return [find(y, (event.clientY - box.top) / box.height), find(x, (event.clientX - box.left) / box.width)]
}

function drawCell(view, panel, cell) {
  const { x, y } = view.data.cells
  const mark = panel.querySelector(".cell")
  mark.style.display = cell ? "block" : "none"
  if (!cell) return
  const [row, column] = cell
  mark.style.top = `${100 * y[row]}%`
  mark.style.left = `${100 * x[column]}%`
  mark.style.height = `${100 * (y[row + 1] - y[row])}%`
  mark.style.width = `${100 * (x[column + 1] - x[column])}%`
}

function choose(view, place) {
  view.setStateValue("place", view.data.place === place ? "" : place)
}

function listenPlaces(view) {
  for (const panel of view.root.querySelectorAll(".panel.places")) {
    const head = panel.dataset.testid.split("-")[1]
    const time = () => view.data.cells.time[view.frame]
    let cell = null
    const show = next => { cell = next; drawCell(view, panel, cell) }
    panel.onpointermove = event => show(pointed(view, panel, event))
    panel.onpointerleave = () => show(null)
    panel.onblur = () => show(null)
    panel.onclick = event => choose(view, [head, time(), ...pointed(view, panel, event)].join("."))
    panel.onkeydown = event => {
      const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }
      const step = steps[event.key]
      const last = [view.data.cells.y.length - 2, view.data.cells.x.length - 2]
      if (step) show((cell ?? last.map(n => n >> 1)).map((n, i) => Math.max(0, Math.min(last[i], n + (cell ? step[i] : 0)))))
      else if ((event.key === "Enter" || event.key === " ") && cell) choose(view, [head, time(), ...cell].join("."))
      else if (event.key === "Escape") view.setStateValue("place", "")
      else return
      event.preventDefault()
    }
  }
}

// The server hears of the first move at once and of later ones at most every 100 ms.
function inform(view) {
  if (view.timer) return
  const send = () => {
    view.timer = null
    if (view.told === view.frame) return
    view.told = view.frame
    view.setStateValue("frame", view.frame)
    view.timer = setTimeout(send, 100)
  }
  send()
}

function setPlaying(view, playing) {
  clearInterval(view.clock)
  view.clock = playing
    ? setInterval(() => move(view, (view.frame + 1) % view.data.num_frames, false), 1000 / view.data.fps)
    : null
  const button = view.root.querySelector(".play")
  button.innerHTML = playing ? ICONS.pause : ICONS.play
  button.setAttribute("aria-label", playing ? "Pause" : "Play")
  if (!playing) inform(view)
}

// Once the four pictures stand, the server may compute what takes it long.
async function announce(view, token) {
  const images = [...view.root.querySelectorAll(".panel img")]
  await Promise.allSettled(images.map(image => image.decode()))
  if (view.token !== token) return
  view.root.dataset.ready = token
  if (view.data.strip?.waits) view.setStateValue("ready", token)
}

export default function (component) {
  const { data, parentElement, setStateValue } = component
  const root = parentElement.querySelector(".viewer")
  if (!root || !data) return undefined
  let view = views.get(root)
  if (!view) {
    view = {
      root, frame: data.frame, told: data.frame, token: null, timer: null, clock: null, boxes: true, off: [], drawn: null,
      drawing: false, draft: null, region: null, given: "", drawn_regions: 0,
    }
    views.set(root, view)
    root.hidden = false // nothing stands in the wrong place before there is something to draw
    root.querySelector(".back").innerHTML = ICONS.back
    root.querySelector(".forward").innerHTML = ICONS.forward
    root.querySelector(".play").innerHTML = ICONS.play
    root.querySelector(".draw").onclick = event => setDrawing(view, !view.drawing, event.detail === 0)
    root.querySelector(".help").onclick = () => toggleHelp(view)
    listenKeys(view)
    view.watch = new ResizeObserver(() => fitFilm(view))
    view.watch.observe(root)
  }
  view.setStateValue = setStateValue
  if (view.token !== data.token) {
    const playing = view.clock !== null
    const keep = view.token !== null && data.keep_frame
    view.data = data
    view.token = data.token
    view.frame = Math.min(keep ? view.frame : data.frame, data.num_frames - 1)
    view.told = data.frame
    drawHeads(root, data)
    drawRows(root, data)
    if (takesRegion(view)) drawLayers(view)
    drawStrip(view)
    view.drawn = data.strip?.token
    const idle = !data.sheet
    for (const control of root.querySelectorAll(".scrubber button, .scrubber input")) control.disabled = idle
    root.querySelector(".scrubber input").max = data.num_frames - 1
    show(view)
    if (data.cells) listenPlaces(view)
    setPlaying(view, playing && !idle)
    if (!idle) announce(view, data.token)
  } else if (view.drawn !== data.strip?.token) { // its parts have come
    view.data = data
    view.drawn = data.strip?.token
    drawStrip(view)
    show(view)
  } else if (data.region !== view.data.region || data.region_of !== view.data.region_of) { // cleared, or chosen
    view.data = data
    showRegion(view)
  }
  const slider = root.querySelector(".scrubber input")
  slider.oninput = () => goTo(view, Number(slider.value))
  root.querySelector(".back").onclick = () => goTo(view, view.frame - 1)
  root.querySelector(".forward").onclick = () => goTo(view, view.frame + 1)
  root.querySelector(".jump").onclick = () => goTo(view, widest(view.data.strip))
  root.querySelector(".play").onclick = () => setPlaying(view, view.clock === null)
  return () => { document.removeEventListener("keydown", view.listen); view.watch.disconnect(); clearInterval(view.clock); clearTimeout(view.timer); views.delete(root) }
}
