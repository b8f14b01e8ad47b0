// The panels without a server: their data stands in the page, and nobody is told of the frame.
mount({
  data: JSON.parse(document.getElementById("panels").textContent),
  parentElement: document.getElementById("view"),
  setStateValue() {},
})

window.addEventListener("keydown", event => {
  const { target } = event
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return
  const press = name => document.querySelector(`.scrubber .${name}`).click()
  const slider = document.querySelector(".scrubber input")
  const go = frame => { slider.value = frame; slider.dispatchEvent(new Event("input")) }
  const actions = {
    ArrowLeft: () => press("back"), ",": () => press("back"),
    ArrowRight: () => press("forward"), ".": () => press("forward"),
    Home: () => go(slider.min), End: () => go(slider.max), " ": () => press("play"),
  }
  if (!actions[event.key]) return
  // What has the focus has its own keys.
  if (target === slider ? event.key !== " " && event.key.length > 1 : event.key === " " && target.closest("button, summary, a")) return
  actions[event.key]()
  event.preventDefault()
})

// In a notebook the frame is as high as what it shows.
if (window.frameElement) {
  const fit = () => { window.frameElement.style.height = `${document.documentElement.offsetHeight}px` }
  new ResizeObserver(fit).observe(document.documentElement)
}
