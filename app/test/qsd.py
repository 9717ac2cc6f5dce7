# SPDX-License-Identifier: BSD-3-Clause
"""qemu-storage-daemon as a vhost-user-blk back end, for the tests."""
import os
import subprocess

from plx_test import check, wait_for


class Daemon:
    """One image behind one socket."""

    def __init__(self, folder, node, export=''):
        self.sock, self.node, self.export = f'{folder}/sock', node, export
        self.name = f'vhost-user:{self.sock}'
        self.start()

    def start(self):
        if os.path.exists(self.sock):
            os.unlink(self.sock)
        self.p = subprocess.Popen(
            ['qemu-storage-daemon', '--blockdev', f'{self.node},node-name=n0', '--export',
             f'type=vhost-user-blk,id=e0,node-name=n0,addr.type=unix,addr.path={self.sock},'
             f'writable=on{self.export}'])
        wait_for("qemu-storage-daemon's socket",
                 lambda: os.path.exists(self.sock) or self.p.poll() is not None)

    def kill(self):
        self.p.kill()
        self.p.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.p.terminate()
        check(self.p.wait(timeout=20) == 0, f'qemu-storage-daemon ended with {self.p.returncode}')


def image(path, fmt, size):
    subprocess.run(['qemu-img', 'create', '-q', '-f', fmt, path, size], check=True)
    if fmt == 'raw':
        return f'driver=file,filename={path},discard=unmap'
    return f'driver={fmt},file.driver=file,file.filename={path},discard=unmap'
