#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A back end killed again and again: TEST-RECONNECT BACKEND ROUNDS BOUND_MS WHAT...

WHAT: "qsd" for qemu-storage-daemon, "export" for BACKEND that is plx-export, else "backend" and
arguments of it; "keys=..." goes to the device string.
"""
import os
import subprocess
import sys
import tempfile

sys.path.append(sys.path[0] + '/..')
from plx_test import need  # noqa: E402

test, backend, rounds, bound, *what = sys.argv[1:]
keys = ''.join(f',{w[5:]}' for w in what if w.startswith('keys='))
what = [w for w in what if not w.startswith('keys=')]

with tempfile.TemporaryDirectory() as tmp:
    sock, image, device = f'{tmp}/sock', f'{tmp}/image', 'vhost-user'
    with open(image, 'wb') as f:
        f.truncate(16 << 20)
    if what == ['qsd']:
        need('qemu-storage-daemon')
        command = ['qemu-storage-daemon', '--blockdev',
                   f'driver=file,node-name=n0,filename={image}', '--export',
                   f'type=vhost-user-blk,id=e0,node-name=n0,addr.type=unix,addr.path={sock},'
                   'writable=on']
    elif what == ['export']:
        device = 'vfio-user'
        command = [backend, '-l', str(max(os.sched_getaffinity(0))), '--',
                   '--dev', f'ram:name=r0,size=16M,file={image}',
                   '--export', f'vfio-user:{sock},dev=r0']
    else:
        command = [backend, sock, image, *what[1:]]
    sys.exit(subprocess.run([test, rounds, bound, device, keys, sock, *command]).returncode)
