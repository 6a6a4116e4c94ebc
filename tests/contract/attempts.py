"""Programs of nodes: one that tries every way to another node again and again, and one that says what arrives."""

from __future__ import annotations

LISTEN = """
import os, socket, threading, time
def say(how, line):
    name, sent = line.split()[:2]
    os.write(1, b'%s %s %s %f\\n' % (how, name, sent, time.monotonic() - float(sent)))
def talk(how, c):
    try:
        for line in c.makefile('rb'):
            say(how, line)
            if b'held' not in line: break
        c.close()
    except OSError: pass
def streams(how, family):
    s = socket.socket(family)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    s.bind(('', 7000)); s.listen(100)
    while True: threading.Thread(target=talk, args=(how, s.accept()[0]), daemon=True).start()
def datagrams(how, family):
    u = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET6: u.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    u.bind(('', 7000))
    while True: say(how, u.recv(65536))
for work, how, family in (
    (streams, b'tcp', socket.AF_INET), (streams, b'tcp6', socket.AF_INET6),
    (datagrams, b'udp', socket.AF_INET), (datagrams, b'udp6', socket.AF_INET6)):
    if family == socket.AF_INET or os.path.exists('/proc/net/if_inet6'):  # else a kernel without IPv6
        threading.Thread(target=work, args=(how, family)).start()
"""
ATTEMPTS = """
import collections, ctypes, json, os, socket, struct, subprocess, sys, threading, time
who, lasts, places = [*sys.argv[1:], *('first', '1e9', '[]')[len(sys.argv) - 1:]]
ends, places = time.monotonic() + float(lasts), json.loads(places)
own, b = socket.gethostbyname(socket.gethostname()), socket.gethostbyname('b')
gateway = socket.inet_ntoa(bytes.fromhex(open('/proc/net/route').readlines()[1].split()[2])[::-1])
tried, reached = collections.Counter(), []
def mark(name): return ('%s-%s %f\\n' % (who, name, time.monotonic())).encode()
def six():
    return 'fe80::%xff:fe%02x:%02x%02x' % tuple(socket.inet_aton(b))
def stream(name, target=None, port=0, family=socket.AF_INET):
    with socket.socket(family) as c:
        c.settimeout(1)
        c.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if port: c.bind(('', port))
        c.connect(target or (b, 7000)); c.sendall(mark(name)); c.recv(1)
def another_port(name): stream(name, port=20000 + os.getpid() % 50 * 200 + tried[name] % 200)
def mapped(name): stream(name, ('::ffff:' + b, 7000), family=socket.AF_INET6)
def held(name):
    with socket.create_connection((b, 7000), 1) as c:
        c.settimeout(None)
        while time.monotonic() < ends:
            c.sendall(mark(name)); tried[name] += 1
            time.sleep(0.1)
def packet(name, target=None, port=0, size=0, options=b'', family=socket.AF_INET):
    with socket.socket(family, socket.SOCK_DGRAM) as u:
        if port: u.bind(('', port))
        if options: u.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, options)
        u.sendto(mark(name).ljust(size), target or (b, 7000))
def big(name): packet(name, size=5000)
def same_port(name): packet(name, port=7000)
def routed(name): packet(name, options=b'\\1' + bytes((131, 7, 4)) + socket.inet_aton(gateway))
def six_stream(name):
    if any(line.split()[-1] != 'lo' for line in open('/proc/net/if_inet6')): reached.append('IPv6 is on')
    stream(name, (six(), 7000, 0, socket.if_nametoindex('eth0')), family=socket.AF_INET6)
def six_all(name): packet(name, ('ff02::1', 7000, 0, socket.if_nametoindex('eth0')), family=socket.AF_INET6)
def raw(name):
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW): reached.append(name)
def frame(name):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW): reached.append(name)
def in_own_user_namespace(name):
    if not os.fork():
        ctypes.CDLL(None).unshare(0x10000000)
        try: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        except OSError: os._exit(0)
        os._exit(1)
    if os.wait()[1]: reached.append(name)
def api(name):
    usual = [(at, port) for at in ('127.0.0.1', own, b, gateway, '240.0.0.1', '241.0.0.1', '241.0.0.2')
             for port in (8474, 8475)]
    for place in [*usual, *places]:
        try:
            with socket.create_connection(tuple(place), 0.1) as c:
                c.sendall(b'GET /proxies HTTP/1.1\\r\\nHost: relay\\r\\n\\r\\n')
                c.settimeout(1)
                try: said = c.recv(200)
                except OSError as error: said = error
                reached.append('%s %s %r' % (name, place, said))
        except OSError: pass
def again(work):
    name = work.__name__.replace('_', '-')
    while time.monotonic() < ends:
        try: work(name)
        except OSError: pass
        tried[name] += 1
        time.sleep(0.1)
if who == 'first':
    words = open('/proc/self/cmdline').read().split(chr(0))
    subprocess.Popen([*words[:3], 'second'])
    in_own_user_namespace('own-user-namespace')
works = (stream, another_port, mapped, held, packet, big, same_port, routed, six_stream, six_all, raw, frame, api)
threads = [threading.Thread(target=again, args=(work,)) for work in works]
for thread in threads: thread.start()
while time.monotonic() < ends and not reached:
    time.sleep(0.2)
    os.write(1, ('%s %s\\n' % (who, json.dumps(tried))).encode())
if reached: os.write(1, ('reached %s\\n' % reached).encode())
for thread in threads: thread.join()
raise SystemExit(len(reached) > 0)
"""
STREAMS = ("stream", "another-port", "mapped", "held")
DATAGRAMS = ("packet", "big", "same-port")
