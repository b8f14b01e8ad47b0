// A region of one clip, drawn by mouse or keys where the page takes one (data.region is then its
// text, empty for none, and data.region_of its clip): left, top, right, bottom in parts of the
// frame, and first and last frame where it is not for all. One layer over each panel shows it where
// it is of its clip; it is of the clip that was drawn on.
const LEAST = 0.02 // of a side: less is a click
const STEP = 0.02

const takesRegion = view => view.data.sheet !== undefined && view.data.region !== undefined

function parseRegion(text) {
  const [left, top, right, bottom, first, last] = (text || "").split(",").map(Number)
  return text ? { box: [left, top, right, bottom], frames: last ? [first - 1, last - 1] : null } : null
}

function drawLayers(view) {
  view.root.querySelectorAll(".row").forEach((row, i) => view.data.columns.forEach(({ index }) => {
    const layer = element("div", "layer")
    layer.dataset.testid = `region-${view.data.rows[i].head}-${index}`
    layer.dataset.clip = index
    layer.style.aspectRatio = aspect(view.data, index)
    layer.append(element("div", "region"))
    row.querySelector(".pair").append(layer)
    listenRegion(view, layer)
  }))
}

function showRegion(view) {
  const takes = takesRegion(view), button = view.root.querySelector(".draw")
  button.hidden = !takes
  if (!takes) return
  const given = `${view.data.region};${view.data.region_of}`
  if (view.given !== given) {
    view.given = given
    view.region = parseRegion(view.data.region)
    view.clip = view.data.region_of
  }
  button.setAttribute("aria-pressed", String(view.drawing))
  const box = view.draft ?? view.region?.box, frames = view.draft ? null : view.region?.frames
  for (const layer of view.root.querySelectorAll(".layer")) {
    layer.classList.toggle("drawing", view.drawing)
    if (view.drawing) {
      layer.tabIndex = 0
      layer.setAttribute("role", "application")
      layer.setAttribute("aria-label", `Region of clip ${layer.dataset.clip}. Drag over the frame, or move with the `
        + "arrow keys, resize with Shift and the arrow keys, take it with Enter, drop it with Escape.")
    } else for (const name of ["tabindex", "role", "aria-label"]) layer.removeAttribute(name)
    const mark = layer.querySelector(".region")
    const shown = box && layer.dataset.clip === view.clip
    mark.style.display = shown ? "block" : "none"
    mark.classList.toggle("outside", Boolean(frames && (view.frame < frames[0] || view.frame > frames[1])))
    if (!shown) continue
    const [left, top, right, bottom] = box.map(v => 100 * v)
    Object.assign(mark.style, {
      left: `${left}%`, top: `${top}%`, width: `${right - left}%`, height: `${bottom - top}%`,
    })
  }
}

function setDrawing(view, on, byKeys) {
  view.drawing = on
  if (!on) view.clip = view.data.region_of
  view.draft = on && byKeys ? view.region?.box ?? [0.3, 0.3, 0.7, 0.7] : null
  showRegion(view)
  if (on && byKeys) view.root.querySelector(`.layer[data-clip="${view.clip}"]`)?.focus()
  else if (!on && view.root.getRootNode().activeElement?.classList.contains("layer")) {
    view.root.querySelector(".draw").focus()
  }
}

function takeRegion(view) {
  const { draft: box, clip } = view
  setDrawing(view, false)
  if (!box) return
  view.clip = clip
  const text = box.map(v => String(Number(v.toFixed(3)))).join(",")
  view.region = parseRegion(text)
  showRegion(view)
  view.setStateValue("region", `${text};${clip};${++view.drawn_regions}`) // drawn again it is news, too
}

function listenRegion(view, layer) {
  let start = null
  const drop = () => {
    start = view.draft = null
    view.clip = view.data.region_of
    showRegion(view)
  }
  const at = event => {
    const box = layer.getBoundingClientRect()
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height]
      .map(v => Math.max(0, Math.min(1, v)))
  }
  layer.onpointerdown = event => {
    if (!view.drawing || event.button) return
    start = at(event)
    view.clip = layer.dataset.clip
    layer.setPointerCapture(event.pointerId)
    event.preventDefault()
  }
  layer.onpointermove = event => {
    if (!start) return
    const [x, y] = at(event)
    view.draft = [Math.min(x, start[0]), Math.min(y, start[1]), Math.max(x, start[0]), Math.max(y, start[1])]
    showRegion(view)
  }
  layer.onpointerup = () => {
    if (!start) return
    const box = view.draft
    if (!box || box[2] - box[0] < LEAST || box[3] - box[1] < LEAST) return drop()
    start = null
    takeRegion(view)
  }
  layer.onpointercancel = drop
  layer.onkeydown = event => {
    if (!view.drawing) return
    const step = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key]
    if (step) {
      view.clip = layer.dataset.clip
      const [left, top, right, bottom] = view.draft ?? view.region?.box ?? [0.3, 0.3, 0.7, 0.7]
      const fit = (v, low, high) => Math.max(low, Math.min(high, v))
      if (event.shiftKey) {
        view.draft = [left, top, fit(right + step[0], left + STEP, 1), fit(bottom + step[1], top + STEP, 1)]
      } else {
        const [x, y] = [fit(step[0], -left, 1 - right), fit(step[1], -top, 1 - bottom)]
        view.draft = [left + x, top + y, right + x, bottom + y]
      }
      showRegion(view)
    } else if (event.key === "Enter") takeRegion(view)
    else if (event.key === "Escape") setDrawing(view, false)
    else return
    event.preventDefault()
  }
}
