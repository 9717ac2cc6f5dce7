# SPDX-License-Identifier: BSD-3-Clause
"""Sphinx configuration of the guides; the version comes from the build."""
project = "Pollux"
copyright = "The Pollux authors"
extensions = []
html_theme = "alabaster"
html_theme_options = {"description": "Polled-mode block devices for DPDK programs"}
highlight_language = "none"
nitpicky = True
