#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What is said about back ends that can't be used: PLX-TESTBLK.

Each time one line, of cause and cure; exit status 2 where the command line is to be corrected, else 1.
"""
import socket
import struct
import subprocess
import sys
import tempfile
import threading

TESTBLK = sys.argv[1]
VERSION_1, PROTOCOL = 1 << 32, 1 << 30
MQ, CONFIG = 1 << 0, 1 << 9
GET_FEATURES, GET_PROTOCOL, GET_QUEUE_NUM, GET_CONFIG = 1, 15, 17, 24
failed = False


def check(name, dev, words, status=1):
    """It must end with this status, and say one line that ends with these words."""
    global failed
    r = subprocess.run([TESTBLK, '-l', '0', '--', '--dev', dev, '--time', '0.1'], text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30)
    lines = [line for line in r.stdout.splitlines() if 'no free hugepages' not in line]
    ours = [line for line in lines if line.startswith('pollux: ')]
    if r.returncode != status or len(ours) != 1 or not ours[0].endswith(words):
        failed = True
        print(f'FAIL {name}: status {r.returncode}, {words!r} is missing or not alone:')
        print('\n'.join(lines))
    else:
        print(f'ok   {name}: {ours[0]}')


class BackEnd:
    """Says what it offers, and nothing else; without features it hangs up."""

    def __init__(self, path, features=None, protocol=MQ | CONFIG, capacity=8192, queues=2):
        self.answers = {GET_FEATURES: features, GET_PROTOCOL: protocol, GET_QUEUE_NUM: queues}
        self.capacity, self.queues = capacity, queues
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.bind(path)
        self.sock.listen(1)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        conn, _ = self.sock.accept()
        with conn:
            while self.answers[GET_FEATURES] is not None:
                head = conn.recv(12, socket.MSG_WAITALL)
                if len(head) < 12:
                    return
                request, _, size = struct.unpack('=III', head)
                body = conn.recv(size, socket.MSG_WAITALL) if size else b''
                if request in self.answers:
                    body = struct.pack('=Q', self.answers[request])
                elif request == GET_CONFIG:
                    config = struct.pack('<QII', self.capacity, 0, 16).ljust(34, b'\0')
                    config += struct.pack('<H', self.queues)
                    body = body[:12] + config.ljust(size - 12, b'\0')[:size - 12]
                else:
                    continue
                conn.sendall(struct.pack('=III', request, 5, len(body)) + body)
            conn.recv(1)


with tempfile.TemporaryDirectory() as tmp:
    paths = iter(f'{tmp}/{i}' for i in range(99))

    def back_end(**what):
        path = next(paths)
        BackEnd(path, **what)
        return 'vhost-user:' + path

    good = VERSION_1 | PROTOCOL | 1 << 12  # VIRTIO_BLK_F_MQ
    check('absent', f'vhost-user:{tmp}/none',
          ': no such socket: start the back end, or correct the path', 2)
    check('no socket', f'vhost-user:{TESTBLK}', ": not a socket: give the path of the back end's socket")
    left = next(paths)
    socket.socket(socket.AF_UNIX).bind(left)
    check('left behind', f'vhost-user:{left}', ': nobody listens there any more: start the back end')
    packets = next(paths)
    kept = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    kept.bind(packets)
    kept.listen(1)
    check('another kind of socket', f'vhost-user:{packets}',
          ': a socket, but not a stream: no vhost-user back end')
    check('wrong socket', back_end(), ': the other side closed the connection at our first message: '
          'no vhost-user back end, or it has another front end')
    check('another type of device', back_end(features=good, protocol=MQ),
          ': the back end has no configuration space: it is no block device')
    check('another type of device, with a configuration', back_end(features=good, capacity=0),
          ': the device has no plausible size: it is empty, or no block device')
    check('legacy', back_end(features=PROTOCOL),
          ': the back end offers no VERSION_1 (features 0x40000000): it is a legacy device; update it')
    check('too many queues', back_end(features=good) + ',queues=3',
          ': queues=3: the device has 2; ask for no more', 2)
    check('no packed rings', back_end(features=good) + ',packed=1',
          ' offers split rings only; leave it out')
    silent = next(paths)
    kept2 = socket.socket(socket.AF_UNIX)
    kept2.bind(silent)
    kept2.listen(1)
    check('it hangs', f'vhost-user:{silent},timeout=200', ': no answer to GET_FEATURES within 200 ms: '
          'the back end hangs, or is none; timeout= gives it longer')
sys.exit(failed)
