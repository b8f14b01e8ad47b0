"""What outlives a run of the page's script: galleries, models, jobs, uploads, runs."""
