"""The command line: parse, call, print, exit code. What a command needs is imported when it runs."""

from p2pnet.cli.check import check
from p2pnet.cli.control import away, checkpoint, leave, peers, reload, status, watch
from p2pnet.cli.demo import demo
from p2pnet.cli.doctor import doctor
from p2pnet.cli.evaluate import evaluate
from p2pnet.cli.export import export
from p2pnet.cli.group import main
from p2pnet.cli.init import init
from p2pnet.cli.inspect import inspect
from p2pnet.cli.invite import invite
from p2pnet.cli.join import join
from p2pnet.cli.keygen import keygen
from p2pnet.cli.page import page
from p2pnet.cli.predict import predict
from p2pnet.cli.rotate import rotate
from p2pnet.cli.run import run
from p2pnet.cli.simulate import simulate
from p2pnet.cli.sweep import sweep
from p2pnet.cli.trust import grant, revoke, show_id, trust

__all__ = ["main"]

for command in (
    *(run, check, doctor, keygen),
    *(init, invite, join, grant, revoke, trust, show_id, rotate),
    *(status, peers, watch, page, reload, checkpoint, leave, away),
    *(predict, evaluate, inspect, export),
    *(demo, simulate, sweep),
):
    main.add_command(command)
