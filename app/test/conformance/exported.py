#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Conformance of a device that another process serves: PLX-CONFORMANCE PLX-EXPORT DEVICE [ARGS]."""
import subprocess
import sys
import tempfile

conformance, export, device, *more = sys.argv[1:]

with tempfile.TemporaryDirectory() as tmp:
    sock = f'vfio-user:{tmp}/sock'
    server = subprocess.Popen(
        [export, '--', '--dev', f'{device},name=d', '--export', f'{sock},dev=d'],
        stdout=subprocess.PIPE, text=True)
    try:
        line = server.stdout.readline()
        if 'serving' not in line:
            sys.exit(f'plx-export did not start: {line!r}')
        rc = subprocess.run([conformance, '--', sock, *more], timeout=90).returncode
    finally:
        server.terminate()
        if server.wait(timeout=20) != 0:
            sys.exit(f'plx-export ended with {server.returncode}')
sys.exit(rc)
