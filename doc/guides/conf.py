# SPDX-License-Identifier: BSD-3-Clause
"""Sphinx configuration of the guides; the version comes from the build."""
project = "Pollux"
copyright = "The Pollux authors"
extensions = []
html_theme = "alabaster"
html_theme_options = {"description": "Polled-mode block devices for DPDK programs"}
highlight_language = "none"
nitpicky = True
man_pages = [
    (page, "plx-" + page.rpartition("/")[2], about, ["The Pollux authors"], 1)
    for page, about in (
        ("apps/testblk", "test block devices: throughput, latency, data"),
        ("apps/nvme", "manage NVMe controllers that Pollux drives"),
        ("apps/export", "serve block devices to virtual machines and hosts"),
        ("apps/info", "show the block devices of a running process"),
        ("tools/devbind", "bind devices to drivers"),
        ("tools/pmdinfo", "print the drivers in a library or program"),
        ("tools/prometheus", "metrics of running programs for Prometheus"),
        ("tools/report", "draw reports of tests as an HTML page"),
    )
]
