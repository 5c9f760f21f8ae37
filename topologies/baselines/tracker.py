"""A tracker for one swarm (BEP 3, BEP 23): HTTP on port 6969, answers with every other peer it has heard of.

Enough for the baselines beside it: no scrape, no expiry, IPv4 only.
"""

import http.server
import socket
import struct
import urllib.parse

INTERVAL_SECONDS = 30
peers = {}


def bencode(value):
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    return b"d" + b"".join(bencode(key) + bencode(value[key]) for key in sorted(value)) + b"e"


class Announce(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        query = urllib.parse.urlsplit(self.path).query
        asked = urllib.parse.parse_qs(query, encoding="latin-1")
        own = (self.client_address[0], int(asked["port"][0]))
        if asked.get("event") == ["stopped"]:
            peers.pop(own, None)
        else:
            peers[own] = True
        others = b"".join(socket.inet_aton(host) + struct.pack("!H", port) for host, port in peers if (host, port) != own)
        answer = bencode({b"interval": INTERVAL_SECONDS, b"min interval": 1, b"peers": others})
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


http.server.ThreadingHTTPServer(("", 6969), Announce).serve_forever()
