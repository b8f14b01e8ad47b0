"""What the dashboard is measured with: a server, a browser, galleries of any size."""

from streamlit.logger import set_log_level

# Its caches would say, one by one, that there is no app around them here.
set_log_level("error")
