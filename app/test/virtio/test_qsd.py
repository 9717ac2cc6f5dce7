#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The virtio-blk driver on qemu-storage-daemon: PLX-CONFORMANCE PLX-TESTBLK PLX-BLK-COPY FORMAT.

Conformance; a file copied to the device, which qemu-img must find in the image; what qemu-io writes
there, read by us; then verified writes, and what the image holds afterwards compared with what a
plain file got from the same writes.
"""
import os
import subprocess
import sys
import tempfile

sys.path.append(sys.path[0] + '/..')
import qsd  # noqa: E402
from plx_test import check, end, need  # noqa: E402

CONFORMANCE, TESTBLK, COPY, FORMAT = sys.argv[1:]


def run(*args):
    r = subprocess.run(args, timeout=100)
    if r.returncode != 0:
        sys.exit(f'{" ".join(args)}: exit code {r.returncode}')


def testblk(dev, *args):
    run(TESTBLK, '-l', '0', '--', '--dev', dev, '--allow-write', *args)


def written(tmp, fmt):
    """An image that plx-testblk wrote and verified."""
    path = f'{tmp}/written.{fmt}'
    with qsd.Daemon(tmp, qsd.image(path, fmt, '16M'), ',num-queues=2') as d:
        testblk(d.name, '--rw', 'randwrite', '--size', '8M', '--verify', 'crc32c')
        testblk(f'{d.name},cache=writethrough,queues=1', '--rw', 'randwrite', '--bs', '16k',
                '--offset', '8M', '--size', '4M', '--verify', 'crc32c')
    return path


def copied(tmp, node, how, path):
    """The device's first blocks to or from a file."""
    with qsd.Daemon(tmp, node, ',num-queues=2') as d:
        run(COPY, '-l', '0', '--', d.name, how, path)


def read_back(tmp, fmt):
    """QEMU's own tools as the judge of both directions."""
    image, ours, theirs = f'{tmp}/b', f'{tmp}/ours', f'{tmp}/theirs'
    node = qsd.image(image, fmt, '16M')
    data = bytearray(os.urandom(4 << 20))
    with open(ours, 'wb') as f:
        f.write(data)
    copied(tmp, node, 'to', ours)
    run('qemu-img', 'compare', '-q', '-f', fmt, '-F', 'raw', image, ours)
    run('qemu-io', '-f', fmt, '-c', 'write -q -P 0x5a 1M 192k', image)
    data[1 << 20:(1 << 20) + (192 << 10)] = b'\x5a' * (192 << 10)
    with open(theirs, 'wb') as f:
        f.truncate(len(data))
    copied(tmp, node, 'from', theirs)
    with open(theirs, 'rb') as f:
        if f.read() != data:
            sys.exit('what was read is not what qemu-io wrote')


def conformance(tmp, node, *args):
    with qsd.Daemon(tmp, node, ',num-queues=2') as d:
        run(CONFORMANCE, '--', d.name, '--seconds', '0.5', *args)


need('qemu-storage-daemon', 'qemu-img', 'qemu-io')
with tempfile.TemporaryDirectory() as tmp:
    if FORMAT == 'null-co':
        conformance(tmp, 'driver=null-co,size=1073741824,read-zeroes=on', '--nodata')
        end()
    conformance(tmp, qsd.image(f'{tmp}/c', FORMAT, '8M'))
    read_back(tmp, FORMAT)
    path = written(tmp, FORMAT)
    if FORMAT == 'raw':
        blocks = open(path, 'rb').read()
        check(all(any(blocks[i:i + 4096]) for i in range(0, 12 << 20, 4096)),
              'a block was written, and verified, that is not in the file')
        check(not any(blocks[12 << 20:]), 'something is in the file that was not written')
    else:
        run('qemu-img', 'check', '-q', path)
        run('qemu-img', 'compare', '-f', FORMAT, '-F', 'raw', path, written(tmp, 'raw'))
end()
