"""The Streamlit app: pages, controls, pictures. All maths is in `analysis`."""
