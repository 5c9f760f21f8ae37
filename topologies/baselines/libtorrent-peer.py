"""A BitTorrent client by libtorrent (rasterbar) with its default settings, TCP only.

usage: libtorrent-peer.py seed|leecher ADDRESS TORRENT TRACKER

A seed finds the whole file in the working directory and prints "seeding" once the tracker knows it. A leecher prints
"waiting", begins when a file called `begin` appears in the working directory, prints "finished" when it has every piece,
and stays as a seed.
"""

import os
import sys
import time

import libtorrent

role, address, torrent, tracker = sys.argv[1:]
session = libtorrent.session(
    {
        "listen_interfaces": address + ":6881",
        "enable_dht": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "enable_incoming_utp": False,
        "enable_outgoing_utp": False,
        "alert_mask": libtorrent.alert.category_t.all_categories,
    }
)
parameters = libtorrent.add_torrent_params()
parameters.ti = libtorrent.torrent_info(torrent)
parameters.save_path = "."
parameters.trackers = [tracker]
if role == "seed":
    parameters.flags |= libtorrent.torrent_flags.seed_mode
else:
    print("waiting", flush=True)
    while not os.path.exists("begin"):
        time.sleep(0.005)
session.add_torrent(parameters)
while True:
    session.wait_for_alert(1000)
    for alert in session.pop_alerts():
        if role == "seed" and isinstance(alert, libtorrent.tracker_reply_alert):
            print("seeding", flush=True)
        elif role == "leecher" and isinstance(alert, libtorrent.torrent_finished_alert):
            print("finished", flush=True)
        elif isinstance(alert, (libtorrent.torrent_error_alert, libtorrent.listen_failed_alert)):
            sys.exit(str(alert))
