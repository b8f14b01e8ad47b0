"""Speed lab: how both heads respond as one thing about a clip changes."""
