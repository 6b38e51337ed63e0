"""Decisions of one agent, sans I/O: event and `now` in, effects out; no sockets, clocks or threads.

    node.py       the one machine that the daemon and the simulator drive core/         what all machines share: events,
    effects, notices, codec, timers, types messages/     what agents say to each other, and its bytes links/
    conserving links, the tracker, the account of what was conserved rounds/       session: feature statistics, then the
    training rounds membership/   members by gossip, failure detection, overlay of neighbors peering/      admission,
    static and overlay neighbors, redial and backoff

A shell drives the node like this, and interprets every effect (`assert_never` holds it to that):

    effects = node.start(now)
    while True:
        perform(effects)
        event = wait until something happens, at most until node.next_deadline(): then DeadlineReached()
        effects = node.handle(event, now)
"""
