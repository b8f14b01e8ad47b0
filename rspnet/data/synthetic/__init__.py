"""Parts of the generated videos: actions, figure, looks, sets and props."""
