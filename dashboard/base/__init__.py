"""The ground floor: state, links, style, limits, arguments. Knows no model and no gallery."""
