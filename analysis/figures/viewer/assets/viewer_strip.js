// What both heads see over time, a lane a head, above a filmstrip of the clip; a place in it is a frame.
const MINUS = "\u2212"
const THUMB = 46 // the least width of a picture of the filmstrip, pixels
const LEGEND = { moves: "moves", still: "stands still", total: "total" }

// Two digits that count of the largest number of a lane, so that none of them reads 0.00.
const MOST_DIGITS = 6
function digitsOf(lane) {
  const most = Math.max(Math.abs(lane.range[0]), Math.abs(lane.range[1]))
  return most > 0 ? Math.max(0, Math.min(15, 1 - Math.floor(Math.log10(most)))) : 2
}

function signed(value, digits) {
  const size = Math.abs(value)
  const text = digits > MOST_DIGITS ? size.toExponential(1).replace("-", MINUS) : size.toFixed(digits)
  return (value < 0 ? MINUS : "+") + text
}

// Parts of a time step, signed: what moves and what stands still, or the total alone.
function partsOf(lane, step) {
  const total = lane.total[step]
  if (!lane.still) return { total }
  return { moves: total - lane.still[step], still: lane.still[step] }
}

function stand(mark, left, right, from, to, range) {
  const [low, top] = range[1] > range[0] ? range : [-1, 1] // nothing at all is in the middle
  const high = top - low
  mark.style.left = `calc(${100 * left}% + 0.5px)`
  mark.style.width = `calc(${100 * (right - left)}% - 1px)`
  mark.style.top = `${(100 * (top - Math.max(from, to))) / high}%`
  mark.style.height = `${(100 * Math.abs(to - from)) / high}%`
}

function drawLane(lane, edges) {
  const row = element("div", "lane")
  const plot = element("div", "plot"), ticks = element("div", "ticks"), numbers = element("div", "numbers")
  row.style.setProperty("--head", lane.colour)
  row.dataset.testid = `lane-${lane.head}`
  const digits = digitsOf(lane), count = edges.at(-1)
  ticks.append(element("span", "", lane.range[1] > 0 ? signed(lane.range[1], digits) : "0"))
  ticks.append(element("span", "", lane.range[0] < 0 ? signed(lane.range[0], digits) : "0"))
  lane.total.forEach((total, step) => {
    const [left, right] = [edges[step] / count, edges[step + 1] / count]
    const ends = { up: 0, down: 0 }
    for (const [part, value] of Object.entries(partsOf(lane, step))) {
      const way = value < 0 ? "down" : "up", bar = element("div", `part ${part}`)
      stand(bar, left, right, ends[way], ends[way] + value, lane.range)
      ends[way] += value
      plot.append(bar)
    }
    const level = element("div", "level")
    stand(level, left, right, total, total, lane.range)
    plot.append(level)
  })
  const zero = element("div", "zero")
  stand(zero, 0, 1, 0, 0, lane.range)
  plot.append(zero)
  row.append(ticks, plot, numbers)
  return row
}

function drawFilm(clip, width, count) {
  const row = element("div", "lane film-lane"), film = element("div", "film")
  let shown = Math.max(1, Math.floor(width / THUMB))
  while (count % shown) shown -= 1 // pictures of equally many frames
  for (let n = 0; n < shown; n += 1) {
    const thumb = element("div", "frame")
    const frame = Math.floor(((n + 0.5) * count) / shown)
    thumb.style.backgroundImage = clip.film
    thumb.style.backgroundSize = `${100 * count}% 100%`
    thumb.style.backgroundPosition = `${(100 * frame) / Math.max(1, count - 1)}% 0`
    thumb.style.aspectRatio = clip.aspect
    film.append(thumb)
  }
  row.append(element("div"), film, element("div", "numbers"))
  return row
}

