// Back leads to where one came from. A page completes its own address (`/compare` becomes
// `/compare?model=...`) and keeps the frame in it: that is not a step to go back by. Streamlit
// has but one way to write an address, which makes an entry of the browser's history each time.
const QUIET = new Set(["frame", "opacity", "place"])
let written = "" // what a page wrote last, to tell an address that one came by

const same = (a, b, name) => a.searchParams.get(name) === b.searchParams.get(name)

function isStep(before, after) {
  const names = new Set([...before.searchParams.keys(), ...after.searchParams.keys()])
  const other = [...names].filter(name => !QUIET.has(name) && !same(before, after, name))
  if (other.length === 0) return false
  const completed = before.href !== written && other.every(name => !before.searchParams.has(name))
  return !completed
}

// A menu is as wide as its place. Of a file's name that is longer it shows the end, too, behind the
// dots: files of one class often begin alike (cards.name_of). While one types, it is left alone.
const END = 7
let waits = false

function showEnds() {
  waits = false
  for (const input of document.querySelectorAll(".stSelectbox input")) {
    const { value, parentElement: place } = input
    const isLong = input.scrollWidth > input.clientWidth + 1 && !value.slice(-2 * END).includes(" ")
    const end = isLong ? value.slice(-END) : ""
    if ((place.dataset.end ?? "") !== end) place.dataset.end = end
  }
}

function install() {
  if (window.rspnetHistory) return
  window.rspnetHistory = true
  const push = window.history.pushState.bind(window.history)
  window.history.pushState = (state, title, url) => {
    const before = new URL(window.location.href), after = new URL(url ?? "", before)
    const own = before.pathname === after.pathname
    if (own && !isStep(before, after)) window.history.replaceState(state, title, url)
    else push(state, title, url)
    if (own) written = window.location.href
  }
  const soon = () => { if (!waits) requestAnimationFrame(showEnds); waits = true }
  const watched = { subtree: true, childList: true, attributeFilter: ["value"] }
  new MutationObserver(soon).observe(document.body, watched)
  window.addEventListener("resize", soon)
  // A menu is as wide as its place: pointed at, it shows the whole of a long name.
  document.addEventListener("pointerover", event => {
    const menu = event.target.closest('[data-testid="stSelectbox"], [role="option"]')
    if (menu) menu.title = menu.querySelector("input")?.value ?? menu.textContent
  })
}

export default function () {
  install()
}
