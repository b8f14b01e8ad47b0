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
  // A menu is as wide as its place: pointed at, it shows the whole of a long name.
  document.addEventListener("pointerover", event => {
    const menu = event.target.closest('[data-testid="stSelectbox"], [role="option"]')
    if (menu) menu.title = menu.querySelector("input")?.value ?? menu.textContent
  })
}

export default function () {
  install()
}