function drawStrip(view) {
  const { root, data } = view
  const { strip } = data
  root.classList.toggle("with-strip", Boolean(strip))
  const home = root.querySelector(".strip")
  root.querySelector(".jump").hidden = !strip?.apart
  if (!strip) return home.replaceChildren()
  const legend = element("div", "legend")
  legend.append(element("b", "", strip.title), element("span", "step-words"))
  const parts = strip.clips.some(clip => clip.lanes.some(lane => lane.still)) ? ["moves", "still", "total"] : ["total"]
  const keys = element("span", "parts")
  for (const part of strip.clips[0].lanes.length ? parts : []) {
    const key = element("span", "part-key")
    key.append(element("i", parts.length > 1 ? `part ${part}` : "part alone"), LEGEND[part])
    keys.append(key)
  }
  legend.append(keys)
  const clips = strip.clips.map(clip => {
    const made = element("div", "clip")
    made.dataset.testid = `strip-${clip.index}`
    const head = element("div", "clip-head"), title = element("span", "clip-title")
    title.append(clip.title ?? symbol("c", clip.index))
    head.append(title, element("span", "of-what", clip.of), element("span", "video-frame"))
    const track = element("div", "track")
    track.setAttribute("role", "img")
    track.setAttribute("aria-label", clip.alt)
    const catcher = element("div", "catcher")
    catcher.append(element("div", "range"), element("div", "playhead"))
    track.append(...clip.lanes.map(lane => drawLane(lane, strip.edges)), catcher)
    made.append(head, track)
    return made
  })
  home.replaceChildren(legend, ...clips)
  view.width = 0
  fitFilm(view)
  for (const catcher of home.querySelectorAll(".catcher")) listenStrip(view, catcher)
}

// As many pictures as have room, in both clips alike.
function fitFilm(view) {
  const { strip, num_frames: count } = view.data
  const width = view.root.querySelector(".catcher")?.clientWidth ?? 0
  if (!strip || !width || width === view.width) return
  view.width = width
  view.root.querySelectorAll(".track").forEach((track, n) => {
    track.querySelector(".film-lane")?.remove()
    track.querySelector(".catcher").before(drawFilm(strip.clips[n], width, count))
  })
}

// The middle of the time step in which the heads' maps differ the most.
function widest({ apart, edges }) {
  const step = apart.indexOf(Math.max(...apart))
  return (edges[step] + edges[step + 1] - 1) >> 1
}

function listenStrip(view, catcher) {
  const go = event => {
    const box = catcher.getBoundingClientRect()
    move(view, Math.floor(((event.clientX - box.left) / box.width) * view.data.num_frames), true)
  }
  catcher.onpointerdown = event => {
    if (event.button) return
    if (view.clock) setPlaying(view, false)
    catcher.setPointerCapture(event.pointerId)
    go(event)
    event.preventDefault()
  }
  catcher.onpointermove = event => { if (catcher.hasPointerCapture(event.pointerId)) go(event) }
}

function showStrip(view) {
  const { root, data, frame } = view
  const { strip, num_frames: count } = data
  if (!strip) return
  const { edges } = strip
  const step = edges.findIndex(edge => edge > frame) - 1
  const [first, last] = [edges[step], edges[step + 1]]
  root.querySelector(".step-words").textContent =
    `time step ${step + 1} of ${edges.length - 1}, frames ${first + 1} to ${last}`
  root.querySelectorAll(".clip").forEach((made, n) => {
    const clip = strip.clips[n]
    made.querySelector(".video-frame").textContent = `frame ${clip.indices[frame]} of the video`
    const range = made.querySelector(".range")
    range.style.left = `${(100 * first) / count}%`
    range.style.width = `${(100 * (last - first)) / count}%`
    made.querySelector(".playhead").style.left = `${(100 * (frame + 0.5)) / count}%`
    made.querySelectorAll(".lane:not(.film-lane) .numbers").forEach((cell, m) => {
      const lane = clip.lanes[m], digits = digitsOf(lane) + 1
      const whole = element("div", "whole")
      whole.append(element("span", "", lane.title), element("b", "", signed(lane.total[step], digits)))
      cell.replaceChildren(whole)
      for (const [part, value] of Object.entries(partsOf(lane, step))) {
        if (part === "total") continue
        const line = element("div", "share")
        line.append(element("i", `part ${part}`), element("span", "", signed(value, digits)))
        cell.append(line)
      }
    })
  })
}
