"""What a bad network costs: rounds, and not the result. Ends with bad_network.png.

python bad_network.py
"""

import matplotlib.pyplot as plt

import p2pnet

figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
for loss_rate in (0.0, 0.2, 0.4):
    simulation = p2pnet.simulate(
        "digits", agents=8, partition="sorted", hidden=(), rounds=100, loss_rate=loss_rate, progress=False
    )
    (history, *_) = simulation.histories.values()
    axes.plot(
        [record.round for record in history],
        [record.test_metric for record in history],
        label=f"{loss_rate:.0%} of all messages lost: objective {simulation.summary.objective_worst:.3f} in the end",
    )
axes.set(xlabel="round", ylabel="test accuracy of one agent", ylim=(0.0, 1.0))
axes.set_title("Eight agents, each with samples of one or two digits")
axes.legend(frameon=False)
figure.savefig("bad_network.png", dpi=150)
