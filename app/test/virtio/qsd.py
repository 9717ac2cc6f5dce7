# SPDX-License-Identifier: BSD-3-Clause
"""qemu-storage-daemon as a vhost-user-blk back end, for the tests."""
import os
import shutil
import subprocess
import sys
import time

SKIP = 77


def need(*programs):
    for p in programs:
        if shutil.which(p) is None:
            print(f'skipped: no {p} (Debian: qemu-system-common, qemu-utils)')
            sys.exit(SKIP)


class Daemon:
    """One image behind one socket."""

    def __init__(self, sock, node, export=''):
        self.sock, self.node, self.export = sock, node, export
        self.start()

    def start(self):
        if os.path.exists(self.sock):
            os.unlink(self.sock)
        self.proc = subprocess.Popen(
            ['qemu-storage-daemon', '--blockdev', f'{self.node},node-name=n0', '--export',
             f'type=vhost-user-blk,id=e0,node-name=n0,addr.type=unix,addr.path={self.sock},'
             f'writable=on{self.export}'])
        until = time.monotonic() + 20
        while not os.path.exists(self.sock):
            if self.proc.poll() is not None or time.monotonic() > until:
                raise RuntimeError('qemu-storage-daemon did not start')
            time.sleep(0.01)

    def kill(self):
        self.proc.kill()
        self.proc.wait()

    def stop(self):
        """@return whether it ended well"""
        self.proc.terminate()
        return self.proc.wait(timeout=20) == 0


def image(path, fmt, size):
    subprocess.run(['qemu-img', 'create', '-q', '-f', fmt, path, size], check=True)
    if fmt == 'raw':
        return f'driver=file,filename={path},discard=unmap'
    return f'driver={fmt},file.driver=file,file.filename={path},discard=unmap'
