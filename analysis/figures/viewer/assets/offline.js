// The panels without a server: their data stands in the page, and nobody is told of the frame.
mount({
  data: JSON.parse(document.getElementById("panels").textContent),
  parentElement: document.getElementById("view"),
  setStateValue() {},
})

// In a notebook the frame is as high as what it shows.
if (window.frameElement) {
  const fit = () => { window.frameElement.style.height = `${document.documentElement.offsetHeight}px` }
  new ResizeObserver(fit).observe(document.documentElement)
}
