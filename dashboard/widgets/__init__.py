"""Parts of a page that several pages share: controls, cards, export, shell."""
