#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Conformance of a device that another process serves: PLX-CONFORMANCE PLX-EXPORT DEVICE [ARGS]."""
import sys
import tempfile

sys.path.append(sys.path[0] + '/..')
from plx_test import Exporter, check, end, run  # noqa: E402

conformance, export, device, *more = sys.argv[1:]

with tempfile.TemporaryDirectory() as tmp, Exporter(export, tmp, device) as e:
    rc, _, _ = run(conformance, '--', e.name, *more, timeout=None, capture_output=False)
    check(rc == 0, f'exit code {rc}')
end()
