"""What machines gain by training together, the fewer samples each of them has. Ends with together_or_alone.png.

python together_or_alone.py
"""

import matplotlib.pyplot as plt

import p2pnet

NUMBERS = (2, 8, 32)
together, alone, central = [], [], []
for agents in NUMBERS:
    summary = p2pnet.simulate(
        "digits", agents=agents, topology="random:0.5", hidden=(), rounds=60, is_compared=True, progress=False
    ).summary
    together.append(summary.test_metric_worst)
    alone.append(summary.test_metric_alone_mean)
    central.append(summary.test_metric_central)

figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
for values, label, style in (
    (central, "all samples in one place", "--"),
    (together, "together, the worst of them", "o-"),
    (alone, "each alone, on average", "s-"),
):
    axes.plot(NUMBERS, values, style, label=label)
axes.set_xscale("log", base=2)
axes.set_xticks(NUMBERS, [str(number) for number in NUMBERS])
axes.set(xlabel="machines that share 1,437 samples", ylabel="test accuracy")
axes.legend(frameon=False)
figure.savefig("together_or_alone.png", dpi=150)
