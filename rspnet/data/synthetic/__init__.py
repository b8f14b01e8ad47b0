"""Parts of the generated videos: actions, figure, appearance, backgrounds and props."""
